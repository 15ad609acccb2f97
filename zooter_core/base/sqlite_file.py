"""Private SQLite files, and caches of vectors and rewards in such files."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from zooter_core.base.files import SQLITE, private_file, private_folder
from zooter_core.base.weights import cache_dir, private_cache

MOST_KEYS = 500  # in one SELECT; every SQLite accepts 999
UNUSABLE = (sqlite3.Error, OSError, UnicodeDecodeError)  # errors if a file is damaged or cannot be opened
LOCK_SECONDS = 30.0  # how long to wait for another process that writes


def open_private(path: Path, setup: str, seconds: float, **options: Any) -> sqlite3.Connection:
    """A connection to a private file, which is created if it does not exist.

    Args:
        setup: SQL that runs first, such as `CREATE TABLE IF NOT EXISTS`. It may switch the file to WAL: if another
            process does so at the same time, SQLite fails at once, but this function tries again.
        seconds: how long to wait for another process.
        options: further arguments of `sqlite3.connect`.

    Raises:
        OSError, sqlite3.Error, UnicodeDecodeError: the file cannot be used.
    """
    private_file(path)
    database, until = sqlite3.connect(path, timeout=seconds, **options), time.monotonic() + seconds
    try:
        while True:
            try:
                database.executescript(setup)
                return database
            except sqlite3.OperationalError as problem:
                if problem.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.01)
    except BaseException:
        database.close()
        raise


def empty_log(database: sqlite3.Connection, seconds: float) -> bool:
    """Copy the write-ahead log into the file and truncate the log, which also contains old versions of pages.

    Args:
        seconds: how long to wait for readers that still use the log.

    Returns:
        Whether the log is empty.
    """
    until, ((timeout,),) = time.monotonic() + seconds, database.execute("PRAGMA busy_timeout").fetchall()
    database.execute("PRAGMA busy_timeout = 0").fetchall()  # a checkpoint that waits would block writers
    try:
        while database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True
    finally:
        database.execute(f"PRAGMA busy_timeout = {timeout}").fetchall()


class CacheFile:
    """A cache that several threads and processes may use, in a private file that may be deleted at any time.

    If the file cannot be used, `find` returns nothing and `change` does nothing. Reasons are a full disk, a folder that
    cannot be written, another process that holds the lock for long, and a link or a folder at the path. A file that is
    not a database is deleted and created again.
    """

    def __init__(self, path: Path, setup: str) -> None:
        self.path, self.setup = path, setup

    def find(self, select: str, keys: Sequence[bytes], *before: Any) -> dict[bytes, Any]:
        """The stored values by key, for those keys that are in the file.

        Args:
            select: SQL that selects key and value, and ends in IN.
            before: the values of earlier placeholders in `select`.
        """
        values: dict[bytes, Any] = {}
        try:
            if not self.path.is_file():  # reading does not create the file
                return {}
            with self.opened() as file:
                for first in range(0, len(keys), MOST_KEYS):
                    part = keys[first : first + MOST_KEYS]
                    values |= file.execute(f"{select} ({','.join('?' * len(part))})", [*before, *part])
        except UNUSABLE:
            return {}
        return values

    def change(self, edit: Callable[[sqlite3.Connection], object]) -> None:
        """Call `edit` in a transaction."""
        try:
            self._transact(edit)
        except (sqlite3.OperationalError, OSError):  # the file is locked for long, or the disk is full
            return
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            with suppress(*UNUSABLE):
                self.delete()
                self._transact(edit)

    def _transact(self, edit: Callable[[sqlite3.Connection], object]) -> None:
        with self.opened() as file, file:
            file.execute("BEGIN IMMEDIATE")
            edit(file)

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection in autocommit mode.

        Raises:
            OSError, sqlite3.Error, UnicodeDecodeError: the file cannot be used.
        """
        if self.path.parent == cache_dir():
            private_cache()
        private_folder(self.path.parent, ours=False)
        with closing(open_private(self.path, self.setup, LOCK_SECONDS, isolation_level=None)) as file:
            yield file

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(part.stat().st_size for part in self._parts() if part.is_file())

    def delete(self) -> None:
        """Delete the file.

        Raises:
            OSError: the file cannot be deleted.
        """
        for part in self._parts():
            part.unlink(missing_ok=True)

    def _parts(self) -> list[Path]:
        return [Path(f"{self.path}{suffix}") for suffix in SQLITE]
