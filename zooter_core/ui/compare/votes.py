"""Visitors' votes on comparisons, and how often the router agreed with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from zooter_core.method.metrics import wilson_interval

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


@dataclass(frozen=True)
class Tally:
    """Counts of votes.

    Attributes:
        votes, blind, ties, nones: all votes, the blind ones, and those for no single response.
        shown, won: candidate -> votes in which it took part, and votes for it.
        router, reward: how many of the `decided` votes are for the router's choice, and for the highest reward.
        chance: how many of them a random choice would match on average.
    """

    votes: int
    blind: int
    ties: int
    nones: int
    shown: Mapping[str, int]
    won: Mapping[str, int]
    router: int
    reward: int
    chance: float

    @property
    def decided(self) -> int:
        """Votes for one response."""
        return self.votes - self.ties - self.nones


def read(records: Iterable[Mapping[str, Any]]) -> list[Vote]:
    """The votes on comparisons among the history's records."""
    return [Vote.from_json(record) for record in records if record.get("kind") == KIND]


def tally(votes: Iterable[Vote]) -> Tally:
    votes = list(votes)
    decided = [vote for vote in votes if vote.outcome == "best"]
    return Tally(
        votes=len(votes),
        blind=sum(vote.blind for vote in votes),
        ties=sum(vote.outcome == "tie" for vote in votes),
        nones=sum(vote.outcome == "none" for vote in votes),
        shown=Counter(name for vote in votes for name in vote.candidates),
        won=Counter(vote.best for vote in decided if vote.best is not None),
        router=sum(vote.best == vote.router for vote in decided),
        reward=sum(vote.best == vote.reward for vote in decided),
        chance=sum(1 / len(vote.candidates) for vote in decided),
    )


def summary_lines(tally: Tally) -> list[str]:
    """The tally as sentences in Markdown."""
    if not tally.votes:
        return ["No votes on this fleet yet. Compare a query and choose the best response."]
    n = tally.decided
    lines = [
        f"{tally.votes} {'vote' if tally.votes == 1 else 'votes'}, {tally.blind} of them blind: {n} for one response, "
        f"{tally.ties} {'tie' if tally.ties == 1 else 'ties'}, {tally.nones} for none."
    ]
    if n:
        low, high = wilson_interval(tally.router / n, n)
        lines += [
            f"Voters chose the **router's choice** in **{tally.router} of {n}** ({tally.router / n:.0%}, 95% interval "
            f"{low:.0%} to {high:.0%}); a random choice would match {tally.chance:.1f}.",
            f"They chose the **highest reward** in **{tally.reward} of {n}** ({tally.reward / n:.0%}).",
        ]
    return lines
