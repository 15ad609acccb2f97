"""Votes on comparisons: how often they agree with the router and the reward model, and the leaderboard that they give.

docs/arena.md describes how a round's pair is chosen and how the leaderboard is computed.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from zooter_core.base.records import Decision, Vote
from zooter_core.base.strict_json import of_type
from zooter_core.method.bradley_terry import fit
from zooter_core.method.metrics import wilson_interval


def read_votes(records: Iterable[Mapping[str, Any]]) -> list[Vote]:
    """The votes on comparisons in the history; damaged records are left out."""
    votes = []
    for record in records:
        with suppress(ValueError):
            vote = of_type(Vote, record)
            if record.get("kind") == Vote.KIND and (vote.best is None or vote.best in vote.candidates):
                votes.append(vote)
    return votes


def describe_votes(votes: Sequence[Vote]) -> list[str]:
    """How many votes there are, and how often they agree with router and reward model, as sentences in Markdown."""
    if not votes:
        return ["No votes on this fleet yet. Compare a query and choose the best response."]
    decided = [vote for vote in votes if vote.outcome == "best"]
    n, blind, ties = len(decided), sum(vote.blind for vote in votes), sum(vote.outcome == "tie" for vote in votes)
    outcomes = {"for one response": n, "tie" if ties == 1 else "ties": ties, "for none": len(votes) - n - ties}
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items() if count)
    hidden = f" ({blind} blind)" if blind else ""
    lines = [f"{len(votes)} {'vote' if len(votes) == 1 else 'votes'}{hidden}: {counts}."]
    if ranked := [vote for vote in decided if vote.reward]:
        highest = sum(vote.best == vote.reward for vote in ranked)
        lines.append(f"Voters chose the **highest reward** in {_share(highest, len(ranked))}.")
    if judging := [vote for vote in decided if vote.choice in vote.candidates]:  # the others do not concern the router
        router, chance = sum(vote.best == vote.choice for vote in judging), sum(1 / len(v.candidates) for v in judging)
        lines.append(
            f"Voters chose the **router's choice**, where it was compared, in {_share(router, len(judging))}; a random "
            f"choice would match {chance / len(judging):.0%}."
        )
    if measured := [vote for vote in decided if vote.longest]:
        longest = sum(vote.best == vote.longest for vote in measured)
        lines.append(f"Voters chose the **longest response** in {_share(longest, len(measured))}.")
    return lines


def _share(count: int, n: int) -> str:
    low, high = wilson_interval(count / n, n)
    return f"**{count} of {n}** ({count / n:.0%}, 95% interval {low:.0%} to {high:.0%})"


ROUTED_ROUNDS = 0.8  # the share of rounds that judge the router; the other rounds rank the models


@dataclass(frozen=True)
class Standing:
    """A model's place on the leaderboard.

    Attributes:
        strength: the share of votes that it would win if all models competed (`method/bradley_terry.py`).
        low, high: the ends of its 95% interval.
        won, votes: votes for it, out of the votes for one response in comparisons with it.
    """

    name: str
    strength: float
    low: float
    high: float
    won: int
    votes: int


def leaderboard(votes: Sequence[Vote]) -> list[Standing]:
    """The models by strength, from the votes for one response. Ties and votes for none do not count."""
    decided = [vote for vote in votes if vote.best is not None]
    names = sorted({name for vote in decided for name in vote.candidates})
    if not decided:
        return []
    races = np.array([[name in vote.candidates for name in names] for vote in decided])
    shares = fit(races, [names.index(vote.best or "") for vote in decided]).shares()
    rows = []
    for name, (strength, low, high) in zip(names, shares.tolist(), strict=True):
        won, cast = sum(vote.best == name for vote in decided), sum(name in vote.candidates for vote in decided)
        rows.append(Standing(name, strength, low, high, won, cast))
    return sorted(rows, key=lambda row: -row.strength)


def pick_pair(decision: Decision, pool: Sequence[str]) -> tuple[str, ...]:
    """A round's pair, in pool order: mostly the router's choice and another candidate, which is drawn more often the
    closer its probability comes to the choice's; otherwise any pair.

    Args:
        pool: at least two candidates. Only pairs with the router's choice judge the router.
    """
    others = [name for name in pool if name != decision.candidate]
    if len(others) == len(pool) or random.random() >= ROUTED_ROUNDS:
        pair = random.sample(pool, 2)
    else:
        pair = [decision.candidate]
        pair += random.choices(others, [max(decision.probabilities[name], 1e-9) for name in others])
    return tuple(name for name in pool if name in pair)
