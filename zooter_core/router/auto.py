"""Router kind `auto`: which kinds of router the queries speak for, by cross-validation, and how clearly.

All kinds are judged by the same folds, in which each data set has its share. method/mixture.py has the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.method import calibration, metrics, mixture
from zooter_core.method.labels import LabelConfig, complete, label, mean_label
from zooter_core.method.tags import TagIndex
from zooter_core.router.clusters import Vectors
from zooter_core.router.head import RouterHead, in_parts
from zooter_core.router.kinds import BAYES, ZOOTER, DistillConfig, settings_of
from zooter_core.router.kinds.arrays import unit

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
Fit = Callable[..., RouterHead]  # distill.fit_head, which trains the heads
# The kinds that are compared, with their weights in the mixture, by trials on folds of public scores. The imitation of
# labels chooses best where a query is unlike all that were learned from. The last is what the mixture falls back on; a
# regression does not help the others.
MIXTURE: Sequence[tuple[str, dict[str, float], float]] = (
    (ZOOTER, {}, 4.0),
    ("kmeans", {"clusters": 8}, 1.0),
    ("kmeans", {"clusters": 32}, 1.0),
    (BAYES, {}, 0.0),
)
FEWEST = 10  # queries; of fewer, each candidate's mean score is all that can be learned
FOLDS, FEW_FOLDS, MANY = 5, 3, 2_000  # fewer folds, which take less time, where there are many queries
LANDMARKS = 200  # queries by which a router knows what it has learned from


@dataclass(frozen=True)
class Scored:
    """What routers learn from: n queries, N candidates.

    Attributes:
        vectors: shape (n, width).
        scores: shape (n, N), NaN where one is missing.
        groups: the data set of each query.
        labels: row numbers -> their labels, made from these rows alone.
    """

    vectors: Vectors
    scores: Array
    groups: NDArray[Any]
    labels: Callable[[Rows], Array]

    @classmethod
    def of(
        cls, scores: Array, datasets: Sequence[str], tags: TagIndex, vectors: Vectors, config: LabelConfig
    ) -> Scored:
        """From score files and runs. Labels of a part of the queries are made from that part alone, tag priors too."""
        groups = np.array(datasets)

        def labels(rows: Rows) -> Array:
            return label(scores[rows], groups[rows].tolist(), tags.rows(rows), config).enhanced

        return cls(vectors, scores, groups, labels)

    def part(self, rows: Rows) -> Scored:
        """Some of the queries, by their row numbers."""
        return Scored(self.vectors[rows], self.scores[rows], self.groups[rows], lambda few: self.labels(rows[few]))


@dataclass(frozen=True)
class Chosen:
    """What cross-validation chose.

    Attributes:
        parts: the settings of each part; none from fewer than FEWEST queries.
        weights, level: of the parts, shape (K,), and of the candidates, shape (N,), for queries like the landmarks.
            Where there are parts, the level is a head start.
        far: both for other queries.
        share, share_far: of the mixture in them; the rest is the regression that it falls back on, and the level.
        landmarks: unit vectors, shape (L, width).
        gains: of each candidate over the best single one on the landmarks, shape (L, N), where they are all queries;
            none of more queries.
        reach: similarities, as from `mixture.reach`.
        temperature: of the weighted sum.
        earned: as from `earned_by`; None without cross-validation.
    """

    parts: list[DistillConfig]
    weights: Array
    level: Array
    far: tuple[Array, Array] = (np.zeros(0), np.zeros(0))
    share: float = 0.0
    share_far: float = 0.0
    landmarks: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    gains: Array = field(default_factory=lambda: np.zeros((0, 0)))
    reach: tuple[float, float] = (0.0, 1.0)
    temperature: float = 1.0
    earned: Array | None = None


def compare(
    scored: Scored, config: DistillConfig, fit: Fit, progress: Callable[[int, int], None] = lambda done, total: None
) -> Chosen:
    """Compare the kinds of router, and find how much of their mixture the evidence supports.

    Args:
        config: of the part that imitates labels; its `epochs` are the most that are tried.
        progress: called with the number of trainings done, and of all.
    """
    scores, count = scored.scores, len(scored.scores)
    if count < FEWEST or scores.shape[1] < 2:
        return Chosen([], np.zeros(0), mixture.normalised(mixture.level(scores)))
    folds = parts_of_folds = mixture.stratified(scored.groups, FOLDS if count <= MANY else FEW_FOLDS, config.seed)
    if count > MANY:  # the means of three folds would say little of their spread
        parts_of_folds = mixture.stratified(scored.groups, 2 * FEW_FOLDS, config.seed)
    wins = metrics.win_shares(scores)
    wins = complete(wins, mean_label(wins))
    parts, predictions = _predict(scored, config, fit, folds, wins, progress)
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
    levels = mixture.normalised(mixture.levels_of(scores, folds))
    order = mixture.places(levels)
    far = (1 - share_far) * levels + mixture.FAR_START * order
    unseen = near * (share * mix + (1 - share) * cautious) + (1 - near) * (share_far * mix + far)
    start = mixture.head_start(unseen, order, near, scores)
    unseen += near * start * order
    level = mixture.normalised(mixture.level(scores))
    gains = np.zeros((0, 0))
    if count <= LANDMARKS:
        best = levels.argmax(axis=1)
        unseen = mixture.supported(unseen, mixture.support(similarities, scores, best), far, best)
        gains = np.nan_to_num(scores - scores[:, [level.argmax()]])
    weights, order = share * factors + (1 - share) * rest, mixture.places(level)
    return Chosen(
        parts=[part for part, weight in zip(parts, weights, strict=True) if weight],
        weights=weights[weights != 0],
        level=start * order,
        far=((share_far * factors)[weights != 0], (1 - share_far) * level + mixture.FAR_START * order),
        share=share,
        share_far=share_far,
        landmarks=landmarks,
        gains=gains,
        reach=(low, high),
        temperature=calibration.temperature_of(unseen, wins),
        earned=_earned(unseen, scores, folds, parts_of_folds),
    )


def _predict(
    scored: Scored, config: DistillConfig, fit: Fit, folds: Rows, wins: Array, progress: Callable[[int, int], None]
) -> tuple[list[DistillConfig], Array]:
    """The kinds that are mixed, and the logits of each for every query by a head that learned without the query's fold,
    shape (K, n, N). The first fold decides how many epochs the imitation of labels takes.
    """
    parts = [settings_of(kind, extra, config.seed) for kind, extra, _ in MIXTURE]
    parts[0] = replace(config, kind=ZOOTER)
    predictions, total = np.empty((len(parts), *scored.scores.shape)), len(parts) * (folds.max() + 1)
    for number in range(total):
        part, fold = divmod(number, folds.max() + 1)
        progress(number, total)
        if number == 0:
            epochs, predictions[0, folds == 0] = _first(scored, parts[0], folds == 0, wins, fit)
            parts[0] = replace(parts[0], epochs=epochs)
            continue
        head = _trained(scored, parts[part], folds != fold, fit)
        predictions[part, folds == fold] = head.logits(scored.vectors[folds == fold])
    progress(total, total)
    return parts, predictions


def _similarities(vectors: Vectors, rows: Rows, folds: Rows) -> tuple[NDArray[np.float32], Array]:
    """The landmarks in these rows, and each query's cosine similarities, shape (n, L); -1 to those of its own fold."""
    landmarks = unit(np.asarray(vectors[rows], np.float32))
    similarities = np.concatenate([unit(part) @ landmarks.T for part in in_parts(vectors)])
    similarities[folds[:, np.newaxis] == folds[rows]] = -1
    return landmarks, similarities.astype(np.float64)


