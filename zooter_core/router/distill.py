"""Distillation: fits a router's head to labels or scores.

The kind `zooter` minimises the mean KL(label || router) (paper, equation 3). For the other kinds, see kinds/. The kind
`auto` combines several kinds, with weights from cross-validation.
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
Judge = Callable[[RouterHead, int], None]  # called after each epoch with the head and the epoch
TRIAL = 100  # the least number of queries for a trial with a validation set
MOST_TRIED = 20_000  # the most queries in a trial or a comparison of kinds
MOST_EXAMPLES = 2_000_000  # the most queries in all epochs together
LARGER = 16  # the largest factor by which batches grow if there are many queries
ASIDE = 5  # one query in five is in the validation set
PATIENCE = 8  # epochs without an improvement after which a trial ends

# The kinds that are compared, and their weights in the mixture, which were found on folds of public scores. On queries
# unlike all training queries, imitating labels chooses best. The last kind, a regression, is the mixture's fallback;
# adding it to the others does not help.
MIXTURE: Sequence[tuple[str, dict[str, float], float]] = (
    (ZOOTER, {}, 4.0),
    ("kmeans", {"clusters": 8}, 1.0),
    ("kmeans", {"clusters": 32}, 1.0),
    (BAYES, {}, 0.0),
)
FEWEST = 10  # queries; with fewer, only each candidate's mean score is learned
FOLDS, FEW_FOLDS, MANY = 5, 3, 2_000  # fewer folds if there are many queries, to save time
LANDMARKS = 200  # training queries that a router stores, to recognise queries that are unlike them


@dataclass(frozen=True)
class Trial:
    """The best number of epochs and the best temperature on a validation set."""

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
    """Train a head of the config's kind: on labels (`zooter`), on scores (other kinds), or on both (`auto`).

    With TRIAL queries or more, a trial finds the number of epochs (at most the config's) and the temperature that best
    predict the winners on a validation set. The head is then trained on all queries.

    Args:
        vectors: the queries' vectors, shape (n, width).
        labels: the labels, shape (n, candidates), whose rows sum to one.
        encoder: the reference of the encoder that computed the vectors.
        progress: called with each epoch and its mean loss in nats; not called for kinds with a closed form.
        scores: the raw scores, shape (n, candidates), NaN where a score is missing. By default, the labels.

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
    """The config with this number of epochs. If there are many queries, with fewer epochs and larger batches."""
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
    """Train a head of the kind `auto`.

    If there are more than MOST_TRIED queries, the kinds are compared on a random sample. The kinds with a weight are
    then trained on all queries.

    Args:
        compared: called with the number of trainings done in the comparison, and their total.

    Returns:
        The head, and its results in cross-validation (`Chosen.earned`), which are NaN for queries without a fold.
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
    """The best number of epochs and the best temperature, with a fifth of the queries as validation set."""
    aside = np.random.default_rng(config.seed).permutation(len(labels)) % ASIDE == 0
    wins = complete(metrics.win_shares(scores[aside]), labels[aside])

    def fit(judge: Judge) -> RouterHead:
        return fit_head(vectors[~aside], labels[~aside], config, scores=scores[~aside], judge=judge)

    return _best_trial(fit, vectors[aside], wins, config.epochs, PATIENCE)[0]


def _best_trial(
    fit: Callable[[Judge], RouterHead], vectors: Vectors, wins: Array, epochs: int, patience: float = math.inf
) -> tuple[Trial, Array]:
    """The epoch after which a head best predicts the winners on the validation set, and its logits on this set.

    Args:
        fit: trains a head and calls its argument after each epoch.
        vectors, wins: the validation set.
    """
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
    """Train a head of any kind except for `auto` for all of the config's epochs. Its candidates are named by numbers.

    All kinds get the scores relative to the query's mean and in units of their spread, so that their original scale
    does not matter.

    Args:
        judge: called with the head after each epoch.

    Raises:
        WorkError: the trained weights are not finite.
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

    with np.errstate(all="ignore"):  # divergence raises an error below
        head.body.fit(lessons, config, after_epoch)
    check_converged(head, config)
    return head


def check_converged(head: RouterHead, config: DistillConfig) -> None:
    """Check that all trained weights are finite.

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
    scores: Array  # shape (n, N), NaN where a score is missing
    groups: NDArray[Any]  # each query's data set
    labels: Callable[[Rows], Array]  # row numbers -> the labels of these queries, computed without other queries

    @classmethod
    def of(
        cls, scores: Array, datasets: Sequence[str], tags: TagIndex, vectors: Vectors, config: LabelConfig
    ) -> Scored:
        """The training data from score files and runs. Labels and tag priors of some queries use these queries only."""
        groups = np.array(datasets)

        def labels(rows: Rows) -> Array:
            return label(scores[rows], groups[rows].tolist(), tags.rows(rows), config).enhanced

        return cls(vectors, scores, groups, labels)

    def part(self, rows: Rows) -> Scored:
        """The training data of some queries, given by their row numbers."""
        return Scored(self.vectors[rows], self.scores[rows], self.groups[rows], lambda few: self.labels(rows[few]))


@dataclass(frozen=True)
class Chosen:
    """The result of cross-validation."""

    parts: list[DistillConfig]  # the settings of each part; empty if there are fewer than FEWEST queries
    # The arguments of AutoHead except for its parts.
    settings: dict[str, Any]
    state: State
    temperature: float = 1.0  # of the weighted sum
    earned: Array | None = None  # as returned by `earned_by`; None without cross-validation


def compare(
    scored: Scored, config: DistillConfig, progress: Callable[[int, int], None] = lambda done, total: None
) -> Chosen:
    """Compare router kinds on the same folds, and find how much of their mixture the evidence supports.

    Folds are stratified by data set. The rule is in method/mixture.py.

    Args:
        config: the settings of the part that imitates labels. At most `epochs` of them are tried.
        progress: called with the number of trainings done, and their total.
    """
    scores, count = scored.scores, len(scored.scores)
    if count < FEWEST or scores.shape[1] < 2:
        level = mixture.normalised(mixture.level(scores))
        return Chosen([], {"share": 0.0}, {"weights": np.zeros(0), "level": level})
    folds = parts_of_folds = mixture.stratified(scored.groups, FOLDS if count <= MANY else FEW_FOLDS, config.seed)
    if count > MANY:  # the spread of only three means would be too uncertain
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
    """Train each kind once per fold, without the queries of this fold.

    The first fold decides the number of epochs for the part that imitates labels.

    Returns:
        The settings of each kind, and its logits for each query, from the head trained without the query's fold; of
        shape (K, n, N).
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
    """The landmarks, which are the queries in these rows, and each query's cosine similarity to each, shape (n, L).

    Similarities to landmarks of the query's own fold are -1.
    """
    landmarks = unit(np.asarray(vectors[rows], np.float32))
    similarities = np.concatenate([unit(part) @ landmarks.T for part in in_parts(vectors)])
    similarities[folds[:, np.newaxis] == folds[rows]] = -1
    return landmarks, similarities.astype(np.float64)


def earned_by(scored: Scored, config: DistillConfig) -> Array:
    """The scores of a router of any kind except for `auto` on unseen queries, from cross-validation, shape (3, n).

    The rows are, for each query: the score of the candidate chosen by a router that was trained on the other folds, the
    score of the candidate that is best on these folds, and the index of the query's fold.
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
    """Train a head on some of the queries."""
    scores, numbers = scored.scores[rows], np.flatnonzero(rows)
    labels = scored.labels(numbers) if part.kind == ZOOTER else scores  # other kinds learn from the scores
    return fit_head(scored.vectors[rows], labels, part, scores=scores, judge=judge)
