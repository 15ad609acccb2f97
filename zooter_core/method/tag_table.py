"""What a router learned, in tables: means by tag, and queries by reward entropy.

Shapes: n training queries, N candidates in pool order, T tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zooter_core.method import labels
from zooter_core.method.metrics import Array, win_shares
from zooter_core.method.tags import TagIndex

TIE = -1  # the winner if several candidates share the highest value
BINS = 20


@dataclass(frozen=True)
class TagTable:
    """Means over the queries of each tag, a row per tag.

    Attributes:
        names: the T tags.
        counts: number of queries with each tag, shape (T,).
        won: each candidate's share of wins, shape (T, N); a tie is shared, and rows sum to one.
        probabilities, rewards: shape (T, N).
    """

    names: tuple[str, ...]
    counts: NDArray[np.intp]
    won: Array
    probabilities: Array
    rewards: Array

    @property
    def difference(self) -> Array:
        """Mean probability minus share of wins, shape (T, N): above zero the router overrates a candidate."""
        return self.probabilities - self.won

    @property
    def leaders(self) -> NDArray[np.intp]:
        """The candidate with the highest mean probability of each tag, shape (T,)."""
        return self.probabilities.argmax(axis=1)

    def rows(self, chosen: Sequence[int]) -> TagTable:
        """A table of these rows, in this order."""
        picked = list(chosen)
        names = tuple(self.names[row] for row in picked)
        return TagTable(names, self.counts[picked], self.won[picked], self.probabilities[picked], self.rewards[picked])

    def most(self, count: int) -> TagTable:
        """The `count` tags with the most queries, the largest first; ties by name."""
        return self.rows(sorted(range(len(self.names)), key=lambda row: (-self.counts[row], self.names[row]))[:count])

    def grouped(self) -> TagTable:
        """The tags grouped by their leader, in pool order; in a group the highest value of the leader first."""
        values, leaders = self.probabilities, self.leaders
        return self.rows(
            sorted(range(len(self.names)), key=lambda row: (leaders[row], -values[row, leaders[row]], self.names[row]))
        )


def tag_table(tags: Sequence[Sequence[str]], rewards: Array, probabilities: Array) -> TagTable:
    """The means over the queries of each tag; a tag named twice by a query counts once.

    Args:
        tags: the tags of each of the n queries.
        rewards: shape (n, N); the highest of a row wins. A missing reward is NaN; its candidate gets the share that it
            wins on the tag's other queries.
        probabilities: shape (n, N).
    """
    index = TagIndex.of(tags)
    won = labels.tag_priors(win_shares(rewards), index)

    def means(table: Array) -> Array:
        scored = ~np.isnan(table)
        with np.errstate(invalid="ignore"):  # NaN where no query of a tag has a reward
            return index.sums(np.where(scored, table, 0.0)) / index.sums(scored.astype(np.float64))

    return TagTable(index.names, index.counts, won, means(probabilities), means(rewards))


def winners(values: Array) -> NDArray[np.intp]:
    """The number of the candidate with the highest value of each query, shape (n,); TIE if several share it."""
    best = values == np.fmax.reduce(values, axis=1, keepdims=True)
    return np.where(best.sum(axis=1) == 1, best.argmax(axis=1), TIE)


def entropy_counts(plain: Array) -> NDArray[np.intp]:
    """Number of queries by reward entropy, in BINS of equal width from 0 to 1, shape (BINS,); 1 is in the last bin.

    Args:
        plain: labels, shape (n, N).
    """
    places = np.minimum((np.clip(labels.entropy(plain), 0, 1) * BINS).astype(int), BINS - 1)
    return np.bincount(places, minlength=BINS)
