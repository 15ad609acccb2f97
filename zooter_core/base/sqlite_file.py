"""Private SQLite files, and caches in such files of what can be computed again: vectors and rewards."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from zooter_core.base.files import SQLITE, private_file, private_folder
from zooter_core.base.weights import cache_dir, private_cache

MOST_KEYS = 500  # in one SELECT; SQLite accepts at least 999
UNUSABLE = (sqlite3.Error, OSError, UnicodeDecodeError)  # what a file raises that is damaged or cannot be opened
LOCK_SECONDS = 30.0  # to wait for another process that writes


def open_private(path: Path, setup: str, seconds: float, **options: Any) -> sqlite3.Connection:
    """A connection to a file that is made, private, if there is none.

    Args:
        setup: SQL that runs first, such as `CREATE TABLE IF NOT EXISTS`. It may switch the file to WAL. SQLite does not
            wait when another process does so too; this does.
        seconds: to wait for another process.
        options: of `sqlite3.connect`.

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
    """Move what the write-ahead log holds into the file, and cut the log to nothing: it has pages as they once were.

    Args:
        seconds: to wait for others who read what is in the log.

    Returns:
        whether it is empty.
    """
    until, ((timeout,),) = time.monotonic() + seconds, database.execute("PRAGMA busy_timeout").fetchall()
    database.execute("PRAGMA busy_timeout = 0").fetchall()  # a checkpoint that waits would keep writers waiting
    try:
        while database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True
    finally:
        database.execute(f"PRAGMA busy_timeout = {timeout}").fetchall()


class CacheFile:
    """A file that several threads and processes may use, and that may be deleted at any time.

    Whatever is wrong with it, work continues without it: `find` then finds nothing, and `change` changes nothing. That
    covers a full disk, a folder that cannot be written, a lock that is held for long, a link, and something else in its
    place. A file that is no database is made anew. Only its owner can read it.
    """

    def __init__(self, path: Path, setup: str) -> None:
        self.path, self.setup = path, setup

    def find(self, select: str, keys: Sequence[bytes], *before: Any) -> dict[bytes, Any]:
        """The values that are stored for some keys.

        Args:
            select: SQL that gives key and value; it ends in IN.
            before: the values of earlier marks in it.
        """
        values: dict[bytes, Any] = {}
        try:
            if not self.path.is_file():  # reading makes no file
                return {}
            with self.opened() as file:
                for first in range(0, len(keys), MOST_KEYS):
                    part = keys[first : first + MOST_KEYS]
                    values |= file.execute(f"{select} ({','.join('?' * len(part))})", [*before, *part])
        except UNUSABLE:
            return {}
        return values

    def change(self, edit: Callable[[sqlite3.Connection], object]) -> None:
        """Make some changes in one transaction: all of it, or nothing."""
        try:
            self._transact(edit)
        except (sqlite3.OperationalError, OSError):  # locked for long, or the disk is full
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
        """A connection that commits every statement by itself.

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
            OSError: it cannot be deleted.
        """
        for part in self._parts():
            part.unlink(missing_ok=True)

    def _parts(self) -> list[Path]:
        return [Path(f"{self.path}{suffix}") for suffix in SQLITE]
