"""Reads and writes the append-only files of a run, as JSON lines. `data/json_records.py` reads files of other sources.

The last line of such a file is incomplete if the process that wrote it was killed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.files import owner_only, writing
from zooter_core.base.strict_json import dump_json, parse_json

FLUSH_SECONDS = 0.8  # between two flushes of an Appender to the disk


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of an append-only file. An incomplete last line is skipped; a missing file has no records.

    Raises:
        WorkError: the file cannot be read, or a line in the middle is not a JSON object with finite numbers.
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
            step = "Remove that line and start again, or restore a copy of the file."
            yield parse_object(line, f"line {number} of {path}", WorkError, step)


def parse_object(line: str | bytes, place: str, error: type[ZooterError], next_step: str) -> dict[str, Any]:
    try:
        record = parse_json(line)
    except ValueError as problem:
        raise error(f"a JSON object in {place}", f"{line[:60]!r} ({problem})", next_step) from problem
    if not isinstance(record, dict):
        raise error(f"a JSON object in {place}", repr(line[:60]), next_step)
    return record


def append_records(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Add records to an append-only file, and flush them to the disk. Raises WorkError if the disk is full."""
    with Appender(path) as file:
        file.append(records)


class Appender:
    """Appends records to a private file, from any thread. An incomplete last line is removed first.

    When `append` returns, the system has the records, so that none is lost if the process is killed. The file is
    flushed to the disk at most once in FLUSH_SECONDS, and at the end. A power failure loses only the latest records.

    Raises:
        WorkError: the file cannot be written, or is a link.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._problem: OSError | None = None
        self._flushed_at = time.monotonic()
        with writing(path):
            self._file = open(path, "ab", buffering=0, opener=owner_only)  # noqa: SIM115
            _cut_incomplete_line(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Write records.

        Raises:
            WorkError: the disk is full, or was full in an earlier call, which may have left an incomplete line.
        """
        text = "".join(dump_json(record, ensure_ascii=False) + "\n" for record in records)
        content = memoryview(text.encode("utf-8", "surrogatepass"))
        with writing(self._path), self._lock:
            if self._problem is not None:
                raise self._problem
            try:
                while content:
                    content = content[self._file.write(content) :]
                if time.monotonic() - self._flushed_at >= FLUSH_SECONDS:
                    os.fsync(self._file.fileno())
                    self._flushed_at = time.monotonic()
            except OSError as problem:
                self._problem = problem
                raise

    def close(self) -> None:
        """Flush and close the file."""
        with writing(self._path), self._lock, self._file:
            if self._problem is not None:
                raise self._problem
            os.fsync(self._file.fileno())


def _cut_incomplete_line(path: Path) -> None:
    if not path.stat().st_size:
        return
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) == b"\n":
            return
        content = path.read_bytes()
        file.truncate(content.rfind(b"\n") + 1)