def earned_by(scored: Scored, config: DistillConfig, fit: Fit) -> Array:
    """What a kind of router would have earned on queries that it has not seen, shape (3, n).

    For each query: the score of the candidate chosen by a router that learned from the other folds, the score of the
    best single candidate of those folds, and the number of the query's fold.
    """
    folds = mixture.stratified(scored.groups, FOLDS, config.seed)
    logits = np.empty(scored.scores.shape)
    for fold in np.unique(folds):
        head = _trained(scored, config, folds != fold, fit)
        logits[folds == fold] = head.logits(scored.vectors[folds == fold])
    return _earned(logits, scored.scores, folds, folds)


def _earned(logits: Array, scores: Array, folds: Rows, parts: Rows) -> Array:
    choices = (logits, mixture.levels_of(scores, folds))
    return np.stack([*(mixture.chosen(choice, scores) for choice in choices), parts])


def _first(scored: Scored, part: DistillConfig, aside: NDArray[np.bool_], wins: Array, fit: Fit) -> tuple[int, Array]:
    """After how many epochs a head best predicts who wins on the queries set aside, and its logits there."""
    trials: list[tuple[float, int, Array]] = []

    def judge(head: RouterHead, epoch: int) -> None:
        logits = head.logits(scored.vectors[aside])
        temperature = calibration.temperature_of(logits, wins[aside])
        trials.append((calibration.log_loss(logits, wins[aside], temperature), epoch, logits))

    _trained(scored, part, ~aside, fit, judge)
    _, epoch, logits = min(trials, key=lambda trial: trial[0])
    return epoch, logits


def _trained(scored: Scored, part: DistillConfig, rows: NDArray[np.bool_], fit: Fit, judge: Any = None) -> RouterHead:
    """A head that has learned from some of the queries."""
    scores, numbers = scored.scores[rows], np.flatnonzero(rows)
    labels = scored.labels(numbers) if part.kind == ZOOTER else scores  # the others learn from the scores
    names = [str(number) for number in range(scores.shape[1])]
    return fit(scored.vectors[rows], labels, names, "", part, scores=scores, judge=judge)
