"""Reads records from files of other programs, plain or gzipped: JSON arrays, lines and objects, or tables.

Each record and each error comes with its place. A file is read as a whole, which needs memory of a few times its
unpacked size.
"""

from __future__ import annotations

import ast
import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, TextIO

from zooter_core.base.errors import ZooterError, first_line
from zooter_core.base.strict_json import ESCAPED, clean, is_number, objects
from zooter_core.data.documents import detect_encoding

LARGEST_TEXT = 1 << 30  # characters; even a small .gz may be larger than the memory when unpacked
SPACE = re.compile(r"[ \t\n\r]*")
DECODER = json.JSONDecoder(parse_constant=lambda name: None if name == "NaN" else float(name))  # pandas' missing value
KIND = "a file of JSON or a table (CSV)"
AS_EXCEL, LINE, FOREIGN_WORD = "as-excel", re.compile(rb"[^\n]*"), re.compile(rb"[\x80-\xff]{5}")
ENDING = re.compile(r"\.(jsonl?|[ct]sv|txt|parquet)(\.gz)?\Z")
BEFORE = re.compile(r"(\s*\n|sep=.\n|[^,;\t|\n\"]*([,;\t])\2+\s*\n)*")  # before a table: Excel's "sep=", or a title
PACKED = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # the beginnings of .xlsx, .ods and .zip, and of .xls
LATEST = 1e11  # seconds; larger times are in milliseconds, microseconds or nanoseconds
FIX_FILE, FIX_LINE = "Fix the file, or download it again.", "Fix or remove the line."
FORMS = """Known are JSON lines, JSON arrays of objects, tables (CSV) whose first line names the columns, and a .txt \
with a query a line; docs/scores.md shows a score file."""
Place = str  # "file, line 3"


def check_paths(paths: Sequence[Path]) -> None:
    """Check that all paths exist, before a file is opened for writing.

    Raises:
        ZooterError: a path is missing. The message contains the first missing path.
    """
    for path in paths:
        if not path.exists():
            raise ZooterError("a file of queries or logs", f"nothing at {path}", "Check the path.")


def json_files(path: Path, endings: tuple[str, ...] = (".json", ".jsonl")) -> list[Path]:
    """The JSON files in a folder at any depth, plain or gzipped. For a file, the file itself."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.name.removesuffix(".gz").endswith(endings))


def _as_excel(problem: UnicodeError) -> tuple[str, int]:
    """The rest of a line that is not UTF-8, decoded as Windows-1252, in which Excel writes CSV.

    Words with many consecutive letters beyond ASCII are in other alphabets. Their encoding is unknown, so they remain
    an error.
    """
    assert isinstance(problem, UnicodeDecodeError)
    rest: bytes = LINE.match(problem.object, problem.start)[0]  # type: ignore[index]
    if problem.encoding != "utf-8" or FOREIGN_WORD.search(rest):
        raise problem
    return rest.decode("cp1252"), problem.start + len(rest)


codecs.register_error(AS_EXCEL, _as_excel)


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open a text file for reading in a `with` block. It is unpacked if its name ends in .gz.

    Raises:
        ZooterError: the file is missing, not readable, damaged, or in another encoding.
    """
    damaged = f"a readable file {path}"
    try:
        if path.is_dir():
            raise ZooterError(KIND, f"a folder at {path}", f"Name its files, such as {path / '*.jsonl'}.")
        if not path.is_file():
            raise ZooterError(KIND, f"no file at {path}", "Check the path.")
        read = gzip.open if path.suffix == ".gz" else open
        with read(path, "rb") as start:
            head = start.read(4)
        if head in PACKED:
            step = 'In Excel, save the sheet as "CSV UTF-8"; in Word, save plain text; unpack an archive.'
            raise ZooterError(KIND, f"an archive or an Office file (Excel, Word) at {path}", step)
        with read(path, "rt", encoding=detect_encoding(head), errors=AS_EXCEL) as file:
            yield file
    except UnicodeDecodeError as problem:
        step = """Save it as text in UTF-8 (in Excel, "CSV UTF-8"). If it is text in UTF-8, it is cut short or \
damaged; get it again."""
        byte = f"the byte 0x{problem.object[problem.start]:02x}, not UTF-8"
        raise ZooterError(damaged, byte, step) from problem
    except (EOFError, gzip.BadGzipFile, zlib.error) as problem:
        raise ZooterError(damaged, str(problem), "The file is cut short or damaged; get it again.") from problem


