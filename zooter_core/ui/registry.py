"""The latest items of this server, each found by its id in a tab's address, for tabs that reload."""

from __future__ import annotations

import threading
from typing import Generic, Protocol, TypeVar

import streamlit as st

MOST = 200  # in memory; the oldest are dropped first


class HasId(Protocol):
    id: str


Item = TypeVar("Item", bound=HasId)


class Registry(Generic[Item]):
    """Items by their ids. Thread-safe.

    Args:
        kind: what an item is; its key in a tab's session state.
        parameter: of the address, which holds the id of the tab's item.
    """

    def __init__(self, kind: str, parameter: str, most: int = MOST) -> None:
        self._kind, self._parameter, self._most = kind, parameter, most
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

    def remove(self, id: str) -> None:
        with self._lock:
            self._items.pop(id, None)

    def current(self) -> Item | None:
        """This tab's item: its own, or the one that the address names."""
        item: Item | None = st.session_state.get(self._kind)
        if item is None and (id := st.query_params.get(self._parameter)):
            item = st.session_state[self._kind] = self.find(id)
            if item is None:
                st.query_params.pop(self._parameter)
                st.info(
                    f"This address names a {self._kind} that the server no longer has. A restart of the server clears "
                    "them."
                )
        if item is not None:
            st.query_params[self._parameter] = item.id
            self.add(item)
        return item

    def show(self, item: Item | None) -> None:
        st.session_state[self._kind] = item
        if item is None:
            st.query_params.pop(self._parameter, None)
