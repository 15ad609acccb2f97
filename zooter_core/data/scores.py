"""Queries files and score files (JSON lines, plain or gzipped), checked line by line.

A score file is the neutral way in: from one, `zooter distill --scores` trains a router. `Scores` holds it in memory.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from zooter_core.errors import FIX_PERMISSIONS, ZooterError, listed
from zooter_core.records import LARGEST_SCORE, Query
from zooter_core.strict_json import NotFiniteError, parse_json

NO_DATASET = "all"
LONGEST = 1 << 24  # characters of a line; a small .gz can hold a line larger than the memory


@dataclass(frozen=True)
class Scores:
    """Queries with a score of every candidate.

    Attributes:
        candidates: the pool, in the order of the first line.
        scores: shape (queries, candidates), unchanged from the file.
    """

    queries: tuple[Query, ...]
    candidates: tuple[str, ...]
    scores: NDArray[np.float64]

    @property
    def datasets(self) -> list[str]:
        """The data set of each query; `all` if the file names none."""
        return [query.dataset or NO_DATASET for query in self.queries]

    def tagged(self, tags: Sequence[Sequence[str]]) -> Scores:
        """A copy with these tags of the queries."""
        queries = (replace(query, tags=tuple(names)) for query, names in zip(self.queries, tags, strict=True))
        return Scores(tuple(queries), self.candidates, self.scores)

    def in_order(self, candidates: Sequence[str]) -> Scores:
        """A copy with the columns in another order.

        Raises:
            ZooterError: the candidates differ.
        """
        if set(candidates) != set(self.candidates):
            raise ZooterError(
                f"the same candidates in all score files ({listed(candidates)})",
                listed(self.candidates),
                "Use score files of one pool.",
            )
        order = [self.candidates.index(name) for name in candidates]
        return Scores(self.queries, tuple(candidates), self.scores[:, order])

    def only(self, candidates: Sequence[str]) -> Scores:
        """A copy with the columns of these candidates alone.

        Raises:
            ZooterError: one of the candidates is missing.
        """
        if missing := [name for name in candidates if name not in self.candidates]:
            raise ZooterError(
                f"scores of {listed(candidates)}", f"none of {listed(missing)}", "Add their scores on the same queries."
            )
        columns = [self.candidates.index(name) for name in candidates]
        return Scores(self.queries, tuple(candidates), self.scores[:, columns])

    def sample(self, most: int, seed: int = 0) -> Scores:
        """At most `most` of the queries, drawn at random, in their order."""
        if most >= len(self.queries):
            return self
        return self.subset(sorted(np.random.default_rng(seed).permutation(len(self.queries))[:most].tolist()))

    def subset(self, rows: Sequence[int]) -> Scores:
        """A copy with the queries of these row numbers."""
        return Scores(tuple(self.queries[row] for row in rows), self.candidates, self.scores[list(rows)])


ScoreSource = Scores | str | Path | Sequence[str | Path]  # one or more score files, or their contents


def open_lines(path: Path) -> TextIO:
    """Open a text file, unpacked if its name ends in .gz."""
    try:
        if not path.is_file():
            raise ZooterError("a file of JSON lines (.jsonl or .jsonl.gz)", f"no file at {path}", "Check the path.")
        if path.suffix == ".gz":
            return gzip.open(path, "rt", encoding="utf-8-sig")
        return path.open(encoding="utf-8-sig")
    except OSError as problem:
        raise ZooterError(f"a readable file {path}", str(problem), FIX_PERMISSIONS) from problem


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The number and text of each line that is not empty."""
    number = 0
    try:
        with open_lines(path) as lines:
            for number, line in enumerate(iter(lambda: lines.readline(LONGEST), ""), 1):
                if len(line) == LONGEST:
                    raise ZooterError(
                        f"at most {LONGEST:,} characters in {path}, line {number}",
                        "more",
                        "Shorten or remove the line.",
                    )
                if line.strip():
                    yield number, line.strip()
    except (EOFError, OSError, zlib.error, UnicodeDecodeError) as problem:
        raise ZooterError(
            f"a readable file {path}",
            f"{problem} after line {number}",
            "The file is cut short or damaged; download it again.",
        ) from problem


