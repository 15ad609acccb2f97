"""Records of JSON files, plain or gzipped, each with its place: an array, JSON lines, or one object.

Whatever is wrong is a ZooterError with its place. A file is read as a whole and takes a few times its unpacked size in
memory; the files of the published benchmarks have a few hundred megabytes at most.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zooter_core.base.errors import FIX_PERMISSIONS, ZooterError, listed
from zooter_core.base.jsonl import DAMAGE, not_utf8, open_text
from zooter_core.base.strict_json import ESCAPED, clean, is_number
from zooter_core.data.formats import Line, Options

LARGEST_TEXT = 1 << 30  # characters; a small .gz can hold more than the memory
SPACE = re.compile(r"[ \t\n\r]*")
DECODER = json.JSONDecoder()
FIX_RECORD = "Fix or remove the record."
FIX_FILE = "Fix the file, or download it again."
Place = str  # "file, line 3"


@dataclass(frozen=True)
class Cell:
    """What one candidate did with one query: its score, its response and further figures by name."""

    score: float | None = None
    response: str | None = None
    extras: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Row:
    query: str
    dataset: str | None
    cells: dict[str, Cell]


class ScoreTable:
    """Cells by query and candidate, in memory.

    Args:
        candidates: the order of the pool; those that `add` names later follow.
    """

    def __init__(self, candidates: Sequence[str] = ()) -> None:
        self.candidates = list(candidates)
        self._rows: dict[str, _Row] = {}

    def add(self, key: str, query: str, dataset: str | None, candidate: str, cell: Cell, place: str) -> None:
        """Add one candidate's cell to the query that has the id `key`.

        Raises:
            ZooterError: the candidate has a cell there already, or `key` belongs to another text.
        """
        if candidate not in self.candidates:
            self.candidates.append(candidate)
        row = self._rows.setdefault(key, _Row(query, dataset, {}))
        if row.query != query:
            raise ZooterError(
                f"the same query under {key} for every candidate", f"another in {place}", "Use files of one version."
            )
        if candidate in row.cells:
            raise ZooterError(
                f"one record of {candidate} for {key}", f"a second one in {place}", "Name each file once."
            )
        row.cells[candidate] = cell

    def lines(self, options: Options, scored: bool = True) -> Iterator[Line]:
        """Lines of a score file in the order of the queries; counts in `options` each one that a candidate lacks."""
        for key, row in self._rows.items():
            if not row.query.strip():
                options.left_out["the query is empty"] += 1
            elif missing := [name for name in self.candidates if name not in row.cells]:
                options.left_out[f"no record of {', '.join(missing[:3])}"] += 1
            elif scored and (missing := [name for name in self.candidates if row.cells[name].score is None]):
                options.left_out[f"no score of {', '.join(missing[:3])}"] += 1
            else:
                yield self._line(key, row, scored)

    def _line(self, key: str, row: _Row, scored: bool) -> Line:
        cells = {name: row.cells[name] for name in self.candidates}
        line: Line = {"id": key, "query": row.query}
        if scored:
            line["scores"] = {name: cell.score for name, cell in cells.items()}
        if row.dataset:
            line["dataset"] = row.dataset
        if all(cell.response is not None for cell in cells.values()):
            line["responses"] = {name: cell.response for name, cell in cells.items()}
        for name, cell in cells.items():
            for extra, value in cell.extras.items():
                line.setdefault(extra, {})[name] = value
        return line


def json_files(path: Path) -> list[Path]:
    """The JSON files of a folder at any depth, or the file itself."""
    if path.is_file():
        return [path]
    try:
        next(path.iterdir(), None)  # rglob skips a folder without read permission
    except OSError as problem:
        raise ZooterError(f"a readable folder {path}", str(problem), FIX_PERMISSIONS) from problem
    return sorted(file for file in path.rglob("*") if file.name.endswith((".json", ".jsonl", ".json.gz", ".jsonl.gz")))


def read_text(path: Path) -> str:
    """The text of a file, unpacked if its name ends in .gz."""
    try:
        with open_text(path, "a file of JSON") as file:
            text = file.read(LARGEST_TEXT + 1)
    except UnicodeDecodeError as problem:
        raise not_utf8(path, problem) from problem
    except DAMAGE as problem:
        raise ZooterError(f"a readable file {path}", str(problem), FIX_FILE) from problem
    if len(text) > LARGEST_TEXT:
        raise ZooterError(f"at most {LARGEST_TEXT:,} characters in {path}", "more", "Split the file.")
    return text


def each_record(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The objects of a JSON array, or of JSON lines, each with the line on which it begins."""
    text = read_text(path)
    line, before = 1, 0
    for start, value in _values(text, path):
        line, before = line + text.count("\n", before, start), start
        place = f"{path}, line {line}"
        yield place, object_of(value, place)


