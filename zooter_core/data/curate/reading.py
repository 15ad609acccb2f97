"""Queries files in two passes: the first keeps numbers alone, the second fetches the texts of the chosen queries."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, islice
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
Report = Callable[[str], None]


class Line(NamedTuple):
    """A query in its file. `row` counts the queries of all files; `source` is the data set, or else the file's name."""

    row: int
    place: str
    source: str
    tagged: bool
    query: Query


def each_line(paths: Iterable[Path]) -> Iterator[Line]:
    """The queries of several files, one at a time."""
    rows = count()
    for path in paths:
        stem = path.name.split(".jsonl")[0].split(".txt")[0] or path.name
        for place, record, query in each_query(path, blank=True):
            yield Line(next(rows), place, query.dataset or stem, "tags" in record, query)


class Survey:
    """Numbers of the lines read so far: about 150 bytes for each that may be picked, and every set of tags once.

    Attributes:
        sources: name -> number, in the order of their first lines.
        read: number of a source -> its lines.
        empty: number of lines with nothing but white space and punctuation.
        untagged: the place of the first line without `tags`; "" if every line has them.
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
        """Add a batch of lines."""
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
        """The number of a set of tags; equal tags share one string."""
        if self.untagged:
            return 0
        names = tuple(self._names.setdefault(tag, tag) for tag in dict.fromkeys(tags))
        return self._tagsets.setdefault(names, len(self._tagsets))

    def close(self, near: float) -> Candidates:
        """The queries that are neither repeats nor near repeats. Frees the memory that the comparison needs."""
        digests = np.frombuffer(bytes(self._digests), dtype=np.uint64)
        firsts = np.sort(np.unique(digests, return_index=True)[1])
        signed = np.concatenate([np.zeros((0, BANDS), dtype=np.uint64), *self._signatures])
        self._signatures.clear()
        signed = signed[firsts]
        distinct = firsts[~near_repeats(signed, near)] if near < 1 else firsts
        tagsets = [] if self.untagged else list(self._tagsets)
        rows, source, tagset = (np.array(column)[distinct] for column in (self._rows, self._source, self._tagset))
        same, near_same = len(digests) - len(firsts), len(firsts) - len(distinct)
        return Candidates(rows, source, digests[distinct], tagset, tagsets, same, near_same)


class Candidates(NamedTuple):
    """The queries to pick from, one entry per query in each array.

    Attributes:
        rows: number of the query among those of all files.
        tagset: index into `tagsets`; meaningless if `tagsets` is empty.
        repeats, near_repeats: number of queries left out.
    """

    rows: NDArray[Any]
    source: NDArray[Any]
    digest: NDArray[np.uint64]
    tagset: NDArray[Any]
    tagsets: list[tuple[str, ...]]
    repeats: int
    near_repeats: int


def survey_files(paths: Sequence[Path], benchmarks: Benchmarks, report: Report) -> Survey:
    """The first pass over all files."""
    survey, lines = Survey(benchmarks), each_line(paths)
    while batch := list(islice(lines, BATCH)):
        survey.add(batch)
        report(f"Reading: {batch[-1].row + 1:,} queries ...")
    return survey


def fetch(paths: Sequence[Path], candidates: Candidates, places: Iterable[int]) -> dict[int, Line]:
    """The lines of some candidates by their place among the candidates: the second pass.

    Raises:
        ZooterError: a file has changed since the first pass.
    """
    wanted = {int(candidates.rows[place]): place for place in places}
    lines: dict[int, Line] = {}
    for line in each_line(paths):
        if len(lines) == len(wanted):
            break
        if (place := wanted.get(line.row)) is None:
            continue
        if digest(normalise(line.query.text)) != candidates.digest[place].tobytes():
            raise ZooterError(
                f"the files unchanged since the first pass, at {line.place} too", "another query", "Start again."
            )
        lines[place] = line
    if len(lines) < len(wanted):
        raise ZooterError("the files unchanged since the first pass", "fewer lines", "Start again.")
    return lines
