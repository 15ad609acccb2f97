"""A cache of rewards: one private SQLite file in the user's cache folder.

A row holds a hash of (reward model, query, response), or of (reward model, query, first, second) for a comparison, and
the number: about 40 bytes. If anything is wrong with the file, scoring continues without it.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from zooter_core.base.files import private_file, private_folder
from zooter_core.base.records import LARGEST_SCORE
from zooter_core.base.weights import cache_dir, private_cache

Item = tuple[str, ...]
MOST_KEYS = 500  # in one SELECT; SQLite accepts at least 999
LOCK_SECONDS = 5.0  # to wait for another process that writes


class ScoreCache:
    """Rewards of one reward model.

    Args:
        identity: everything that shapes the rewards: settings, weights and their version.
    """

    def __init__(self, identity: str, path: Path | None = None) -> None:
        self.identity = identity.encode()
        self.path = path or cache_dir() / "rewards.sqlite"

    def get(self, items: Sequence[Item]) -> dict[Item, float]:
        """The cached rewards of some items."""
        keys = {self._key(item): item for item in items}
        rewards: dict[Item, float] = {}
        try:
            private_file(self.path)
            with closing(sqlite3.connect(self.path, timeout=LOCK_SECONDS)) as file:
                for first in range(0, len(keys), MOST_KEYS):
                    batch = list(keys)[first : first + MOST_KEYS]
                    marks = ",".join("?" * len(batch))
                    rows = file.execute(f"SELECT key, reward FROM rewards WHERE key IN ({marks})", batch)
                    rewards |= {keys[key]: float(reward) for key, reward in rows}
        except (sqlite3.Error, OSError, TypeError, ValueError):  # no table yet, damaged, locked for long
            return {}
        return {item: reward for item, reward in rewards.items() if abs(reward) <= LARGEST_SCORE}  # others are damage

    def put(self, rewards: Mapping[Item, float]) -> None:
        """Store rewards, all or none of them."""
        rows = [(self._key(item), reward) for item, reward in rewards.items()]
        try:
            if self.path.parent == cache_dir():
                private_cache()
            private_folder(self.path.parent, ours=False)
            private_file(self.path)
            with closing(sqlite3.connect(self.path, timeout=LOCK_SECONDS)) as file, file:
                file.execute("CREATE TABLE IF NOT EXISTS rewards (key BLOB PRIMARY KEY, reward REAL) WITHOUT ROWID")
                file.executemany("INSERT OR REPLACE INTO rewards VALUES (?, ?)", rows)
        except (sqlite3.Error, OSError):
            return

    def _key(self, item: Item) -> bytes:
        digest = hashlib.blake2b(digest_size=16)
        for part in (self.identity, *(text.encode("utf-8", "surrogatepass") for text in item)):
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()
