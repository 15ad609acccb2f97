"""One pass over queries files that keeps numbers only, and a second one for the texts of those that are wanted."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zooter_core.data.curate.minhash import BANDS, near_repeats, signatures
from zooter_core.data.curate.texts import Benchmarks, digest, normalise
from zooter_core.data.scores import each_query
from zooter_core.errors import ZooterError
from zooter_core.records import Query

BATCH = 4096
Tell = Callable[[str], None]


class Line(NamedTuple):
    """A query where it stands: `row` counts the queries of all files; `source` is its data set, else its file."""

    row: int
    place: str
    source: str
    tagged: bool
    query: Query


def each_line(paths: Iterable[Path]) -> Iterator[Line]:
    """The queries of several files, one at a time.

    Raises:
        ZooterError: a line is wrong, or a file has no query.
    """
    row = 0
    for path in paths:
        first, own = row, path.name.split(".jsonl")[0].split(".txt")[0] or path.name
        for place, record, query in each_query(path):
            yield Line(row, place, query.dataset or own, "tags" in record, query)
            row += 1
        if row == first:
            raise ZooterError(f"at least one query in {path}", "none", "Check the file.")


class Survey:
    """What is left of the lines: some 150 bytes for each that may be picked, and every set of tags once.

    Attributes:
        sources: name -> number, in the order in which they come.
        read: number of a source -> its lines.
        empty: lines with nothing but punctuation.
        untagged: where the first line without `tags` stands; "" when every line has them.
    """

    def __init__(self, benchmarks: Benchmarks) -> None:
        self.benchmarks = benchmarks
        self.sources: dict[str, int] = {}
        self.read: Counter[int] = Counter()
        self.empty, self.untagged = 0, ""
        self._tagsets: dict[tuple[str, ...], int] = {}
        self._names: dict[str, str] = {}
        self._rows, self._source, self._tagset = array("q"), array("i"), array("i")
        self._digests = bytearray()
        self._signatures: list[NDArray[np.uint64]] = []

    def add(self, lines: Iterable[Line]) -> None:
        """Take in a batch of lines."""
        texts = []
        for line in lines:
            source = self.sources.setdefault(line.source, len(self.sources))
            self.read[source] += 1
            if not line.tagged:
                self.untagged = self.untagged or line.place
            text = normalise(line.query.text)
            if not text:
                self.empty += 1
            elif not self.benchmarks.exclude(text, line.query):
                texts.append(text)
                self._rows.append(line.row)
                self._source.append(source)
                self._tagset.append(self._tags(line.query.tags))
                self._digests += digest(text)
        if texts:
            self._signatures.append(signatures(texts))

    def _tags(self, tags: Sequence[str]) -> int:
        """The number of a set of tags; the same tag is one text however often it comes."""
        if self.untagged:
            return 0
        names = tuple(self._names.setdefault(tag, tag) for tag in dict.fromkeys(tags))
        return self._tagsets.setdefault(names, len(self._tagsets))

    def close(self, near: float) -> Candidates:
        """What is no repeat and no near repeat. The memory for comparing is free afterwards."""
        digests = np.frombuffer(bytes(self._digests), dtype=np.uint64)
        firsts = np.sort(np.unique(digests, return_index=True)[1])
        made = np.concatenate([np.zeros((0, BANDS), dtype=np.uint64), *self._signatures])
        self._signatures.clear()
        made = made[firsts]
        kept = firsts[~near_repeats(made, near)] if near < 1 else firsts
        tagsets = [] if self.untagged else list(self._tagsets)
        rows, source, tagset = (np.array(column)[kept] for column in (self._rows, self._source, self._tagset))
        same, near_same = len(digests) - len(firsts), len(firsts) - len(kept)
        return Candidates(rows, source, digests[kept], tagset, tagsets, same, near_same)


class Candidates(NamedTuple):
    """The queries to pick from, a number each in every column.

    Attributes:
        rows: which query of all files it is.
        tagset: which of `tagsets` it carries; without meaning where `tagsets` is empty.
        repeats, near_repeats: how many were left out.
    """

    rows: NDArray[Any]
    source: NDArray[Any]
    digest: NDArray[np.uint64]
    tagset: NDArray[Any]
    tagsets: list[tuple[str, ...]]
    repeats: int
    near_repeats: int


def survey(paths: Sequence[Path], benchmarks: Benchmarks, tell: Tell) -> Survey:
    """One pass over all files.

    Raises:
        ZooterError: a line is wrong, or a file has no query.
    """
    found, lines = Survey(benchmarks), each_line(paths)
    while batch := list(islice(lines, BATCH)):
        found.add(batch)
        tell(f"Reading: {batch[-1].row + 1:,} queries ...")
    return found


def fetch(paths: Sequence[Path], candidates: Candidates, places: Iterable[int]) -> dict[int, Line]:
    """The lines of some candidates, by their place among the candidates: the second pass.

    Raises:
        ZooterError: a file is no longer what it was.
    """
    wanted = {int(candidates.rows[place]): place for place in places}
    found: dict[int, Line] = {}
    for line in each_line(paths):
        if len(found) == len(wanted):
            break
        if (place := wanted.get(line.row)) is None:
            continue
        if digest(normalise(line.query.text)) != candidates.digest[place].tobytes():
            raise ZooterError(f"the files as they were a moment ago, {line.place} too", "another query", "Start again.")
        found[place] = line
    if len(found) < len(wanted):
        raise ZooterError("the files as they were a moment ago", "fewer lines", "Start again.")
    return found
