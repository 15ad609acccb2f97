"""A store for the vectors of texts: one file in the user's cache folder, shared by all commands and the demo.

A row holds a hash of the text, the encoder, and the vector in single precision. Half precision would enlarge the small
differences between batches, so that a resumed step could give other tags. Rows are appended, so writing does not slow
down as the file grows.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.sqlite_file import CacheFile
from zooter_core.base.weights import cache_dir

FILE = "embeddings.sqlite"
LARGEST = 4 << 30  # bytes of vectors in the file; the oldest beyond this size are deleted
PAGE = 1 << 14  # bytes; with SQLite's default, many pages would be half empty
AT_ONCE = 1000  # vectors that are read together
SETUP = f"""
PRAGMA page_size = {PAGE};
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS encoders (id INTEGER PRIMARY KEY, identity TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS vectors (id INTEGER PRIMARY KEY, encoder INTEGER, text BLOB, vector BLOB,
    UNIQUE (encoder, text));
"""
SELECT = "SELECT text, vector FROM vectors WHERE encoder = (SELECT id FROM encoders WHERE identity = ?) AND text IN"


@dataclass(frozen=True)
class VectorStore:
    """The vectors of one encoder."""

    identity: str  # everything that a vector depends on; only vectors with the same identity are returned
    width: int

    def fill(self, texts: Sequence[str], vectors: NDArray[Any]) -> list[int]:
        """Put the stored vectors into an array of shape (n, width). Return the rows without a stored vector."""
        missing: list[int] = []
        for first in range(0, len(texts), AT_ONCE):
            keys = [_key(text) for text in texts[first : first + AT_ONCE]]
            stored = _file().find(SELECT, keys, self.identity)
            for row, key in enumerate(keys, first):
                blob = stored.get(key, b"")
                fits = isinstance(blob, bytes) and len(blob) == 4 * self.width
                vectors[row] = np.frombuffer(blob, dtype=np.float32) if fits else np.nan
            sound = np.isfinite(vectors[first : first + len(keys)]).all(axis=1)  # the other rows are missing or damaged
            missing += (first + np.flatnonzero(~sound)).tolist()
        return missing

    def put(self, texts: Sequence[str], vectors: NDArray[Any]) -> None:
        """Store vectors, all or none of them."""
        single = vectors.astype(np.float32)

        def insert(file: sqlite3.Connection) -> None:
            file.execute("INSERT OR IGNORE INTO encoders (identity) VALUES (?)", [self.identity])
            (encoder,) = file.execute("SELECT id FROM encoders WHERE identity = ?", [self.identity]).fetchone()
            rows = ((encoder, _key(text), vector.tobytes()) for text, vector in zip(texts, single, strict=True))
            file.executemany("INSERT OR REPLACE INTO vectors (encoder, text, vector) VALUES (?, ?, ?)", rows)
            _shrink(file, LARGEST)

        _file().change(insert)


def _shrink(file: sqlite3.Connection, largest: int) -> None:
    """Delete the oldest vectors, a tenth at a time, until the file is small enough."""
    pages = largest // PAGE
    while True:
        (total,), (free,) = (file.execute(f"PRAGMA {what}").fetchone() for what in ("page_count", "freelist_count"))
        first, last = file.execute("SELECT min(id), max(id) FROM vectors").fetchone()
        if total - free <= pages or first is None:
            return
        file.execute("DELETE FROM vectors WHERE id <= ?", [first + (last - first) // 10])


def _file() -> CacheFile:
    return CacheFile(cache_dir() / FILE, SETUP)


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
