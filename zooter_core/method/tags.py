"""The tags of many queries as numbers, and sums over the queries of each tag, in numpy.

Shapes: n queries, T tags, N candidates. An index takes 4 bytes per tag of a query; tuples of texts would take hundreds
of bytes per query.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
AT_ONCE = 1 << 18  # queries whose tags are added up at once


@dataclass(frozen=True, eq=False)
class TagIndex(Sequence[tuple[str, ...]]):
    """The different tags of each query; as a sequence, their names.

    Attributes:
        names: the T tags, sorted.
        codes: the number of every tag of every query, one query after the other.
        starts: where a query's codes begin, and their end, shape (n + 1,).
    """

    names: tuple[str, ...]
    codes: NDArray[np.int32]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, tags: Iterable[Iterable[str]]) -> TagIndex:
        """The index of each query's tags; a tag named twice counts once."""
        if isinstance(tags, TagIndex):
            return tags
        numbers: dict[str, int] = {}
        codes, starts = array("i"), array("q", [0])
        for names in tags:
            codes.extend(numbers.setdefault(name, len(numbers)) for name in dict.fromkeys(names))
            starts.append(len(codes))
        return cls.named(list(numbers), np.array(codes, dtype=np.int32), np.array(starts, dtype=np.int64))

    @classmethod
    def named(cls, names: Sequence[str], codes: NDArray[np.integer[Any]], starts: NDArray[np.int64]) -> TagIndex:
        """The index of tags whose names are in any order; `codes` count in that order."""
        order = sorted(range(len(names)), key=names.__getitem__)
        places = np.empty(len(names), dtype=np.int32)
        places[order] = np.arange(len(names), dtype=np.int32)
        return cls(tuple(names[number] for number in order), places[codes], starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, row: int) -> tuple[str, ...]: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[tuple[str, ...]]: ...
    def __getitem__(self, row: int | slice) -> tuple[str, ...] | Sequence[tuple[str, ...]]:
        if isinstance(row, slice):
            return self.rows(np.arange(len(self))[row])
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        begin, end = self.starts[row % len(self)], self.starts[row % len(self) + 1]
        return tuple(self.names[code] for code in self.codes[begin:end])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == [tuple(names) for names in other]

    __hash__ = None  # type: ignore[assignment]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """The number of tags of each query, shape (n,)."""
        return np.diff(self.starts)

    @property
    def counts(self) -> NDArray[np.intp]:
        """The number of queries with each tag, shape (T,)."""
        return np.bincount(self.codes, minlength=len(self.names))

    def rows(self, rows: NDArray[np.intp]) -> TagIndex:
        """The tags of some of the queries; every tag keeps its number."""
        sizes = self.sizes[rows]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        places = np.repeat(self.starts[:-1][rows] - starts[:-1], sizes)
        places += np.arange(starts[-1])
        return TagIndex(self.names, self.codes[places], starts)

    def only(self, chosen: NDArray[np.bool_]) -> TagIndex:
        """The index with only the chosen tags; `chosen` has shape (T,)."""
        if chosen.all():
            return self
        carried = chosen[self.codes]
        starts = np.concatenate([[0], np.cumsum(carried)])[self.starts]
        codes = (np.cumsum(chosen) - 1)[self.codes[carried]].astype(np.int32)
        return TagIndex(tuple(self.names[number] for number in np.flatnonzero(chosen)), codes, starts)

    def sums(self, values: NDArray[np.floating]) -> Array:
        """The sum over the queries of each tag of `values`, shape (n, N); shape (T, N)."""
        totals = np.zeros((len(self.names), values.shape[1]))
        for first in range(0, len(self), AT_ONCE):
            part = values[first : first + AT_ONCE]
            codes = self.codes[self.starts[first] : self.starts[first + len(part)]]
            owners = np.repeat(np.arange(len(part)), self.sizes[first : first + len(part)])
            for column in range(values.shape[1]):
                totals[:, column] += np.bincount(codes, part[owners, column], minlength=len(totals))
        return totals

    def average_over_tags(self, table: Array, otherwise: Array) -> Array:
        """The mean over each query's tags of their rows of `table`, shape (T, N); shape (n, N).

        Args:
            otherwise: the rows of the queries without tags, of shape (n, N) or (N,).
        """
        means = np.empty((len(self), table.shape[1]))
        means[:] = otherwise
        sizes = self.sizes
        for size in np.unique(sizes[sizes > 0]).tolist():
            rows = np.flatnonzero(sizes == size)
            total = table[self.codes[self.starts[rows]]]
            for place in range(1, size):
                total += table[self.codes[self.starts[rows] + place]]
            means[rows] = total / size
        return means
