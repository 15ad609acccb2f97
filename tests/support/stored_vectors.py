"""How many vectors the store of embeddings holds."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from zooter_core.base.weights import cache_dir
from zooter_core.router.vector_store import FILE


def stored_vectors() -> int:
    with closing(sqlite3.connect(cache_dir() / FILE)) as file:
        (count,) = file.execute("SELECT count(*) FROM vectors").fetchone()
        return int(count)
