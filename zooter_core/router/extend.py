"""Add a candidate to a router's pool, or remove one, without training the router again.

With the old candidates' logits z frozen, KL(s* || softmax(z, u)) over the wider pool is, up to a constant in u,

    -s*_new log p - (1 - s*_new) log(1 - p),   p = sigmoid(u - logsumexp(z))

so the new logit u is a logistic regression of the new candidate's label share. Its inputs are the members' hidden
states, frozen too: one output column for each member. The problem is convex, and its level is fixed: z are
log-probabilities, and labels and z are both at temperature 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import ZooterError, did_you_mean, listed
from zooter_core.base.files import update_folder, writing
from zooter_core.base.strict_json import dump_json
from zooter_core.data.run_folder import REPORT
from zooter_core.data.scores import Scores
from zooter_core.method import calibration, labels, metrics, mixture
from zooter_core.method.labels import LabelConfig
from zooter_core.method.tags import TagIndex
from zooter_core.router.clusters import Vectors
from zooter_core.router.config import CONFIG
from zooter_core.router.distill import MOST_TRIED, TRIAL
from zooter_core.router.distilled import DistilledRouter, RouterHead, in_parts
from zooter_core.router.kinds import AUTO, BAYES, PROFILE, ZOOTER
from zooter_core.router.kinds.auto import AutoHead, above
from zooter_core.router.kinds.base import HeadChange, Lessons, State
from zooter_core.router.neighbours import ARRAYS, LEARNED, RECORDS, text_hashes

Array = NDArray[np.float64]
Learner = Callable[[NDArray[np.intp]], State]  # rows to learn from -> the new candidate's column
ABLE = (AUTO, ZOOTER, "kmeans", PROFILE, BAYES)
FEWEST = 20  # queries to learn a column from
MOST_LEARNED = 100_000
FOLDS = 5
PENALTIES = (100.0, 10.0, 1.0, 0.1)  # from one share for every query to a close fit
ROUNDS, TOLERANCE = 200, 1e-4  # of the regression


@dataclass(frozen=True)
class Examples:
    """n queries with scores of the wider pool.

    Attributes:
        scores: the router's N candidates in its order and the new one at the end, N + 1 columns.
        vectors: shape (n, width), by the router's encoder.
        tags: of each query.
        config: how scores become labels; `holdout` and `seed` are not used.
        familiar: which queries the old router has learned from, shape (n,); None where it does not say.
    """

    scores: Scores
    vectors: Vectors
    tags: Sequence[Sequence[str]]
    config: LabelConfig
    familiar: labels.Mask | None = None

    def subset(self, rows: Sequence[int] | NDArray[np.intp]) -> Examples:
        """The queries of some row numbers."""
        numbers = np.asarray(rows, dtype=np.intp)
        tags = TagIndex.of(self.tags).rows(numbers)
        familiar = None if self.familiar is None else self.familiar[numbers]
        return Examples(self.scores.subset(numbers.tolist()), self.vectors[numbers], tags, self.config, familiar)

    def sample(self, most: int, seed: int) -> Examples:
        """At most `most` of the queries, drawn at random, in their order."""
        if most >= len(self.vectors):
            return self
        return self.subset(np.sort(np.random.default_rng(seed).permutation(len(self.vectors))[:most]))

    def labels(self) -> Array:
        """Enhanced labels over the wider pool, shape (n, N + 1), on the scale of the old router's.

        The old candidates alone set the scale: a newcomer far from them does not change the meaning of a difference
        between two of them.
        """
        old = self.scores.scores.shape[1] - 1
        columns = old if old > 1 else None  # one candidate has no spread
        table, groups = self.scores.scores, self.scores.datasets
        return labels.label(table, groups, self.tags, self.config, scale_columns=columns).enhanced


@dataclass(frozen=True)
class Extension:
    """A wider router's head; `penalty` is the one that cross-validation chose, None where the kind has none."""

    head: RouterHead
    penalty: float | None


def matched(scores: Scores, pool: Sequence[str], candidate: str) -> Scores:
    """The columns that an extension needs: the pool in its order, then the candidate; the queries with its score.

    Raises:
        ZooterError: the candidate is in the pool already, the files lack it or one of the pool, or there are too few
            queries.
    """
    if candidate in pool:
        raise ZooterError(
            f"a candidate that the router does not have ({listed(pool)})",
            f'"{candidate}"',
            "Name another, or take this one out first: `zooter extend --without NAME`.",
        )
    if candidate not in scores.candidates:
        others = [name for name in scores.candidates if name not in pool]
        next_step = did_you_mean(candidate, others) if others else "Score its responses to these queries first."
        raise ZooterError(f"scores of {candidate} in the files", f"only {listed(scores.candidates)}", next_step)
    if missing := [name for name in pool if name not in scores.candidates]:
        raise ZooterError(
            f"scores of all of the router's candidates ({listed(pool)})",
            f"none of {listed(missing)}",
            "Add theirs on the same queries: a label compares the new candidate with each of them.",
        )
    scores = scores.only((*pool, candidate))
    scores = scores.subset(np.flatnonzero(~np.isnan(scores.scores[:, -1])).tolist())
    if len(scores.queries) < FEWEST:
        raise ZooterError(
            f"at least {FEWEST} queries with scores", str(len(scores.queries)), "Score more; 200 make a good start."
        )
    return scores