def read_text(path: Path) -> str:
    """The text of a file, unpacked if its name ends in .gz."""
    with open_text(path) as file:
        text = file.read(LARGEST_TEXT + 1)
    if len(text) > LARGEST_TEXT:
        raise ZooterError(f"at most {LARGEST_TEXT:,} characters in {path}", "more", "Split the file.")
    return text


def each_record(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield the objects in a file of any form (`each_row`). The first error is raised.

    Raises:
        ZooterError: the file is missing or damaged, or a value is not an object. The message contains its line.
    """
    return ((place, as_object(place, value)) for place, value in each_row(path))


def as_object(place: Place, value: Any) -> dict[str, Any]:
    """The value, which must be an object; otherwise its error is raised."""
    if isinstance(value, ZooterError):
        raise value
    if not isinstance(value, dict):
        raise ZooterError(f"a JSON object in {place}", type(value).__name__, FIX_LINE)
    return value


def each_row(path: Path) -> Iterator[tuple[Place, Any]]:
    """Yield the records of a file: JSON lines, the values of other JSON, the rows of a table, or lines of text.

    A line of a .txt becomes a `query`, as does a JSON string. A .txt with a tab in its first line is a table, as saved
    by Excel. For an invalid line, its error is yielded.
    """
    for place, value in _each_value(path):
        yield from ((place, row) for row in _table_in(value))


def _table_in(value: Any) -> Sequence[Any]:
    """The rows of a table in JSON as written by pandas and Weights & Biases. Any other value is returned unchanged."""
    columns = list(value.values()) if isinstance(value, dict) else []
    if columns and all(isinstance(column, dict) and column.keys() == columns[0].keys() for column in columns):
        if all(map(str.isdigit, value)):
            return columns
        columns = [list(column.values()) for column in columns if all(map(str.isdigit, column))]
    elif columns and isinstance(names := value.get("columns"), list) and isinstance(data := value.get("data"), list):
        return [dict(zip(map(str, names), cells, strict=False)) for cells in data if isinstance(cells, list)]
    elif not all(
        isinstance(column, list) and len(column) == len(columns[0]) > 0 == len(objects(column)) for column in columns
    ):
        return [value]
    return [dict(zip(value, cells, strict=True)) for cells in zip(*columns, strict=True)] or [value]


def _each_value(path: Path) -> Iterator[tuple[Place, Any]]:
    """Yield the values in a file, for `each_row`."""
    name, lines = path.name.lower().removesuffix(".gz"), _lines(path)
    if name.endswith(".parquet"):
        yield from _parquet_rows(path)
        return
    first = next(lines, (0, ""))
    if name.endswith(".txt") and "\t" not in first[1]:
        queries = chain([first] if first[1] else [], lines)
        yield from ((f"{path}, line {number}", {"id": f"{number:06d}", "query": text}) for number, text in queries)
    elif isinstance(json_or_text(first[1]), dict) or (
        name.endswith(".jsonl") and first[1] not in ("", "{") and first[1][0] != "["
    ):
        step = FORMS
        for number, text in chain([first], lines):
            place = f"{path}, line {number}"
            yield place, _object(text, place, step)
            step = FIX_LINE
    elif first[1][:1] in ("", "[", "{") or name.endswith(".json"):
        for number, value in enumerate(_values(read_text(path), path), 1):
            yield f"{path}, record {number}", _query_or(value)
    else:
        yield from table_rows(path)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and text of each non-empty line."""
    with open_text(path) as lines:
        for number, line in enumerate(iter(lambda: lines.readline(LARGEST_TEXT), ""), 1):
            if len(line) == LARGEST_TEXT:
                place = f"at most {LARGEST_TEXT:,} characters in {path}, line {number}"
                raise ZooterError(place, "more", "Shorten or remove the line.")
            if text := line.strip():
                yield number, text


def _object(line: str, place: Place, step: str) -> dict[str, Any] | ZooterError:
    """The JSON object of a line, or its error."""
    try:
        value, end = _decode(line, 0)
    except json.JSONDecodeError as problem:
        return ZooterError(f"a JSON object in {place}", _described(problem), step)
    value = _query_or(value)
    if not isinstance(value, dict) or line[end:].strip():
        return ZooterError(f"a JSON object in {place}", repr(line[:60]), step)
    return value


def _query_or(value: Any) -> Any:
    """The value; if it is a text, a record with this query."""
    return {"query": value} if isinstance(value, str) else value


def table_rows(path: Path) -> Iterator[tuple[Place, dict[str, str | None] | ZooterError]]:
    """Yield the rows of a table (CSV) as column -> cell, None if it is empty. A row with too many cells is an error."""
    text = read_text(path)
    begin = BEFORE.match(text).end()  # type: ignore[union-attr]
    before, text = text.count("\n", 0, begin), text[begin:]
    csv.field_size_limit(LARGEST_TEXT)
    rows = csv.DictReader(io.StringIO(text), delimiter=max("\t;,|", key=text.partition("\n")[0].count))
    names = list(rows.fieldnames or ())  # a repeated name refers to the previous one: "small", "small score"
    others: Iterator[str] = accumulate(names, lambda last, name: name if names.count(name) == 1 else last)
    names = [name if name in ("", last) else f"{last} {name}" for last, name in zip(others, names, strict=True)]
    rows.fieldnames = names
    for row in rows:
        place = f"{path}, line {before + rows.line_num}"
        if None in row:
            step = 'Put a text that has the separator in it between straight double quotes (").'
            yield place, ZooterError(f"{len(row) - 1} cells in {place}", str(len(row) - 1 + len(row[None])), step)
        elif any(row.values()):
            yield place, {name: cell or None for name, cell in row.items()}


def _parquet_rows(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield the rows of a Parquet file, the format of data sets on the hub."""
    from pyarrow import ArrowException, parquet  # the import takes a third of a second

    try:
        for number, row in enumerate(parquet.read_table(path).to_pylist(), 1):
            yield f"{path}, row {number}", row
    except (OSError, ArrowException) as problem:
        raise ZooterError(f"a readable file {path}", str(problem), FIX_FILE) from problem


def _values(text: str, path: Path) -> Iterator[Any]:
    """Yield the elements of a JSON array, or consecutive values as written by jq."""
    at = _skip(text, 0)
    while at < len(text):
        try:
            value, end = _decode(text, at)
        except json.JSONDecodeError as problem:
            raise ZooterError(f"JSON in {path}, line {problem.lineno}", _described(problem), FIX_FILE) from problem
        yield from value if isinstance(value, list) else [value]
        at = _skip(text, end)


def json_or_text(text: str) -> Any:
    """The value of a JSON text; the text itself if it is not valid JSON."""
    try:
        value, end = _decode(text, _skip(text, 0))
    except json.JSONDecodeError:
        return text
    return text if text[end:].strip() else value


def as_json(value: object) -> Any:
    """The value, parsed if it is a text in JSON, or with Python lists and dicts as pandas writes them to CSV."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    if value.lstrip().startswith(("[{'", "{'", "['")):
        with suppress(ValueError, SyntaxError, RecursionError):
            return ast.literal_eval(value.strip())
    return json_or_text(value)


def as_time(value: object) -> float | None:
    """A number or an ISO 8601 date in seconds since 1970. A date without a time zone is in UTC."""
    if isinstance(value, str) and not re.fullmatch(r"\d{9,}(\.\d*)?", value):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        value = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    number = as_number(value) or 0.0
    seconds = next((number / unit for unit in (1, 1e3, 1e6, 1e9) if number / unit <= LATEST), 0.0)
    return seconds if seconds > 0 else None


def as_number(value: object) -> float | None:
    """A finite number, which may be the text of a table's cell."""
    with suppress(ValueError):
        value = float(value) if isinstance(value, str) else value
    return float(value) if is_number(value) else None


def as_count(value: object) -> int | None:
    number = as_number(value)
    return int(number) if number is not None and number.is_integer() and 0 <= number < 1 << 40 else None


def as_text(value: object) -> str | None:
    return str(value) if type(value) in (str, int) and value != "" else None


def _skip(text: str, at: int) -> int:
    return SPACE.match(text, at).end()  # type: ignore[union-attr]


def _decode(text: str, at: int) -> tuple[Any, int]:
    """The value at an offset, and the offset of its end.

    Raises:
        JSONDecodeError: there is no valid value.
    """
    try:
        value, end = DECODER.raw_decode(text, at)
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError) as problem:  # a number with thousands of digits, or deeply nested lists
        raise json.JSONDecodeError(first_line(problem), text, at) from problem
    return (clean(value) if ESCAPED.search(text, at, end) else value), end


def _described(problem: json.JSONDecodeError) -> str:
    rest = problem.doc[problem.pos : problem.pos + 40]
    return f"{repr(rest) if rest else 'the end of the file'} ({problem.msg})"
