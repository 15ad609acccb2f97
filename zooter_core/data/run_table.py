"""The rewards and tags of a run as arrays, read line by line: of ten million queries they fit into a gigabyte.

Ids are compared by their hashes of 64 bits: as texts they would take more memory than everything else.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from zooter_core.data.run_folder import QUERIES, REWARDS, TAGS
from zooter_core.data.runs import Run
from zooter_core.data.scores import NO_DATASET
from zooter_core.method.labels import LabelConfig, held_back, lot
from zooter_core.method.tags import TagIndex


@dataclass(frozen=True)
class RunTable:
    """The queries of a run that are not set aside, in the order of the queries file.

    Attributes:
        rows: their numbers in that file, shape (n,).
        rewards: the mean rewards in pool order, shape (n, candidates); NaN where a response is missing.
        tags: as the tagger gave them.
        datasets: the data set of each.
        held_back: which are held back from training, shape (n,).
    """

    rows: NDArray[np.intp]
    rewards: NDArray[np.float64]
    tags: TagIndex
    datasets: list[str]
    held_back: NDArray[np.bool_]

    @classmethod
    def read(cls, run: Run, config: LabelConfig, allow_missing: bool = False) -> RunTable:
        """The table of a run whose steps score and tag are finished.

        Args:
            config: its seed and its share decide which queries are held back, among all of the run's.
            allow_missing: as for `Run.scores`.
        """
        run.check_scored(allow_missing)
        ids, lots = array("Q"), array("Q")
        groups: dict[str, str] = {}
        datasets: list[str] = []
        for record in run.records(QUERIES):
            ids.append(_hash(record["id"]))
            lots.append(lot(record["id"], config.seed))
            name = record["dataset"] or NO_DATASET
            datasets.append(groups.setdefault(name, name))
        order = _Order(np.frombuffer(ids, dtype=np.uint64))

        pool, lines, values = run.setting("start", "pool"), array("Q"), array("d")
        for record in run.records(REWARDS):
            if "rewards" in record:
                lines.append(_hash(record["id"]))
                values.extend(record["rewards"].get(name, math.nan) for name in pool)
        places, rows = order.of(lines)
        rewards = np.frombuffer(values).reshape(-1, len(pool))
        drawn = held_back(np.frombuffer(lots, dtype=np.uint64), datasets if run.by_dataset else None, config.holdout)
        if len(rows) < len(ids):
            datasets = [datasets[row] for row in rows.tolist()]
        return cls(
            rows,
            rewards if places is None else rewards[places],
            _tags(run, order, rows),
            datasets,
            drawn[rows],
        )

    def ids(self, run: Run) -> Iterator[str]:
        """The ids, read again from the queries file."""
        chosen = np.zeros(self.rows[-1] + 1, dtype=bool)
        chosen[self.rows] = True
        return (record["id"] for record in compress(run.records(QUERIES), chosen))


def _tags(run: Run, order: _Order, rows: NDArray[np.intp]) -> TagIndex:
    """The tags of the queries with these numbers."""
    lines = array("Q")

    def names() -> Iterator[list[str]]:
        for record in run.records(TAGS):
            lines.append(_hash(record["id"]))
            yield [tag["name"] for tag in record["tags"]]

    index = TagIndex.of(names())
    places, numbers = order.of(lines)
    if places is not None:
        index = index.rows(places)
    return index if len(rows) == len(numbers) else index.rows(np.searchsorted(numbers, rows))


class _Order:
    """The order of the queries file, for lines of another file that may have another one."""

    def __init__(self, ids: NDArray[np.uint64]) -> None:
        self.ids = ids

    def of(self, lines: array[int]) -> tuple[NDArray[np.intp] | None, NDArray[np.intp]]:
        """The lines in the order of the queries (None if they are), and the numbers of their queries."""
        hashes = np.frombuffer(lines, dtype=np.uint64)
        if np.array_equal(hashes, self.ids):
            return None, np.arange(len(hashes))
        by_hash = np.argsort(self.ids)
        numbers = by_hash[np.searchsorted(self.ids, hashes, sorter=by_hash)]
        places = np.argsort(numbers)
        return places, numbers[places]


def _hash(id: str) -> int:
    digest = hashlib.blake2b(id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
