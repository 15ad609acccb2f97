"""What a tab that is loaded again finds by its id: the latest of what this server's visitors made."""

from __future__ import annotations

import threading
from typing import Generic, Protocol, TypeVar

MOST = 200  # in memory; the oldest leave first


class Named(Protocol):
    id: str


Item = TypeVar("Item", bound=Named)


class Registry(Generic[Item]):
    """Things by their ids. Any thread may use it."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._items: dict[str, Item] = {}
        self._lock = threading.Lock()

    def add(self, item: Item) -> None:
        """Remember one; it then is the latest."""
        with self._lock:
            self._items.pop(item.id, None)
            self._items[item.id] = item
            while len(self._items) > self._most:
                self._items.pop(next(iter(self._items)))

    def find(self, id: str) -> Item | None:
        return self._items.get(id)
