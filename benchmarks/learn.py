"""A replay of traffic: what learning from it gains. python benchmarks/learn.py FILE [--seeds 20]

A score file becomes a stream of queries: 1,200 of the first kinds of task train the first router, the others arrive one
by one. Two new kinds of task appear, a candidate gets worse (half of its answers are worth nothing from then on), and
another joins. Every learner sees the same stream and only the rewards that it pays for. The learner, the contest and
the sampling are those of `zooter learn`.

The table has the mean score x 100, the extra calls per query beyond the served answer, and a share of the gain: of what
answering everything with all candidates gains over never learning. The share is given for the whole stream, for the
queries from 400 after a candidate got worse until the next one joins, and for those from 200 after the newcomer's
burst. Intervals are 95% intervals over streams.

Below the table are the switches, each with the difference in true score between the new and the previous router on the
next 400 queries. The gate decides "promote" and "rollback"; "follow" is a later refit of a promoted learner that took
over because it had earned more on its own pairs.

`--noise` adds normal noise to every reward that a learner sees, in spreads of the rewards. A method takes about one
second per stream on one core (OMP_NUM_THREADS=1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from score_file import parsed, parser_of

from zooter_core.data.scores import Scores, read_scores
from zooter_core.learn.deciding import Choices, Contest, SamplingPlan, draw_answers
from zooter_core.learn.learner import Learner, choose
from zooter_core.method.metrics import wilson_interval
from zooter_core.method.partial_rewards import Linear, Sums, directions, spread
from zooter_core.method.promotion import Gate
from zooter_core.router.encoder import Encoder

TRAINING, WORSE, JOINS, STEP = 1200, 2000, 3300, 100
BURST, STORED = 200, 1000  # queries that a newcomer answers, out of the latest
RECENT = 2000  # queries from whose rewards the spread is computed
JUDGED, MARGIN = 400, 0.02  # later queries that judge a promotion, and the loss that makes it a mistake
HALF_LIFE, PENALTY, BANDIT_STEP = 500.0, 30.0, 50  # of the bandits
Array = np.ndarray
Choose = Callable[[Array], Choices]


@dataclass(frozen=True)
class Scenario:
    """The kinds of task at first, the two that appear later, and the candidates that get worse and that join."""

    first: tuple[str, ...]
    later: tuple[str, str]
    worse: str
    joins: str


SCENARIOS = (
    Scenario(("mmlu", "arc_challenge", "humaneval"), ("gsm8k", "cmmlu"), "Meta-Llama-3-8B", "MetaMath-Mistral-7B"),
    Scenario(("cmmlu", "arc_challenge", "humaneval"), ("gsm8k", "mmlu"), "MetaMath-Mistral-7B", "Meta-Llama-3-8B"),
    Scenario(("mmlu", "gsm8k", "humaneval"), ("arc_challenge", "cmmlu"), "Meta-Llama-3-8B", "Chinese-Mistral-7B-v0.1"),
)


@dataclass
class Stream:
    """Queries in their order, with every candidate's true score and the reward that a learner would see.

    Attributes:
        train_vectors, train_rewards: the training data of the first router, without rewards of the newcomer (NaN).
        vectors: shape (n, width).
        truth, rewards: shape (n, m).
        newcomer: the candidate that joins at query JOINS.
        lots: uniform random numbers, shape (n, 2), with which every learner draws its samples.
    """

    train_vectors: Array
    train_rewards: Array
    vectors: Array
    truth: Array
    rewards: Array
    newcomer: int
    lots: Array

    @classmethod
    def of(cls, scores: Scores, vectors: Array, scenario: Scenario, seed: int, noise: float) -> Stream:
        rng = np.random.default_rng(seed)
        tasks, table = np.array(scores.datasets), scores.scores
        worse, newcomer = (
            [name.rpartition("/")[2] for name in scores.candidates].index(name)
            for name in (scenario.worse, scenario.joins)
        )
        first = rng.permutation(np.flatnonzero(np.isin(tasks, scenario.first)))
        train, rest = first[:TRAINING], first[TRAINING:]
        count = len(table) - TRAINING
        times = [(row, rng.random() * count) for row in rest]
        for task, begin in zip(scenario.later, (0.15, 0.34), strict=True):
            times += [(row, count * (begin + (1 - begin) * rng.random())) for row in np.flatnonzero(tasks == task)]
        order = np.array([row for row, _ in sorted(times, key=lambda pair: pair[1])])
        truth = table[order].copy()
        lost = WORSE + np.flatnonzero(rng.random(len(truth) - WORSE) >= 0.5)
        truth[lost, worse] = np.minimum(truth[lost].min(axis=1), 0.0)
        scale = noise * spread(table)
        noisy = table[train] + scale * rng.normal(size=table[train].shape)
        noisy[:, newcomer] = np.nan
        rewards = truth + scale * rng.normal(size=truth.shape)
        return cls(vectors[train], noisy, vectors[order], truth, rewards, newcomer, rng.random((len(truth), 2)))

    def __len__(self) -> int:
        return len(self.truth)

    def available(self, place: int) -> Array:
        """Which candidates are in the pool when a query arrives, shape (m,)."""
        result = np.ones(self.truth.shape[1], dtype=bool)
        result[self.newcomer] = place >= JOINS
        return result

    def stored(self) -> Array:
        """The queries that the newcomer answers when it joins."""
        return np.sort(np.random.default_rng(JOINS).permutation(np.arange(JOINS - STORED, JOINS))[:BURST])

    def earned(self, served: Array) -> Array:
        return self.truth[np.arange(len(self)), served]


@dataclass
class Played:
    """Which candidates answered, the extra calls, and each switch: its place and gain on the next JUDGED queries."""

    served: Array
    calls: float = 0.0
    switches: list[tuple[str, int, float]] = field(default_factory=list)


@dataclass(frozen=True)
class How:
    """A learner.

    Attributes:
        share: the share of the queries that all candidates answer.
        served: whether the learner uses the reward of every served answer.
        pairs: the share of disagreements that two candidates answer.
        gate: the contest's rule for when the learner's routers serve; None if each serves immediately.
    """

    share: float
    served: bool = True
    pairs: float = 0.0
    gate: Gate | None = None


def chooser(router: Linear, available: Array) -> Choose:
    return lambda vectors: choose(router, vectors, available)


def learn(stream: Stream, how: How) -> Played:
    """Play a stream to a learner and, if it has a gate, to the contest."""
    learner = Learner(stream.train_vectors, stream.train_rewards)
    contest: Contest[Choose] = Contest(chooser(learner.router(), stream.available(0)))
    sampling, looked = SamplingPlan(how.share, how.pairs), np.full(stream.truth.shape, np.nan)
    played = Played(np.empty(len(stream), dtype=np.intp))
    for first in range(0, len(stream), STEP):
        rows, available = np.arange(first, min(first + STEP, len(stream))), stream.available(first)
        if first == JOINS:
            burst(stream, learner, looked, played)
            compete(stream, contest, how, chooser(learner.router(), available), first, played)
        rivals = [router(stream.vectors[rows]) for router in contest.rivals]
        played.served[rows] = rivals[0]
        sample, candidates = draw_answers(rivals[0], rivals, stream.lots[rows], sampling, len(available))
        candidates &= available
        if not how.served:  # only rewards of the sample and of pairs
            candidates = candidates & (sample | (candidates.sum(axis=1) > 1))[:, None]
        extra = candidates.copy()
        extra[np.arange(len(rows)), rivals[0]] = False
        played.calls += float(extra.sum())
        looked[rows] = np.where(candidates, stream.rewards[rows], np.nan)
        contest.observe(looked[rows], rivals)
        learner.observe(stream.vectors[rows], looked[rows])
        last, before, switch = int(rows[-1]) + 1, contest.champion, ""
        if how.gate is not None:
            switch = contest.decide(spread(looked[max(0, last - RECENT) : last]), how.gate)
        if switch:
            played.switches.append((switch, last, gain(stream, before, contest.champion, last)))
        compete(stream, contest, how, chooser(learner.router(), available), last, played)
    return played


def compete(stream: Stream, contest: Contest[Choose], how: How, router: Choose, place: int, played: Played) -> None:
    """Make the learner's router the challenger, or the champion if there is no gate."""
    if how.gate is None:
        contest.champion = router
        return
    before = contest.champion
    if contest.enter(router):
        played.switches.append(("follow", place, gain(stream, before, contest.champion, place)))


