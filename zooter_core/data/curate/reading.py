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

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Query
from zooter_core.data.curate.texts import Benchmarks, digest, normalise
from zooter_core.data.scores import each_query

GRAM = 5
SLOTS, BANDS = 64, 16
ROUNDS = 50  # the largest number of texts of a band that another one is compared with
PAIRS = 1 << 16  # compared at a time: bounds the memory
Signatures = NDArray[np.uint64]


def signatures(texts: Sequence[str]) -> Signatures:
    """Signatures of shape (texts, BANDS). A text's signature depends on that text alone. Texts must not be empty."""
    sizes = np.array([len(text) for text in texts], dtype=np.int64)
    hashes = _grams(texts, sizes)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rng = np.random.default_rng(2311_08692)
    masks = rng.integers(0, 1 << 32, SLOTS, dtype=np.uint32)
    factors = rng.integers(0, 1 << 31, SLOTS, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    slots = np.empty((len(texts), SLOTS), dtype=np.uint16)
    for slot in range(SLOTS):  # xor and an odd factor: a permutation of all 32-bit numbers
        slots[:, slot] = np.minimum.reduceat((hashes ^ masks[slot]) * factors[slot], starts).astype(np.uint16)
    return slots.view(np.uint64)


def _grams(texts: Sequence[str], sizes: NDArray[np.int64]) -> NDArray[np.uint32]:
    """A 32-bit hash of the 5-gram at each character of each text; the last ones include padding."""
    gap = "\0" * (GRAM - 1)
    codes = np.frombuffer((gap.join(texts) + gap).encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    mixed = codes[: len(codes) - GRAM + 1].copy()
    for place in range(1, GRAM):
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
        mixed += codes[place : place + len(mixed)]
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(31)
    mixed *= np.uint64(0x94D049BB133111EB)
    inside = np.ones(len(codes), dtype=bool)
    ends = np.cumsum(sizes + GRAM - 1)
    for place in range(1, GRAM):
        inside[ends - place] = False
    return (mixed >> np.uint64(32)).astype(np.uint32)[inside[: len(mixed)]]


def agreement(signed: Signatures, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.float64]:
    """The estimated Jaccard similarity of pairs of rows, in [0, 1]; its standard deviation is at most 0.0625."""
    slots = signed.view(np.uint16)
    parts = [slice(start, start + PAIRS) for start in range(0, len(one), PAIRS)]
    return np.concatenate([np.zeros(0), *((slots[one[part]] == slots[other[part]]).mean(axis=1) for part in parts)])


def near_repeats(signed: Signatures, least: float) -> NDArray[np.bool_]:
    """The texts whose similarity to an earlier one is at least `least`, directly or through others; shape (texts,)."""
    repeats = np.zeros(len(signed), dtype=bool)
    for band in range(BANDS):
        remaining = np.flatnonzero(~repeats)
        order = remaining[np.argsort(signed[remaining, band], kind="stable")]
        for _ in range(ROUNDS):
            order, firsts = _groups(order, signed[order, band])
            if not len(order):
                break
            near = agreement(signed, order, firsts) >= least
            repeats[order[near & (order != firsts)]] = True
            order = order[~near]  # these may still resemble each other
    return repeats


def _groups(order: NDArray[np.int64], keys: Signatures) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows whose key another row has too, and the first row with that key for each. Rows are sorted by key."""
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.zeros(0, dtype=int)
    sizes = np.diff(np.append(starts, len(keys)))
    shared = np.repeat(sizes > 1, sizes)
    return order[shared], np.repeat(order[starts], sizes)[shared]


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
