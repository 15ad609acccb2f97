"""Append-only files of JSON lines, which a killed process leaves readable."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from zooter_core.errors import WorkError
from zooter_core.files import owner_only, writing
from zooter_core.strict_json import NotFiniteError, dump_json, parse_json


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of an append-only file; an incomplete last line is skipped, a missing file is empty.

    Raises:
        WorkError: the file cannot be read, or a line in the middle is not JSON or holds a NaN or infinity.
    """
    if not os.path.lexists(path):
        return
    try:
        file = path.open("rb")
    except OSError as problem:
        next_step = "Restore a copy of the file, or fix its permissions."
        raise WorkError(f"a readable file {path}", str(problem), next_step) from problem
    with file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                record = parse_json(line)
            except NotFiniteError as problem:
                raise WorkError(
                    f'a finite number as "{problem.field}" in line {number} of {path}',
                    problem.number,
                    "Remove that line and start again, or restore a copy of the file.",
                ) from problem
            except (ValueError, RecursionError):
                record = None
            if not isinstance(record, dict):
                raise WorkError(
                    f"a JSON object in line {number} of {path}",
                    repr(line[:60]),
                    "Remove that line and start again, or restore a copy of the file.",
                )
            yield record


def append_records(path: Path, records: Iterable[Mapping[str, Any]], private: bool = False) -> None:
    """Add records to an append-only file, after removing an incomplete last line, and flush them to the disk.

    Args:
        private: give the file to its owner alone.

    Raises:
        WorkError: the disk is full.
    """
    lines = "".join(dump_json(record, ensure_ascii=False) + "\n" for record in records)
    with writing(path):
        _cut_incomplete_line(path)
        with open(path, "ab", opener=owner_only if private else None) as out:
            out.write(lines.encode("utf-8", "surrogatepass"))
            out.flush()
            os.fsync(out.fileno())


def _cut_incomplete_line(path: Path) -> None:
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) == b"\n":
            return
        content = path.read_bytes()
        file.truncate(content.rfind(b"\n") + 1)
