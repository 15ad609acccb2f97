"""Distillation: fit a router's head to labels or scores.

For the kind `zooter` that is minimising the mean KL(label || router) (paper, equation 3); see kinds/ for the others.
The kind `auto` finds by cross-validation which of them the queries support, and how strongly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.plugins import load_kind
from zooter_core.method import calibration, metrics, mixture
from zooter_core.method.labels import LabelConfig, complete, label, mean_label, normalise
from zooter_core.method.tags import TagIndex
from zooter_core.router.clusters import Vectors
from zooter_core.router.head import RouterHead, RouterHeadConfig, in_parts
from zooter_core.router.kinds import AUTO_KIND, BAYES, KINDS, ZOOTER, DistillConfig, Progress, configure
from zooter_core.router.kinds.arrays import unit
from zooter_core.router.kinds.auto import above
from zooter_core.router.kinds.base import Lessons, State

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
Judge = Callable[[RouterHead, int], None]  # sees a head after each epoch
TRIAL = 100  # queries; with fewer, none are set aside for a trial
MOST_TRIED = 20_000  # queries of a trial
MOST_EXAMPLES = 2_000_000  # queries in all passes together
LARGER = 16  # times the batch, at most
ASIDE = 5  # one query in five
PATIENCE = 8  # epochs without an improvement after which a trial ends; the first may look good by chance

# The kinds that are compared, and their weights in the mixture, found on folds of public scores. Imitating labels
# chooses best for queries unlike all training queries. The last kind is the mixture's fallback; adding a regression to
# the others does not help.
MIXTURE: Sequence[tuple[str, dict[str, float], float]] = (
    (ZOOTER, {}, 4.0),
    ("kmeans", {"clusters": 8}, 1.0),
    ("kmeans", {"clusters": 32}, 1.0),
    (BAYES, {}, 0.0),
)
FEWEST = 10  # queries; from fewer, only each candidate's mean score can be learned
FOLDS, FEW_FOLDS, MANY = 5, 3, 2_000  # fewer folds if there are many queries, to save time
LANDMARKS = 200  # training queries that a router keeps, to tell which queries are unlike them


@dataclass(frozen=True)
class Trial:
    """The best number of epochs and the best temperature on held-out queries, after a fit on the others."""

    epochs: int
    temperature: float = 1.0


class _EnoughError(Exception):
    """Raised when a trial has seen enough epochs."""


def learn(
    vectors: Vectors,
    labels: Array,
    candidates: Sequence[str],
    encoder: str,
    config: DistillConfig,
    progress: Progress = lambda epoch, loss: None,
    scores: Array | None = None,
) -> RouterHead:
    """A head that imitates labels, one of another kind that learns from scores, or what `auto` makes of both.

    From TRIAL queries on, a trial on a part of them finds the number of epochs (at most the config's) and the
    temperature that predict best who wins; the head then learns from all queries.

    Args:
        vectors: the queries' vectors, shape (n, width).
        labels: shape (n, candidates), rows sum to one.
        encoder: reference of the encoder that computed the vectors.
        progress: called with each epoch and its mean loss in nats; not called for kinds with a closed form.
        scores: shape (n, candidates), raw, NaN where one is missing; the labels if not given. The kind `zooter` learns
            from the labels alone, every other kind from the scores alone.

    Raises:
        ZooterError: there are no queries, or the kind is unknown.
        WorkError: the trained weights are not finite.
    """
    if not len(vectors):
        raise ZooterError("at least one query to distill from", "none", "Give a larger queries or score file.")
    best, raw = Trial(config.epochs), labels if scores is None else scores
    if config.kind == AUTO_KIND:
        scored = Scored(vectors, raw, np.zeros(len(labels)), labels.__getitem__)
        return learn_auto_kind(scored, candidates, encoder, config, progress)[0]
    if len(labels) >= TRIAL and len(candidates) > 1:
        rows: Rows | slice = slice(None)
        if len(labels) > MOST_TRIED:
            rows = np.sort(np.random.default_rng(config.seed).permutation(len(labels))[:MOST_TRIED])
        best = trial(vectors[rows], labels[rows], config, raw[rows])
    head = fit_head(vectors, labels, _lasting(config, best.epochs, len(labels)), progress, scores)
    head.config.calibration_temperature = best.temperature
    head.config.candidates, head.config.encoder = candidates, encoder
    return head


def _lasting(config: DistillConfig, epochs: int, queries: int) -> DistillConfig:
    """The config with this number of epochs, fewer and with larger batches if there are many queries."""
    config = replace(config, epochs=max(1, min(epochs, MOST_EXAMPLES // queries)))
    return replace(config, batch=config.batch * min(LARGER, max(1, queries // MOST_TRIED)))


def learn_auto_kind(
    scored: Scored,
    candidates: Sequence[str],
    encoder: str,
    config: DistillConfig,
    progress: Progress = lambda epoch, loss: None,
    compared: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[RouterHead, Array | None]:
    """A head of the kind `auto`, and its scores in cross-validation: `Chosen.earned`, NaN for queries without a fold.

    If there are very many queries, the kinds are compared on a random part. Those with a weight then learn from all.

    Args:
        compared: called with the number of trainings done in the comparison, and their total.
    """
    count = len(scored.scores)
    labels = scored.labels(np.arange(count))
    rows = np.sort(np.random.default_rng(config.seed).permutation(count)[:MOST_TRIED])
    chosen = compare(scored.part(rows) if count > MOST_TRIED else scored, config, compared)
    earned = None
    if chosen.earned is not None:
        earned = np.full((3, count), np.nan)
        earned[:, rows] = chosen.earned
    heads = [
        fit_head(scored.vectors, labels, _lasting(part, part.epochs, count), progress, scored.scores)
        for part in chosen.parts
    ]
    parts = [{"kind": head.config.kind, "settings": head.config.settings} for head in heads]
    settings, width = {"parts": parts, **chosen.settings}, scored.vectors.shape[-1]
    head = RouterHead(
        RouterHeadConfig(candidates, encoder, width, AUTO_KIND, settings, calibration_temperature=chosen.temperature)
    )
    state: State = {name: value.astype(np.float32) for name, value in chosen.state.items()}
    for number, part in enumerate(heads):
        state |= above(part.body.state, number)
    head.set_state(state)
    check_converged(head, config)
    return head, earned


def trial(vectors: Vectors, labels: Array, config: DistillConfig, scores: Array) -> Trial:
    """The number of epochs and the temperature, judged on a fifth of the queries, which is set aside."""
    aside = np.random.default_rng(config.seed).permutation(len(labels)) % ASIDE == 0
    wins = complete(metrics.win_shares(scores[aside]), labels[aside])

    def fit(judge: Judge) -> RouterHead:
        return fit_head(vectors[~aside], labels[~aside], config, scores=scores[~aside], judge=judge)

    return _best_trial(fit, vectors[aside], wins, config.epochs, PATIENCE)[0]


def _best_trial(
    fit: Callable[[Judge], RouterHead], vectors: Vectors, wins: Array, epochs: int, patience: float = math.inf
) -> tuple[Trial, Array]:
    """The epoch after which a head best predicts the winners on the queries set aside, and its logits there."""
    trials: list[tuple[float, Trial, Array]] = []

    def judge(head: RouterHead, epoch: int) -> None:
        logits = head.logits(vectors)
        temperature = calibration.fit_temperature(logits, wins)
        trials.append((calibration.log_loss(logits, wins, temperature), Trial(epoch, temperature), logits))
        if len(trials) - 1 - min(range(len(trials)), key=lambda row: trials[row][0]) >= patience:
            raise _EnoughError

    try:
        head = fit(judge)
        if not trials:
            judge(head, epochs)
    except _EnoughError:
        pass
    _, best, logits = min(trials, key=lambda entry: entry[0])
    return best, logits


def fit_head(
    vectors: Vectors,
    labels: Array,
    config: DistillConfig,
    progress: Progress = lambda epoch, loss: None,
    scores: Array | None = None,
    judge: Judge | None = None,
) -> RouterHead:
    """A head of any kind but `auto` after all of the config's epochs, with numbers for the candidates' names.

    `judge` sees it after each epoch. Every kind gets the scores relative to their query's mean and in units of their
    spread, so that their original scale does not matter.

    Raises:
        WorkError: its weights are not finite.
    """
    # In double precision, so that small differences between large scores are kept.
    scores = normalise(labels if scores is None else scores, "spread", ())
    scores = np.where(np.isnan(scores).all(axis=0), 0.0, scores)  # a candidate without any scores counts as average
    lessons = Lessons(vectors, np.asarray(labels, dtype=np.float32), scores.astype(np.float32))
    settings = load_kind("router", KINDS, config.kind).plan(lessons, config)
    names = [str(number) for number in range(labels.shape[1])]
    head = RouterHead(RouterHeadConfig(names, "", vectors.shape[-1], config.kind, settings))

    def after_epoch(epoch: int, loss: float) -> None:
        progress(epoch, loss)
        if judge is not None:
            judge(head, epoch)

    with np.errstate(all="ignore"):  # divergence is refused below
        head.body.fit(lessons, config, after_epoch)
    check_converged(head, config)
    return head


def check_converged(head: RouterHead, config: DistillConfig) -> None:
    """Refuse the result of a training whose weights are not finite.

    Raises:
        WorkError: a weight is NaN or infinite.
    """
    for name, weights in head.body.state.items():
        if not np.isfinite(weights).all():
            raise diverged(name, config)


def diverged(name: str, config: DistillConfig) -> WorkError:
    """The error for a training that ended with a NaN or an infinite weight."""
    return WorkError(
        f"a training of the router kind {config.kind} that converges",
        f"NaN or infinity in its weights ({name})",
        "Lower its settings, for instance with --router-set rate=0.001.",
    )


@dataclass(frozen=True)
class Scored:
    """A router's training data: n queries, N candidates."""

    vectors: Vectors  # shape (n, width)
    scores: Array  # shape (n, N), NaN where one is missing
    groups: NDArray[Any]  # each query's data set
    labels: Callable[[Rows], Array]  # row numbers -> their labels, made from these rows alone

    @classmethod
    def of(
        cls, scores: Array, datasets: Sequence[str], tags: TagIndex, vectors: Vectors, config: LabelConfig
    ) -> Scored:
        """From score files and runs. Labels of some queries, including tag priors, use these queries alone."""
        groups = np.array(datasets)

        def labels(rows: Rows) -> Array:
            return label(scores[rows], groups[rows].tolist(), tags.rows(rows), config).enhanced

        return cls(vectors, scores, groups, labels)

    def part(self, rows: Rows) -> Scored:
        """Some of the queries, by their row numbers."""
        return Scored(self.vectors[rows], self.scores[rows], self.groups[rows], lambda few: self.labels(rows[few]))


@dataclass(frozen=True)
class Chosen:
    """The result of cross-validation."""

    parts: list[DistillConfig]  # how each part is trained; empty if there are fewer than FEWEST queries
    # The arguments of an AutoHead besides its parts.
    settings: dict[str, Any]
    state: State
    temperature: float = 1.0  # of the weighted sum
    earned: Array | None = None  # as from `earned_by`; None without cross-validation


def compare(
    scored: Scored, config: DistillConfig, progress: Callable[[int, int], None] = lambda done, total: None
) -> Chosen:
    """Compare the kinds of router on the same folds, and find how much of their mixture the evidence supports.

    Folds are stratified by data set. method/mixture.py has the rule.

    Args:
        config: of the part that imitates labels; at most its `epochs` are tried.
        progress: called with the number of trainings done, and their total.
    """
    scores, count = scored.scores, len(scored.scores)
    if count < FEWEST or scores.shape[1] < 2:
        level = mixture.normalised(mixture.level(scores))
        return Chosen([], {"share": 0.0}, {"weights": np.zeros(0), "level": level})
    folds = parts_of_folds = mixture.stratified(scored.groups, FOLDS if count <= MANY else FEW_FOLDS, config.seed)
    if count > MANY:  # the means of three folds would say little about their spread
        parts_of_folds = mixture.stratified(scored.groups, 2 * FEW_FOLDS, config.seed)
    wins = metrics.win_shares(scores)
    wins = complete(wins, mean_label(wins))
    parts, predictions = _predict(scored, config, folds, wins, progress)
    priors = tuple(prior for _, _, prior in MIXTURE)
    mix, factors = mixture.mixed(predictions, priors)
    cautious, rest = mixture.mixed(predictions, np.eye(len(parts))[-1])
    alone = mixture.better_alone(predictions, mix, scores)
    if alone is not None:
        mix, factors = mixture.mixed(predictions, np.eye(len(parts))[alone])
    evidence = mixture.significance(mix, scores, folds)
    share, share_far = mixture.shrinkage(evidence), mixture.shrinkage(evidence, mixture.CLEAR_FAR)
    rows = np.sort(np.random.default_rng(config.seed).permutation(count)[:LANDMARKS])
    landmarks, similarities = _similarities(scored.vectors, rows, folds)
    nearest = similarities.max(axis=1, keepdims=True)
    low, high = mixture.reach(nearest)
    near = ((nearest - low) / (high - low)).clip(0, 1)
    levels = mixture.normalised(mixture.cross_fitted_levels(scores, folds))
    order = mixture.places(levels)
    far = (1 - share_far) * levels + mixture.FAR_START * order
    unseen = near * (share * mix + (1 - share) * cautious) + (1 - near) * (share_far * mix + far)
    start = mixture.head_start(unseen, order, near, scores)
    unseen += near * start * order
    level = mixture.normalised(mixture.level(scores))
    gains: dict[str, Array] = {}
    if count <= LANDMARKS:
        best = levels.argmax(axis=1)
        unseen = mixture.supported(unseen, mixture.support(similarities, scores, best), far, best)
        gains = {"gains": np.nan_to_num(scores - scores[:, [level.argmax()]])}
    weights, order = share * factors + (1 - share) * rest, mixture.places(level)
    used = weights != 0
    settings: dict[str, Any] = {"share": round(share, 4)}
    state: State = {"weights": weights[used], "level": start * order}
    if used.any():
        far_level = (1 - share_far) * level + mixture.FAR_START * order
        state |= {"far.weights": (share_far * factors)[used], "far.level": far_level, **gains}
        state |= {"landmarks": landmarks, "reach": np.array((low, high))}
        settings |= {"share_far": round(share_far, 4), "landmarks": len(landmarks), "support": bool(gains)}
    return Chosen(
        parts=[part for part, weight in zip(parts, weights, strict=True) if weight],
        settings=settings,
        state=state,
        temperature=calibration.fit_temperature(unseen, wins),
        earned=_earned(unseen, scores, folds, parts_of_folds),
    )


def _predict(
    scored: Scored, config: DistillConfig, folds: Rows, wins: Array, progress: Callable[[int, int], None]
) -> tuple[list[DistillConfig], Array]:
    """The kinds that are mixed, and the logits of each for every query by a head that learned without the query's fold,
    shape (K, n, N). The first fold decides how many epochs the imitation of labels takes.
    """
    parts = [configure(kind, extra, config.seed) for kind, extra, _ in MIXTURE]
    parts[0] = replace(config, kind=ZOOTER)
    predictions, total = np.empty((len(parts), *scored.scores.shape)), len(parts) * (folds.max() + 1)
    for number in range(total):
        part, fold = divmod(number, folds.max() + 1)
        progress(number, total)
        if number == 0:
            aside, fit = folds == 0, partial(_trained, scored, parts[0], folds != 0)
            best, predictions[0, aside] = _best_trial(fit, scored.vectors[aside], wins[aside], config.epochs)
            parts[0] = replace(parts[0], epochs=best.epochs)
            continue
        head = _trained(scored, parts[part], folds != fold)
        predictions[part, folds == fold] = head.logits(scored.vectors[folds == fold])
    progress(total, total)
    return parts, predictions


def _similarities(vectors: Vectors, rows: Rows, folds: Rows) -> tuple[NDArray[np.float32], Array]:
    """The landmarks in these rows, and each query's cosine similarities, shape (n, L); -1 to those of its own fold."""
    landmarks = unit(np.asarray(vectors[rows], np.float32))
    similarities = np.concatenate([unit(part) @ landmarks.T for part in in_parts(vectors)])
    similarities[folds[:, np.newaxis] == folds[rows]] = -1
    return landmarks, similarities.astype(np.float64)


def earned_by(scored: Scored, config: DistillConfig) -> Array:
    """What a router of any kind but `auto` would have earned on unseen queries, shape (3, n).

    For each query: the score of the choice of a router that learned from the other folds, the score of the best single
    candidate of these folds, and the index of the query's fold.
    """
    folds = mixture.stratified(scored.groups, FOLDS, config.seed)
    logits = np.empty(scored.scores.shape)
    for fold in np.unique(folds):
        head = _trained(scored, config, folds != fold)
        logits[folds == fold] = head.logits(scored.vectors[folds == fold])
    return _earned(logits, scored.scores, folds, folds)


def _earned(logits: Array, scores: Array, folds: Rows, parts: Rows) -> Array:
    choices = (logits, mixture.cross_fitted_levels(scores, folds))
    return np.stack([*(mixture.chosen(choice, scores) for choice in choices), parts])


def _trained(scored: Scored, part: DistillConfig, rows: NDArray[np.bool_], judge: Judge | None = None) -> RouterHead:
    """A head that is trained on some of the queries."""
    scores, numbers = scored.scores[rows], np.flatnonzero(rows)
    labels = scored.labels(numbers) if part.kind == ZOOTER else scores  # the others learn from the scores
    return fit_head(scored.vectors[rows], labels, part, scores=scores, judge=judge)