def read_object(path: Path) -> dict[str, Any]:
    """The one object of a file."""
    text = read_text(path)
    value, _ = _decode(text, _skip(text, 0), path)
    return object_of(value, str(path), "Check the format's name.")


def _values(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    """The elements of an array, or the values of JSON lines, each with its offset."""
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        while at < len(text):
            value, end = _decode(text, at, path)
            yield at, value
            at = _skip(text, end)
        return
    at = _skip(text, at + 1)
    if text[at : at + 1] == "]":
        return
    while True:
        value, end = _decode(text, at, path)
        yield at, value
        at = _skip(text, end)
        if text[at : at + 1] == "]":
            return
        if text[at : at + 1] != ",":
            raise _wrong(text, at, path, "a comma or the end of the array is missing")
        at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    return SPACE.match(text, at).end()  # type: ignore[union-attr]


def _decode(text: str, at: int, path: Path) -> tuple[Any, int]:
    """The value at an offset, and the offset of its end."""
    try:
        value, end = DECODER.raw_decode(text, at)
    except json.JSONDecodeError as problem:
        raise _wrong(text, problem.pos, path, problem.msg) from problem
    except RecursionError as problem:
        raise _wrong(text, at, path, "it is nested too deeply") from problem
    except ValueError as problem:  # an integer of more than 4300 digits
        raise _wrong(text, at, path, "a number has too many digits") from problem
    return (clean(value) if ESCAPED.search(text, at, end) else value), end


def _wrong(text: str, at: int, path: Path, reason: str) -> ZooterError:
    line = text.count("\n", 0, at) + 1
    rest = repr(text[at : at + 40]) if at < len(text) else "the end of the file"
    return ZooterError(f"JSON in {path}, line {line}", f"{rest} ({reason})", FIX_FILE)


def object_of(value: Any, place: Place, next_step: str = FIX_RECORD) -> dict[str, Any]:
    """A record, which must be a JSON object."""
    if not isinstance(value, dict):
        raise ZooterError(f"a JSON object in {place}", type(value).__name__, next_step)
    return value


def text_of(record: dict[str, Any], key: str, place: Place) -> str:
    """A text of a record."""
    value = record.get(key)
    if not isinstance(value, str):
        raise ZooterError(f'"{key}" as a text in {place}', repr(value)[:40], FIX_RECORD)
    return value


def number_of(value: Any, name: str, place: Place) -> float | None:
    """A finite number; None if it is null or NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if not is_number(value):
        raise ZooterError(f"{name} as a number in {place}", repr(value)[:40], FIX_RECORD)
    return float(value)


def check_pool(names: Iterable[str], pool: Iterable[str], first: str, place: Place) -> None:
    """Refuse models other than those of the first record or file; `first` says which of the two."""
    if differing := sorted(set(names) ^ set(pool)):
        expected = f"the models of the first {first} ({listed(pool)}) in {place}"
        raise ZooterError(expected, listed(differing), "Import it separately.")


def distinct(names: Sequence[str], what: str) -> None:
    """Refuse two inputs with one name, because their queries would have the same ids."""
    for name in names:
        if names.count(name) > 1:
            raise ZooterError(f"different names of {what}", f'"{name}" twice', "Rename one, or import them separately.")