def burst(stream: Stream, learner: Learner, looked: Array, played: Played) -> None:
    """Let the newcomer answer stored queries."""
    rows, rewards = stream.stored(), np.full((BURST, stream.truth.shape[1]), np.nan)
    rewards[:, stream.newcomer] = stream.rewards[rows, stream.newcomer]
    learner.catch_up(stream.vectors[rows], rewards)
    looked[rows, stream.newcomer] = rewards[:, stream.newcomer]
    played.calls += BURST


def gain(stream: Stream, before: Choose, after: Choose, place: int) -> float:
    """The gain of a switch: the mean difference of true scores on the queries after it."""
    rows = np.arange(place, min(place + JUDGED, len(stream)))
    if not len(rows):
        return 0.0
    old, new = before(stream.vectors[rows]), after(stream.vectors[rows])
    return float((stream.truth[rows, new] - stream.truth[rows, old]).mean())


def bandit(stream: Stream, width: float, thompson: bool) -> Played:
    """LinUCB or Thompson sampling: decayed regressions from one reward per query, which explore by uncertainty."""
    rng, axes = np.random.default_rng(0), directions(stream.train_vectors)
    x, sums = stream.vectors @ axes, Sums(stream.truth.shape[1], axes.shape[1], HALF_LIFE)
    sums.add(stream.train_vectors @ axes, stream.train_rewards)
    played = Played(np.empty(len(stream), dtype=np.intp))
    scale = spread(stream.train_rewards)
    for first in range(0, len(stream), BANDIT_STEP):
        rows = np.arange(first, min(first + BANDIT_STEP, len(stream)))
        ones = np.concatenate([np.ones((len(rows), 1)), x[rows]], axis=1)
        inverse = np.linalg.inv(sums.penalised(PENALTY))
        doubt = width * scale * np.sqrt(np.einsum("nk,mkl,nl->nm", ones, inverse, ones, optimize=True))
        value = sums.solve(PENALTY)(x[rows]) + doubt * (rng.normal(size=doubt.shape) if thompson else 1.0)
        value[:, ~stream.available(first)] = -np.inf
        chosen = played.served[rows] = value.argmax(axis=1)
        rewards = np.full((len(rows), len(inverse)), np.nan)
        rewards[np.arange(len(rows)), chosen] = stream.rewards[rows, chosen]
        sums.fade(len(rows))
        sums.add(x[rows], rewards)
    return played


