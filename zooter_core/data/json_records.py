"""Records of other programs' JSON files, plain or gzipped, each with its place: an array, JSON lines, or one object.

Whatever is wrong is a ZooterError with its place. A file is read as a whole and takes a few times its unpacked size in
memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zooter_core.base.errors import FIX_PERMISSIONS, ZooterError
from zooter_core.base.jsonl import DAMAGE, not_utf8, open_text
from zooter_core.base.strict_json import ESCAPED, clean

LARGEST_TEXT = 1 << 30  # characters; a small .gz can hold more than the memory
SPACE = re.compile(r"[ \t\n\r]*")
DECODER = json.JSONDecoder()
FIX_FILE = "Fix the file, or download it again."
Place = str  # "file, line 3"


def json_files(path: Path) -> list[Path]:
    """The JSON files of a folder at any depth, or the file itself."""
    if path.is_file():
        return [path]
    try:
        next(path.iterdir(), None)  # rglob skips a folder without read permission
    except OSError as problem:
        raise ZooterError(f"a readable folder {path}", str(problem), FIX_PERMISSIONS) from problem
    return sorted(file for file in path.rglob("*") if file.name.endswith((".json", ".jsonl", ".json.gz", ".jsonl.gz")))


def _read_text(path: Path) -> str:
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
    text = _read_text(path)
    line, before = 1, 0
    for start, value in _values(text, path):
        line, before = line + text.count("\n", before, start), start
        place = f"{path}, line {line}"
        if not isinstance(value, dict):
            raise ZooterError(f"a JSON object in {place}", type(value).__name__, "Fix or remove the record.")
        yield place, value


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
