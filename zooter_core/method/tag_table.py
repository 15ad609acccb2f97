"""What a router has learned, in tables: by tag, by reward entropy, and how far its probabilities can be believed.

Shapes: n training queries, N candidates in pool order, T tags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.method import labels
from zooter_core.method.calibration import wins_of
from zooter_core.method.metrics import wilson_interval

Array = NDArray[np.float64]
TIE = -1  # the winner where several candidates share the highest value
BINS = 20


@dataclass(frozen=True)
class TagTable:
    """Means over the queries of each tag, a row a tag.

    Attributes:
        names: of the T tags.
        counts: queries that carry each, shape (T,).
        won: how often each candidate was the best, a tie shared, shape (T, N); rows sum to one.
        probabilities, rewards: shape (T, N); None where they are not known.
    """

    names: tuple[str, ...]
    counts: NDArray[np.intp]
    won: Array
    probabilities: Array | None = None
    rewards: Array | None = None

    @property
    def difference(self) -> Array | None:
        """Mean probability of being the best minus how often it was: above zero the router overrates a candidate."""
        return None if self.probabilities is None else self.probabilities - self.won

    @property
    def leaders(self) -> NDArray[np.intp]:
        """Of each tag the candidate with the highest mean probability (or wins, where that is not known)."""
        return (self.won if self.probabilities is None else self.probabilities).argmax(axis=1)

    def rows(self, chosen: Sequence[int]) -> TagTable:
        """Some rows, in the order given."""
        picked = list(chosen)
        return TagTable(
            tuple(self.names[row] for row in picked),
            self.counts[picked],
            self.won[picked],
            None if self.probabilities is None else self.probabilities[picked],
            None if self.rewards is None else self.rewards[picked],
        )

    def most(self, count: int) -> TagTable:
        """The tags with the most queries, the largest first; of equals the first by name."""
        return self.rows(sorted(range(len(self.names)), key=lambda row: (-self.counts[row], self.names[row]))[:count])

    def grouped(self) -> TagTable:
        """Tags that the same candidate leads beside each other, in pool order, and where it leads most first."""
        values, leaders = self.won if self.probabilities is None else self.probabilities, self.leaders
        return self.rows(
            sorted(range(len(self.names)), key=lambda row: (leaders[row], -values[row, leaders[row]], self.names[row]))
        )


def tag_table(
    tags: Sequence[Sequence[str]], values: Array, probabilities: Array | None = None, rewards: Array | None = None
) -> TagTable:
    """The means of each tag; a tag named twice by a query counts once.

    Args:
        tags: of each of the n queries.
        values: shape (n, N): rewards, or labels where rewards are not known; the highest of a row has won.
    """
    won = labels.tag_priors(wins_of(values), tags)
    names = tuple(won)
    counts = dict.fromkeys(names, 0)
    for own in tags:
        for name in set(own):
            counts[name] += 1

    def means(table: Array | None) -> Array | None:
        return None if table is None else _stack(labels.tag_priors(table, tags), names, table.shape[1])

    numbers = np.array([counts[name] for name in names], dtype=np.intp)
    return TagTable(names, numbers, _stack(won, names, values.shape[1]), means(probabilities), means(rewards))


def _stack(means: Mapping[str, Array], names: Sequence[str], width: int) -> Array:
    return np.array([means[name] for name in names]).reshape(len(names), width)


def winners(values: Array) -> NDArray[np.intp]:
    """Who has the highest value of each query, shape (n,); TIE where several have it."""
    best = values == values.max(axis=1, keepdims=True)
    return np.where(best.sum(axis=1) == 1, values.argmax(axis=1), TIE)


def entropy_counts(plain: Array, bins: int = BINS) -> NDArray[np.intp]:
    """Queries by reward entropy, in `bins` of equal width from 0 to 1, shape (bins,); 1 itself is in the last.

    Args:
        plain: labels, shape (n, N).
    """
    places = np.minimum((np.clip(labels.entropy(plain), 0, 1) * bins).astype(int), bins - 1)
    return np.bincount(places, minlength=bins)


@dataclass(frozen=True)
class Bin:
    """Queries whose chosen candidate had a probability between two bounds, and how often it was truly the best.

    Attributes:
        low, high: a 95% interval of `won`.
    """

    begin: float
    end: float
    queries: int
    probability: float
    won: float
    low: float
    high: float


@dataclass(frozen=True)
class Reliability:
    """Bins that hold a query, and `ece`, how far probability and share of wins are apart on the mean query."""

    ece: float
    bins: tuple[Bin, ...]

    @property
    def queries(self) -> int:
        return sum(one.queries for one in self.bins)


def reliability_of(report: Mapping[str, Any]) -> Reliability | None:
    """The reliability in a report.json; None where it has none, because no query was held back.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the report has another shape.
    """
    found = report.get("held_back", {}).get("calibration")
    if found is None:
        return None
    return Reliability(float(found["ece"]), tuple(_bin(one) for one in found["bins"]))


def _bin(found: Mapping[str, Any]) -> Bin:
    queries, won = int(found["n"]), float(found["won"])
    return Bin(
        float(found["from"]),
        float(found["to"]),
        queries,
        float(found["probability"]),
        won,
        *wilson_interval(won, queries),
    )
