"""What visitors thought of the responses they compared, and how often the router thought the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from zooter_core.method.metrics import wilson_interval

Outcome = Literal["best", "tie", "none"]
KIND = "comparison"  # of these records among the history's votes


@dataclass(frozen=True)
class Vote:
    """One visitor's vote on one comparison.

    Attributes:
        outcome: `best` (one response is), `tie` (several are as good), `none` (no response is good).
        best: the candidate of the best response, where there is one.
        router: whom the router would have chosen among those compared.
        reward: whose response had the highest reward; None where nothing was ranked.
        blind: whether the names were hidden when the vote was cast.
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
        votes, blind, ties, nones: all votes; those cast without the names; those for no single response.
        shown, won: candidate -> in how many of the votes it took part, and was the best.
        router, reward: how many of the `decided` votes named the router's choice, and the highest reward.
        chance: how many of them a blindfolded choice would have met on average.
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
        """Votes that name one best response."""
        return self.votes - self.ties - self.nones


def read(records: Iterable[Mapping[str, Any]]) -> list[Vote]:
    """The votes on comparisons among the history's."""
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


def spoken(found: Tally) -> list[str]:
    """The tally in sentences of Markdown."""
    if not found.votes:
        return ["No votes on this fleet yet. Compare a query and say which response is best."]
    n, blind = found.decided, f"{found.blind} of them blind"
    said = [
        f"{found.votes} {'vote' if found.votes == 1 else 'votes'}, {blind}: {n} for one response, "
        f"{found.ties} {'tie' if found.ties == 1 else 'ties'}, {found.nones} for none."
    ]
    if n:
        low, high = wilson_interval(found.router / n, n)
        said += [
            f"The **router's choice** was the voter's in **{found.router} of {n}** ({found.router / n:.0%}); a choice "
            f"by chance would be in {found.chance:.1f}. If these {n} are like all, the true share lies between "
            f"{low:.0%} and {high:.0%} (95% sure).",
            f"The **highest reward** was the voter's choice in **{found.reward} of {n}** ({found.reward / n:.0%}).",
        ]
    return said