def read_lines(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The place ("file, line 3") and the JSON object of each line that is not empty.

    Raises:
        ZooterError: a line is not a JSON object with finite numbers, or has a key twice.
    """
    for number, line in _lines(Path(path)):
        place = f"{path}, line {number}"
        try:
            record = parse_json(line, object_pairs_hook=_once)
        except NotFiniteError as problem:
            raise ZooterError(
                f'a finite number as "{problem.field}" in {place}', problem.number, "Fix or remove the line."
            ) from problem
        except (ValueError, RecursionError) as problem:
            raise ZooterError(f"JSON in {place}", repr(line[:60]), f"Fix the line ({problem}).") from problem
        if not isinstance(record, dict):
            raise ZooterError(f"a JSON object in {place}", type(record).__name__, "Fix the line.")
        yield place, record


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f'"{next(name for name in names if names.count(name) > 1)}" occurs twice')
    return record


def each_query(path: str | Path) -> Iterator[tuple[str, dict[str, Any], Query]]:
    """The queries of a file one at a time, each with its place ("file, line 3") and its line. Ids may repeat.

    Raises:
        ZooterError: a line is wrong (named).
    """
    path = Path(path)
    lines: Iterator[tuple[str, dict[str, Any], str]]
    if path.name.endswith((".txt", ".txt.gz")):
        lines = ((f"{path}, line {number}", {"query": line}, f"{number:06d}") for number, line in _lines(path))
    else:
        lines = ((place, record, str(number)) for number, (place, record) in enumerate(read_lines(path), 1))
    for place, record, fallback in lines:
        yield place, record, read_query(place, record, fallback)


def read_queries(path: str | Path) -> list[Query]:
    """Queries from JSON lines with `query` (and `id`, `dataset` or `source`, `tags`), or from a .txt with one a line.

    Raises:
        ZooterError: a line is wrong (named), an id occurs twice, or there is no query.
    """
    queries = [query for _, _, query in each_query(path)]
    no_repeats(queries, str(path))
    return queries


def read_scores(paths: Sequence[str | Path], progress: Callable[[int], None] = lambda lines: None) -> Scores:
    """One or more score files over the same candidates, read line by line.

    Args:
        progress: called with the number of queries so far; an exception of it ends the reading.

    Raises:
        ZooterError: a line is wrong, its candidates differ from the first line's, or an id occurs twice in a file.
    """
    queries: list[Query] = []
    rows: list[list[float]] = []
    pool: tuple[str, ...] = ()
    for path in paths:
        in_file: list[Query] = []
        for number, (place, record) in enumerate(read_lines(path), 1):
            scores = record.get("scores")
            if not isinstance(scores, dict) or not scores:
                raise ZooterError(f'"scores" as an object of numbers in {place}', _shown(scores), "Fix the line.")
            pool = pool or tuple(scores)
            if set(scores) != set(pool):
                differing = listed(sorted(set(scores) ^ set(pool)))
                raise ZooterError(
                    f"the same candidates in every line ({listed(pool)})",
                    f"a difference in {place}: {differing}",
                    "Remove such lines, or use one file per pool.",
                )
            rows.append([_number(scores[name], f'"scores" of {name} in {place}') for name in pool])
            in_file.append(read_query(place, record, str(number)))
            progress(len(rows))
        no_repeats(in_file, str(path))
        queries += in_file
    return Scores(tuple(queries), pool, np.array(rows, dtype=np.float64))


def as_scores(source: ScoreSource) -> Scores:
    """Scores as they are, or read from one or more score files (`read_scores`)."""
    if isinstance(source, Scores):
        return source
    return read_scores([source] if isinstance(source, str | Path) else source)


def read_texts(paths: Sequence[str | Path]) -> list[dict[str, str]]:
    """The responses of each query, candidate -> text, in the order of `read_scores`; {} if a line has none."""
    lines = (line for path in paths for line in read_lines(path))
    return [read_responses(place, record) if "responses" in record else {} for place, record in lines]


def score_line(query: Query, scores: Mapping[str, float], responses: Mapping[str, str] | None = None) -> dict[str, Any]:
    """One line of a score file."""
    line: dict[str, Any] = {"id": query.id, "query": query.text, "scores": dict(scores)}
    if query.dataset:
        line["dataset"] = query.dataset
    if query.tags:
        line["tags"] = list(query.tags)
    if responses is not None:
        line["responses"] = dict(responses)
    return line


def read_query(place: str, record: Mapping[str, Any], fallback: str) -> Query:
    """The query of a line; `fallback` is its id if the line has none."""
    text = record.get("query")
    if not isinstance(text, str) or not text.strip():
        raise ZooterError(f'"query" as a text that is not empty in {place}', _shown(text), "Fix or remove the line.")
    dataset = record.get("dataset", record.get("source"))
    tags = record.get("tags", [])
    if dataset is not None and not isinstance(dataset, str):
        raise ZooterError(f'"dataset" as a text in {place}', repr(dataset), "Fix the line.")
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise ZooterError(f'"tags" as a list of texts in {place}', repr(tags)[:60], "Fix the line.")
    id = record.get("id")
    return Query(fallback if id is None else str(id), text, dataset, tuple(tags))


def read_responses(place: str, record: Mapping[str, Any]) -> dict[str, str]:
    """The `responses` of a line: candidate -> text."""
    texts = record.get("responses")
    if not isinstance(texts, dict) or not texts or not all(isinstance(text, str) for text in texts.values()):
        raise ZooterError(f'"responses" as an object of texts in {place}', _shown(texts), "Fix or remove the line.")
    return texts


def _shown(value: Any) -> str:
    """A field's value for an error message; None if the field is missing."""
    return "none" if value is None else repr(value)[:60]


def _number(value: Any, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ZooterError(f"a finite number as {where}", repr(value)[:40], "Fix or remove the line.")
    if not -LARGEST_SCORE <= value <= LARGEST_SCORE:
        raise ZooterError(
            f"a number from {-LARGEST_SCORE:g} to {LARGEST_SCORE:g} as {where}",
            repr(value)[:40],
            "Rescale the scores, or remove the line.",
        )
    return float(value)


def no_repeats(queries: Sequence[Query], path: str) -> None:
    """Check that a file has queries, and no two with one id.

    Raises:
        ZooterError: it has none, or two.
    """
    if not queries:
        raise ZooterError(f"at least one query in {path}", "none", "Check the file.")
    seen: set[str] = set()
    for query in queries:
        if query.id in seen:
            raise ZooterError(f"different ids in {path}", f'"{query.id}" twice', "Rename or remove one of the lines.")
        seen.add(query.id)