def familiar_rows(scores: Scores, learned: NDArray[np.uint64] | None) -> labels.Mask | None:
    """Which queries a router has learned from, by the hashes in its folder; None where it has none."""
    return None if learned is None else np.isin(text_hashes(query.text for query in scores.queries), learned)


def joined(scores: Scores, learned: NDArray[np.uint64] | None) -> NDArray[np.uint64] | None:
    """The hashes of what a router has learned from with these queries too."""
    return None if learned is None else np.union1d(learned, text_hashes(query.text for query in scores.queries))


def extend(head: RouterHead, examples: Examples, seed: int = 0) -> Extension:
    """A head with one more candidate at the end of its pool; the others' logits stay as they are, to the bit.

    Cross-validation chooses the penalty, by the log loss of who wins: it uses every query, which matters where there
    are few. Of very many, a random MOST_TRIED choose it, and a random MOST_LEARNED teach the column. From TRIAL queries
    on it also finds a new temperature, because the old one is for fewer candidates; from fewer queries the new
    temperature is worse than the old one, which then stays.

    Raises:
        ZooterError: heads of this kind cannot learn one candidate alone.
        WorkError: the new head's probabilities are not finite.
    """
    if head.config.kind not in ABLE:
        raise ZooterError(
            f"a router of a kind that can be extended ({listed(ABLE)})",
            f"the kind {head.config.kind}, whose parts are learned together",
            "Distill a new one from the score files: `zooter distill --scores FILE... --router-kind KIND`.",
        )
    tried, taught = examples.sample(MOST_TRIED, seed), examples.sample(MOST_LEARNED, seed)
    name, wins = examples.scores.candidates[-1], metrics.win_shares(tried.scores.scores)
    if np.isnan(wins).any():
        wins = labels.complete(wins, tried.labels())
    folds = np.random.default_rng(seed).permutation(len(wins)) % FOLDS
    trials: list[tuple[float, float, int]] = []  # log loss, temperature, number of the learner
    learners = _learners(head, tried)
    for number, learner in enumerate(learners):
        logits = np.empty(wins.shape)
        for fold in range(FOLDS):
            wider = _wider(head, name, learner(np.flatnonzero(folds != fold)))
            logits[folds == fold] = wider.logits(tried.vectors[folds == fold])
        temperature = head.config.calibration_temperature
        if len(wins) >= TRIAL:
            temperature = calibration.temperature_of(logits, wins)
        trials.append((calibration.log_loss(logits, wins, temperature), temperature, number))
    _, temperature, best = min(trials, key=lambda entry: entry[0])
    learner = learners[best] if taught is tried else _learners(head, taught)[best]
    wider = _wider(head, name, learner(np.arange(len(taught.vectors))))
    wider.config.calibration_temperature = temperature
    for part in in_parts(examples.vectors):
        wider.probabilities(part)  # raises where they are not finite
    return Extension(wider, PENALTIES[best] if len(learners) > 1 else None)


def without(head: RouterHead, name: str) -> RouterHead:
    """A head without one of its candidates; the others' logits stay as they are.

    Raises:
        ZooterError: the head has no such candidate, or no other one.
    """
    pool = head.config.candidates
    if name not in pool:
        raise ZooterError("a candidate of the router", f'"{name}"', did_you_mean(name, pool))
    if len(pool) == 1:
        sentence = f"{name} is the router's only candidate."
        raise ZooterError("a second candidate", "none", "Add another first: `zooter extend --candidate`.", sentence)
    columns = [column for column, other in enumerate(pool) if other != name]
    return _changed(head, [pool[column] for column in columns], head.body.selecting(columns))


def save(
    router: DistilledRouter, folder: Path, figures: dict[str, Any], learned: NDArray[np.uint64] | None = None
) -> None:
    """Write the router's folder with report.json; its old contents stay until everything is written.

    Args:
        learned: hashes of all texts that it has learned from; None if they are not known.

    Raises:
        ZooterError: the folder cannot be made.
        WorkError: the disk is full.
    """
    old = (ARRAYS, RECORDS, LEARNED)  # of an earlier router there: their labels are of another pool
    with update_folder(folder, CONFIG, old) as partial, writing(folder):
        router.save(partial)
        if learned is not None:
            np.save(partial / LEARNED, learned, allow_pickle=False)
        (partial / REPORT).write_text(dump_json(figures, indent=2) + "\n", encoding="utf-8")