def never(stream: Stream) -> Played:
    learner = Learner(stream.train_vectors, stream.train_rewards)
    return Played(chooser(learner.router(), stream.available(0))(stream.vectors))


def single(stream: Stream) -> Played:
    """The best single candidate in hindsight, among those in the pool from the start."""
    means = np.where(stream.available(0), stream.truth.mean(axis=0), -np.inf)
    return Played(np.full(len(stream), int(means.argmax())))


ALL, HYBRID, SAMPLE = "everything answered by all", "hybrid, 5%", "5% alone"
SHIPPED, NEVER = "zooter learn", "never"
LINUCB, THOMPSON = "LinUCB, faded", "Thompson sampling, faded"
METHODS: dict[str, Callable[[Stream], Played]] = {
    NEVER: never,
    "best single in hindsight": single,
    SAMPLE: lambda stream: learn(stream, How(0.05, served=False)),
    LINUCB: lambda stream: bandit(stream, 1.2, thompson=False),
    THOMPSON: lambda stream: bandit(stream, 0.5, thompson=True),
    HYBRID: lambda stream: learn(stream, How(0.05)),
    SHIPPED: lambda stream: learn(stream, How(SamplingPlan().share, pairs=SamplingPlan().pairs, gate=Gate())),
    ALL: lambda stream: learn(stream, How(1.0)),
}
PARTS = {
    "all": slice(0, None),
    "worse": slice(WORSE + 400, JOINS),
    "burst": slice(JOINS, JOINS + 200),
    "newcomer": slice(JOINS + 200, None),
}


