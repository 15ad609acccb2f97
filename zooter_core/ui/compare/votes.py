"""Visitors' votes on comparisons, how often the router agreed with them, and the leaderboard that they make."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from zooter_core.method.metrics import wilson_interval

ROUNDS = 50  # of the fit; it converges long before
SAMPLES = 200  # of the votes, for the intervals


@dataclass(frozen=True)
class Row:
    """A model's place.

    Attributes:
        strength: the share of votes that it would win if all models competed.
        low, high: the 95% interval of `strength`, over resampled votes.
        won, votes: votes for it, and votes for one response in which it took part.
    """

    name: str
    strength: float
    low: float
    high: float
    won: int
    votes: int


def leaderboard(votes: Sequence[Vote]) -> list[Row]:
    """The models of the votes for one response, the strongest first; ties and votes for none do not count."""
    decided = [vote for vote in votes if vote.best is not None]
    names = sorted({name for vote in decided for name in vote.candidates})
    chance = random.Random(0)
    samples = [strengths(chance.choices(decided, k=len(decided)), names) for _ in range(SAMPLES if decided else 0)]
    fitted = strengths(decided, names)
    rows = []
    for name in names:
        drawn = sorted(sample[name] for sample in samples)
        low, high = drawn[round(0.025 * (SAMPLES - 1))], drawn[round(0.975 * (SAMPLES - 1))]
        won = sum(vote.best == name for vote in decided)
        rows.append(Row(name, fitted[name], low, high, won, sum(name in vote.candidates for vote in decided)))
    return sorted(rows, key=lambda row: -row.strength)


def strengths(decided: Sequence[Vote], names: Sequence[str]) -> dict[str, float]:
    """Strengths that sum to 1, by minorisation-maximisation (Hunter, 2004, Annals of Statistics 32).

    Each model also wins one vote in which all compete: without it, a model that never lost would have all strength.
    """
    prior = [Vote("", tuple(names), "best", name, name, None, False) for name in names]
    votes = [*decided, *prior]
    values = dict.fromkeys(names, 1 / max(1, len(names)))
    wins = {name: sum(vote.best == name for vote in votes) for name in names}
    for _ in range(ROUNDS):
        weights = dict.fromkeys(names, 0.0)
        for vote in votes:
            share = 1 / sum(values[name] for name in vote.candidates)
            for name in vote.candidates:
                weights[name] += share
        values = {name: wins[name] / weights[name] for name in names}
        total = sum(values.values())
        values = {name: value / total for name, value in values.items()}
    return values


Outcome = Literal["best", "tie", "none"]
KIND = "comparison"  # marks these records among the history's votes


@dataclass(frozen=True)
class Vote:
    """One visitor's vote on one comparison.

    Attributes:
        outcome: `best` (one response), `tie` (several are equally good), `none` (no response is good).
        best: the candidate of the best response, if there is one.
        router: the router's choice among the candidates compared.
        reward: the candidate whose response has the highest reward; None if nothing was ranked.
        blind: whether the names were hidden during the vote.
    """

    query: str
    candidates: tuple[str, ...]
    outcome: Outcome
    best: str | None
    router: str
    reward: str | None
    blind: bool

    def to_json(self) -> dict[str, Any]:
        return {"kind": KIND, **asdict(self), "candidates": list(self.candidates)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Vote:
        values = {name: value for name, value in record.items() if name != "kind"}
        return cls(**values | {"candidates": tuple(record["candidates"])})


def read(records: Iterable[Mapping[str, Any]]) -> list[Vote]:
    """The votes on comparisons among the history's records."""
    return [Vote.from_json(record) for record in records if record.get("kind") == KIND]


def summary_lines(votes: Sequence[Vote]) -> list[str]:
    """How many votes there are, and how often they agree with router and reward model, as sentences in Markdown."""
    if not votes:
        return ["No votes on this fleet yet. Compare a query and choose the best response."]
    decided = [vote for vote in votes if vote.outcome == "best"]
    n, blind, ties = len(decided), sum(vote.blind for vote in votes), sum(vote.outcome == "tie" for vote in votes)
    lines = [
        f"{len(votes)} {'vote' if len(votes) == 1 else 'votes'}, {blind} of them blind: {n} for one response, "
        f"{ties} {'tie' if ties == 1 else 'ties'}, {len(votes) - n - ties} for none."
    ]
    if n:
        router, reward = sum(vote.best == vote.router for vote in decided), sum(v.best == v.reward for v in decided)
        chance = sum(1 / len(vote.candidates) for vote in decided)
        low, high = wilson_interval(router / n, n)
        lines += [
            f"Voters chose the **router's choice** in **{router} of {n}** ({router / n:.0%}, 95% interval "
            f"{low:.0%} to {high:.0%}); a random choice would match {chance:.1f}.",
            f"They chose the **highest reward** in **{reward} of {n}** ({reward / n:.0%}).",
        ]
    return lines