def _wider(head: RouterHead, name: str, column: State) -> RouterHead:
    return _changed(head, [*head.config.candidates, name], head.body.adding(column))


def _changed(head: RouterHead, pool: Sequence[str], change: HeadChange) -> RouterHead:
    settings, state = change
    merged = {key: value for key, value in {**head.config.settings, **settings}.items() if value is not None}
    other = RouterHead(replace(head.config, candidates=list(pool), settings=merged))
    other.set_state(state)
    return other


def _learners(head: RouterHead, examples: Examples) -> list[Learner]:
    """The ways to learn a column that cross-validation chooses from: one for each penalty, or the kind's only one."""
    if head.config.kind != AUTO:
        return _learners_of(head.body, head.config.kind, examples)
    assert isinstance(head.body, AutoHead)
    name, kinds = examples.scores.candidates[-1], head.body.kinds
    parts = [_learners_of(part, kind, examples) for part, kind in zip(head.body.parts, kinds, strict=True)]
    old, scores = head.logits(examples.vectors), examples.scores.scores
    # The unit of the logits is the spread of the old candidates' relative scores.
    unit = (mixture.size(mixture.relative(old)) or 1.0) / (mixture.size(mixture.relative(scores[:, :-1])) or 1.0)
    gain = unit * (scores[:, -1] - metrics.mean(scores[:, :-1], axis=1)) + old.mean(axis=1)

    def learner(number: int) -> Learner:
        def learn(rows: NDArray[np.intp]) -> State:
            column: State = {"level": np.zeros(1, dtype=np.float32)}
            for place, learners in enumerate(parts):
                inner = learners[min(number, len(learners) - 1)](rows)
                column |= above(inner, place)
            predicted = _wider(head, name, column).logits(examples.vectors[rows])[:, -1]
            return column | {"level": np.array([metrics.mean(gain[rows] - predicted)], dtype=np.float32)}

        return learn

    return [learner(number) for number in range(max((len(part) for part in parts), default=1))]


def _learners_of(body: Any, kind: str, examples: Examples) -> list[Learner]:
    if kind != ZOOTER:
        new = examples.scores.scores[:, -1:]
        if kind == BAYES:
            new = new - metrics.mean(examples.scores.scores[:, :-1], axis=1, keepdims=True)

        def column(rows: NDArray[np.intp]) -> State:
            scores = new[rows].astype(np.float32)
            return body.column(Lessons(examples.vectors[rows], scores, scores))

        return [column]
    parts = [body.states(part) for part in in_parts(examples.vectors)]
    states = np.concatenate(parts, axis=1).transpose(1, 0, 2).astype(np.float64)  # (n, members, hidden)
    logits = np.concatenate([body.logits(part) for part in in_parts(examples.vectors)]).astype(np.float64)
    level = np.logaddexp.reduce(logits, axis=1)
    inputs = states.reshape(len(states), -1)

    def learner(penalty: float) -> Learner:
        def learn(rows: NDArray[np.intp]) -> State:
            shares = examples.subset(rows).labels()[:, -1]
            weight, bias = regress(inputs[rows], shares, level[rows], penalty)
            added = weight.reshape(*states.shape[1:], 1).astype(np.float32)
            return {"added": added, "added_bias": np.array([bias], dtype=np.float32)}

        return learn

    return [learner(penalty) for penalty in PENALTIES]


def regress(inputs: Array, shares: Array, level: Array, penalty: float) -> tuple[Array, float]:
    """u = inputs @ weight + bias with the least sum of KL(share || sigmoid(u - level)) + penalty / 2 |weight|^2.

    The inputs are first centred and scaled to a mean square length of 1, so that a penalty means the same for every
    router and a large one leaves u at the mean share. The solver starts there and follows the bound of Boehning and
    Lindsay (1988): a step by the inverse of inputs' inputs / 4 + penalty never raises the loss.

    Args:
        inputs: shape (n, width); shares and level: shape (n,).
    """
    centre = inputs.mean(axis=0)
    scale = np.sqrt(((inputs - centre) ** 2).sum(axis=1).mean()) or 1.0
    design = np.hstack([np.ones((len(inputs), 1)), (inputs - centre) / scale])
    ridge = np.full(design.shape[1], penalty)
    ridge[0] = 0.0  # the bias is free
    bound = np.linalg.inv(design.T @ design / 4 + np.diag(ridge))
    mean = shares.mean().clip(1e-6, 1 - 1e-6)
    solution = np.zeros(design.shape[1])
    solution[0] = np.log(mean / (1 - mean)) + level.mean()
    for _ in range(ROUNDS):
        predicted = 1 / (1 + np.exp(np.clip(level - design @ solution, -50, 50)))
        step = bound @ (design.T @ (shares - predicted) - ridge * solution)
        solution += step
        if np.abs(step).max() < TOLERANCE:
            break
    weight = solution[1:] / scale
    return weight, float(solution[0] - centre @ weight)
