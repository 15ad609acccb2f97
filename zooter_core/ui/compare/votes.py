"""Visitors' votes on comparisons, and how often the router agreed with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
