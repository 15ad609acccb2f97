"""A store of texts' vectors: one private SQLite file in the user's cache folder, shared by all commands and the demo.

A row holds a hash of the text, the encoder, and the vector in single precision: in half precision, the small
differences between batches showed, and a step that was interrupted ended with other tags. Rows are appended, so that
writing costs the same however large the file is. If anything is wrong with the file, work continues without it.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.files import SQLITE, private_file, private_folder
from zooter_core.base.weights import cache_dir, private_cache

FILE = "embeddings.sqlite"
LARGEST = 4 << 30  # bytes of vectors; beyond it the oldest go
PAGE = 1 << 14  # bytes; with SQLite's default every second vector would leave half a page empty
MOST_KEYS = 500  # in one SELECT; SQLite accepts at least 999
LOCK_SECONDS = 30.0  # to wait for another process that writes
SCHEMA = """
CREATE TABLE IF NOT EXISTS encoders (id INTEGER PRIMARY KEY, identity TEXT UNIQUE, reference TEXT);
CREATE TABLE IF NOT EXISTS vectors (id INTEGER PRIMARY KEY, encoder INTEGER, text BLOB, vector BLOB,
    UNIQUE (encoder, text));
"""


@dataclass(frozen=True)
class Contents:
    """What the store holds: its size on disk, and each encoder's reference with its number of vectors."""

    path: Path
    size: int
    encoders: tuple[tuple[str, int], ...]


class VectorStore:
    """The vectors of one encoder.

    Args:
        identity: everything that decides a text's vector; vectors of another identity are never given.
        reference: the encoder's name, for `contents`.
    """

    def __init__(self, identity: str, reference: str, width: int) -> None:
        self.identity, self.reference, self.width = identity, reference, width

    def fill(self, texts: Sequence[str], vectors: NDArray[Any]) -> list[int]:
        """Put the stored vectors into an array of shape (n, width); returns the rows that have none."""
        missing: list[int] = []
        try:
            if not (cache_dir() / FILE).is_file():
                return list(range(len(texts)))
            with _opened() as file:
                encoder = file.execute("SELECT id FROM encoders WHERE identity = ?", [self.identity]).fetchone()
                if encoder is None:
                    return list(range(len(texts)))
                for first in range(0, len(texts), MOST_KEYS):
                    keys = [_key(text) for text in texts[first : first + MOST_KEYS]]
                    stored = self._read(file, encoder[0], keys)
                    for row, key in enumerate(keys, first):
                        if (vector := stored.get(key)) is None:
                            missing.append(row)
                        else:
                            vectors[row] = vector
        except (sqlite3.Error, OSError):  # damaged, or locked for long
            return list(range(len(texts)))
        return missing

    def _read(self, file: sqlite3.Connection, encoder: int, keys: list[bytes]) -> dict[bytes, NDArray[np.float32]]:
        marks = ",".join("?" * len(keys))
        rows = file.execute(
            f"SELECT text, vector FROM vectors WHERE encoder = ? AND text IN ({marks})", [encoder, *keys]
        )
        blobs = {key: blob for key, blob in rows if isinstance(blob, bytes) and len(blob) == 4 * self.width}
        table = np.frombuffer(b"".join(blobs.values()), dtype=np.float32).reshape(len(blobs), self.width)
        sound = np.logical_and.reduce(np.isfinite(table), axis=1)  # others are damage
        return {key: vector for key, vector, good in zip(blobs, table, sound, strict=True) if good}

    def put(self, texts: Sequence[str], vectors: NDArray[Any]) -> None:
        """Store vectors, all or none of them; a file that is no database is made anew."""
        single = vectors.astype(np.float32)
        try:
            self._put(texts, single)
        except sqlite3.OperationalError:
            return  # locked for long, or the disk is full
        except sqlite3.DatabaseError:
            with suppress(OSError, sqlite3.Error):
                delete()
                self._put(texts, single)
        except OSError:
            return

    def _put(self, texts: Sequence[str], single: NDArray[np.float32]) -> None:
        with _opened() as file, file:
            file.execute("BEGIN IMMEDIATE")
            names = (self.identity, self.reference)
            file.execute("INSERT OR IGNORE INTO encoders (identity, reference) VALUES (?, ?)", names)
            (encoder,) = file.execute("SELECT id FROM encoders WHERE identity = ?", [self.identity]).fetchone()
            rows = ((encoder, _key(text), vector.tobytes()) for text, vector in zip(texts, single, strict=True))
            file.executemany("INSERT OR REPLACE INTO vectors (encoder, text, vector) VALUES (?, ?, ?)", rows)
            _shrink(file, LARGEST)


def contents() -> Contents:
    """What the store holds; nothing if there is none, or if it cannot be read."""
    path = cache_dir() / FILE
    counts: tuple[tuple[str, int], ...] = ()
    if path.is_file():
        query = "SELECT reference, count(*) FROM vectors JOIN encoders ON encoders.id = encoder GROUP BY reference"
        with suppress(sqlite3.Error, OSError), _opened() as file:
            counts = tuple((str(name), int(count)) for name, count in file.execute(query))
    sizes = (Path(f"{path}{suffix}") for suffix in SQLITE)
    return Contents(path, sum(part.stat().st_size for part in sizes if part.is_file()), counts)


def prune(largest: int) -> None:
    """Delete the oldest vectors until they take at most `largest` bytes, and give their space back to the disk.

    Raises:
        OSError, sqlite3.Error: the file cannot be changed.
    """
    if largest <= 0:
        delete()
    elif (cache_dir() / FILE).is_file():
        with _opened() as file:
            with file:
                file.execute("BEGIN IMMEDIATE")
                _shrink(file, largest)
            file.execute("VACUUM")
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def delete() -> None:
    """Delete the store.

    Raises:
        OSError: it cannot be deleted.
    """
    for suffix in SQLITE:
        Path(f"{cache_dir() / FILE}{suffix}").unlink(missing_ok=True)


def _shrink(file: sqlite3.Connection, largest: int) -> None:
    """Delete the oldest vectors, a tenth at a time, while all together are too large."""
    pages = largest // PAGE
    while True:
        (total,), (free,) = (file.execute(f"PRAGMA {what}").fetchone() for what in ("page_count", "freelist_count"))
        first, last = file.execute("SELECT min(id), max(id) FROM vectors").fetchone()
        if total - free <= pages or first is None:
            return
        file.execute("DELETE FROM vectors WHERE id <= ?", [first + (last - first) // 10])


@contextmanager
def _opened() -> Iterator[sqlite3.Connection]:
    path = cache_dir() / FILE
    private_folder(private_cache(), ours=False)
    private_file(path)
    with closing(sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)) as file:
        file.execute(f"PRAGMA page_size = {PAGE}")
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA synchronous = NORMAL")
        file.executescript(SCHEMA)
        yield file


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
