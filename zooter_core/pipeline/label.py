"""The steps tag and label: the tags of every query, and the labels that follow from rewards and tags."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.records import Query
from zooter_core.data.run_folder import LABELS, QUERIES, REWARDS, TAGS
from zooter_core.data.run_lines import tag_check
from zooter_core.data.runs import RewardLines, Run
from zooter_core.data.scores import NO_DATASET
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method import labels
from zooter_core.method.labels import Enhancement, LabelConfig, held_back, lot, normalise
from zooter_core.method.tags import TagIndex
from zooter_core.pipeline import batches
from zooter_core.pipeline.batches import Progress, quiet
from zooter_core.pipeline.lanes import Elsewhere

Line = dict[str, Any]
LINES = 1 << 14  # computed at once: as Python's numbers they take a kilobyte each


def tag_lines(ensemble: Ensemble, queries: Sequence[Query]) -> dict[str, dict[str, Any]]:
    """The lines of tags.jsonl of a batch, by the id of the query."""
    tagger = ensemble.tagger
    # Not from stored vectors: their last digits depend on the batch that each text was first in.
    tags = tagger.tag([query.text for query in queries]) if tagger.quick else tagger.tag_all(queries)
    return {
        query.id: {"id": query.id, "tags": [asdict(tag) for tag in row]}
        for query, row in zip(queries, tags, strict=True)
    }


def tag(run: Run, ensemble: Ensemble, progress: Progress = quiet, elsewhere: Elsewhere | None = None) -> None:
    """Write the tags of every query, by the fleet's tagger."""
    run.begin("tag", {"tagger_sha256": ensemble.fleet.hash_of("tagger")})
    if run.sealed("tag"):
        return
    batches.require(run, "start")
    batches.fill(
        run,
        "tag",
        tag_check(),
        lambda batch: batch,
        lambda batch, done: tag_lines(ensemble, batch),
        progress,
        elsewhere,
    )
    run.seal("tag")


def label(run: Run, config: LabelConfig, progress: Progress = quiet, allow_missing: bool = False) -> None:
    """Write labels from rewards and tags, of every query that is not set aside.

    Args:
        allow_missing: accept an unfinished step score (`labels.complete` fills the gaps); this step stays open, too.
    """
    batches.require(run, "score", allow_missing)
    batches.require(run, "tag")
    if run.sealed("label"):
        run.begin("label", asdict(config))  # refuses other settings
        return
    table = RunTable.read(run, config, allow_missing)
    # Before `begin`, because wrong settings must not bind the run.
    every = enhancement(table, config)
    run.begin("label", asdict(config))
    run.replace(LABELS, _counted(label_lines(table.ids(run), every), len(table.rows), progress))
    if run.sealed("score"):
        run.seal("label")


@dataclass(frozen=True)
class RunTable:
    """The queries of a run that are not set aside, in the order of the queries file, read line by line.

    Of ten million queries it fits into a gigabyte. Ids are compared by their hashes of 64 bits: as texts they would
    take more memory than everything else.

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

        lines, table = array("Q"), RewardLines(run.setting("start", "pool"))
        for record in run.records(REWARDS):
            if "rewards" in record:
                lines.append(_hash(record["id"]))
                table.add(record)
        places, rows = order.of(lines)
        rewards = table.table()
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
    """Brings lines of another file into the order of the queries file."""

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


def enhancement(table: RunTable, config: LabelConfig) -> Enhancement:
    """What the labels follow from. Tag priors come from the training fold alone; held-back labels stay plain.

    The rewards of the table are changed.
    """
    rewards = normalise(table.rewards, config.normalise, table.datasets)
    return Enhancement.of(rewards, table.tags, config, np.flatnonzero(~table.held_back))


def label_lines(ids: Iterable[str], every: Enhancement) -> Iterator[Line]:
    """The lines of labels.jsonl."""
    left = iter(ids)
    for first in range(0, len(every.plain), LINES):
        plain, _, enhanced = every.rows(first, min(first + LINES, len(every.plain)))
        folds = np.where(every.learned[first : first + LINES], "train", "held_back").tolist()
        columns = (folds, plain.tolist(), enhanced.tolist(), labels.entropy(plain).tolist())
        for fold, s, mixed, entropy in zip(*columns, strict=True):
            yield {"id": next(left), "fold": fold, "plain": s, "enhanced": mixed, "entropy": entropy}


def _counted(lines: Iterable[Line], total: int, progress: Progress) -> Iterator[Line]:
    """The lines, with progress after each batch."""
    for done, line in enumerate(lines, 1):
        yield line
        if not done % batches.BATCH or done == total:
            progress("label", done, total)
