from __future__ import annotations

from dataclasses import dataclass

import pytest

from zooter_core.ui import links


@dataclass
class Item:
    id: str


def test_the_latest_are_found_and_the_oldest_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "MOST", 2)
    items: dict[str, Item] = {}
    first, second, third = Item("1"), Item("2"), Item("3")
    for item in (first, second, first, third):  # the first is looked at again: the second is the oldest now
        links.remember(items, item)
    assert items == {"1": first, "3": third}
