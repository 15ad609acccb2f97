"""A ranking of models by votes: the Bradley-Terry model, for votes among two or more (Luce's choice rule)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from zooter_core.ui.compare.votes import Vote

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


def of(votes: Sequence[Vote]) -> list[Row]:
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
