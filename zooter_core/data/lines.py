"""The lines of a file of JSON lines, plain or gzipped, each checked and with its place for a message."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from zooter_core.base.errors import FIX_PERMISSIONS, ZooterError
from zooter_core.base.strict_json import NotFiniteError, parse_json

LONGEST = 1 << 24  # characters of a line; a small .gz can hold a line larger than the memory
DAMAGE = (EOFError, OSError, zlib.error, UnicodeDecodeError)  # of a file that is cut short or no text


def open_text(path: Path, kind: str, newline: str | None = None) -> TextIO:
    """Open a text file, unpacked if its name ends in .gz. Reading it may raise one of DAMAGE.

    Args:
        kind: what the file should be, for the message.

    Raises:
        ZooterError: there is no such file, or no permission to read it.
    """
    try:
        if not path.is_file():
            raise ZooterError(kind, f"no file at {path}", "Check the path.")
        if path.suffix == ".gz":
            return gzip.open(path, "rt", encoding="utf-8-sig", newline=newline)
        return path.open(encoding="utf-8-sig", newline=newline)
    except OSError as problem:
        raise ZooterError(f"a readable file {path}", str(problem), FIX_PERMISSIONS) from problem


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The number and text of each line that is not empty."""
    number = blank = 0
    try:
        with open_text(path, "a file of JSON lines (.jsonl or .jsonl.gz)") as lines:
            for number, line in enumerate(iter(lambda: lines.readline(LONGEST), ""), 1):
                if len(line) == LONGEST:
                    raise ZooterError(
                        f"at most {LONGEST:,} characters in {path}, line {number}",
                        "more",
                        "Shorten or remove the line.",
                    )
                if line.strip():
                    yield number, line.strip()
                    continue
                blank += len(line)
                if blank > LONGEST:  # a .gz of a megabyte can hold a thousand times as many
                    raise ZooterError(
                        f"at most {LONGEST:,} characters in all empty lines of {path}", "more", "Remove empty lines."
                    )
    except DAMAGE as problem:
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
    for number, line in numbered_lines(Path(path)):
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
