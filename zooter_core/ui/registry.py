"""The latest items of this server by their ids, for tabs that reload."""

from __future__ import annotations

import threading
from typing import Generic, Protocol, TypeVar

MOST = 200  # in memory; the oldest are dropped first


class HasId(Protocol):
    id: str


Item = TypeVar("Item", bound=HasId)


class Registry(Generic[Item]):
    """Items by their ids. Thread-safe."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._items: dict[str, Item] = {}
        self._lock = threading.Lock()

    def add(self, item: Item) -> None:
        """Add an item, or make it the latest."""
        with self._lock:
            self._items.pop(item.id, None)
            self._items[item.id] = item
            while len(self._items) > self._most:
                self._items.pop(next(iter(self._items)))

    def find(self, id: str) -> Item | None:
        return self._items.get(id)