def row_of(stream: Stream) -> dict[str, Any]:
    """The figures of one stream: for each method the mean score of each part, the extra calls and the switches."""
    row = {}
    for name, play in METHODS.items():
        played = play(stream)
        earned = stream.earned(played.served)
        row[name] = {part: float(earned[rows].mean()) for part, rows in PARTS.items()} | {
            "calls": played.calls / len(stream),
            "switches": played.switches,
        }
    return row


def share(rows: Sequence[dict[str, Any]], name: str, part: str) -> tuple[float, float, float]:
    """The share of the gain of ALL over NEVER, from sums over streams, with its bootstrap interval."""
    one, low, high = (np.array([row["methods"][n][part] for row in rows]) for n in (name, NEVER, ALL))
    draws = np.random.default_rng(0).integers(0, len(rows), (2000, len(rows)))
    shares = (one - low)[draws].sum(axis=1) / (high - low)[draws].sum(axis=1)
    return float((one - low).sum() / (high - low).sum()), *map(float, np.quantile(shares, (0.025, 0.975)))


def shown(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The table for the streams of one noise."""
    yield f"{len(rows)} streams, noise {rows[0]['noise']:g}"
    yield "| learner | extra calls | score | share of the gain | after a worse candidate | newcomer, first 200 | then |"
    yield "|---|---|---|---|---|---|---|"
    for name in METHODS:
        score, calls = (100 * _mean(rows, name, "all"), _mean(rows, name, "calls"))
        cells = [name, f"{calls:.2f}", f"{score:.2f}"]
        if name != NEVER:
            for part in PARTS:
                middle, low, high = share(rows, name, part)
                cells.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
        yield f"| {' | '.join(cells)} |"
    for other in (LINUCB, THOMPSON):
        apart = np.array([_score(row, SHIPPED) - _score(row, other) for row in rows])
        error = 1.96 * apart.std(ddof=1) / len(apart) ** 0.5 if len(apart) > 1 else math.nan
        yield f"{SHIPPED} minus {other}: {apart.mean():+.2f} +- {error:.2f}"
    for kind in ("promote", "follow", "rollback"):
        switches = [switch for row in rows for switch in row["methods"][SHIPPED]["switches"]]
        gains = np.array([switch[2] for switch in switches if switch[0] == kind])
        if len(gains):
            wrong = int((gains < -MARGIN).sum())
            low, high = wilson_interval(wrong / len(gains), len(gains))
            yield (
                f"{SHIPPED}, {kind}: {len(gains)}, mean gain {gains.mean():+.3f}, {wrong} worse by more than {MARGIN}"
                f" ({wrong / len(gains):.1%}, {low:.1%} to {high:.1%})"
            )


def _mean(rows: Sequence[dict[str, Any]], name: str, part: str) -> float:
    return float(np.mean([row["methods"][name][part] for row in rows]))


def _score(row: dict[str, Any], name: str) -> float:
    return 100 * float(row["methods"][name]["all"])


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0], metavar="X")
    call = parsed(parser)
    scores = read_scores([call.scores])
    vectors = Encoder(call.encoder).embed_all([query.text for query in scores.queries])
    for noise in call.noise:
        rows = [
            {"noise": noise, "methods": row_of(Stream.of(scores, vectors, scenario, seed, noise))}
            for seed, scenario in product(range(call.seeds), SCENARIOS)
        ]
        print("\n".join(shown(rows)), flush=True)


if __name__ == "__main__":
    main()
