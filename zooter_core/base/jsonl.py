"""Append-only files of JSON lines, which a killed process leaves readable."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from zooter_core.base.errors import WorkError
from zooter_core.base.files import owner_only, writing
from zooter_core.base.strict_json import NotFiniteError, dump_json, parse_json

FIX_LINE = "Remove that line and start again, or restore a copy of the file."
FLUSH_SECONDS = 0.8  # between two flushes of an Appender to the disk


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
                expected = f'a finite number as "{problem.field}" in line {number} of {path}'
                raise WorkError(expected, problem.number, FIX_LINE) from problem
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise WorkError(f"a JSON object in line {number} of {path}", repr(line[:60]), FIX_LINE)
            yield record


def append_records(path: Path, records: Iterable[Mapping[str, Any]], private: bool = False) -> None:
    """Add records to an append-only file, after removing an incomplete last line, and flush them to the disk.

    Raises:
        WorkError: the disk is full.
    """
    with Appender(path, private) as file:
        file.append(records)


class Appender:
    """Adds records to an append-only file as they come, from any thread.

    The system has a record when `append` returns, so a killed process loses none. A thread flushes the file to the
    disk, at most once in FLUSH_SECONDS, so a power failure loses the last second.

    Args:
        private: give the file to its owner alone.

    Raises:
        WorkError: the file cannot be written.
    """

    def __init__(self, path: Path, private: bool = False) -> None:
        self._path, self._lock = path, threading.Lock()
        self._problem: BaseException | None = None
        with writing(path):
            self._file = open(path, "ab", buffering=0, opener=owner_only if private else None)  # noqa: SIM115
            _cut_incomplete_line(path)
        self._unflushed, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._flush, name="flush", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Write records.

        Raises:
            WorkError: the disk is full, now or at an earlier call; nothing may follow an incomplete line.
        """
        content = memoryview(_lines(records))
        with writing(self._path), self._lock:
            if self._problem is not None:
                raise self._problem
            try:
                while content:
                    content = content[self._file.write(content) :]
            except OSError as problem:
                self._problem = problem
                raise
        self._unflushed.set()

    def close(self) -> None:
        """Flush and close the file."""
        self._closing.set()
        self._unflushed.set()
        self._thread.join()
        with writing(self._path), self._lock:
            self._file.close()
            if self._problem is not None:
                raise self._problem

    def _flush(self) -> None:
        closing = False
        while not closing:
            self._unflushed.wait()
            closing = self._closing.is_set()  # before the flush, which must be the last
            self._unflushed.clear()
            try:
                os.fsync(self._file.fileno())
            except OSError as problem:
                self._problem = problem
            closing = closing or (self._closing.wait(FLUSH_SECONDS) and not self._unflushed.is_set())


def _lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    text = "".join(dump_json(record, ensure_ascii=False) + "\n" for record in records)
    return text.encode("utf-8", "surrogatepass")


def _cut_incomplete_line(path: Path) -> None:
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) == b"\n":
            return
        content = path.read_bytes()
        file.truncate(content.rfind(b"\n") + 1)
