from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

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


def test_back_and_forward_visit_what_the_address_names(monkeypatch: pytest.MonkeyPatch) -> None:
    tab = SimpleNamespace(query_params={})
    monkeypatch.setattr(links, "st", tab)
    assert links.visited_id("item", None) is None
    for id in ("1", "2"):
        links.write_id("item", id)
        assert tab.query_params == {"item": id}
        assert links.visited_id("item", Item(id)) is None
    tab.query_params["item"] = "1"  # after Back, or in a new tab
    assert links.visited_id("item", Item("2")) == links.visited_id("item", None) == "1"
    links.write_id("item", None)
    assert tab.query_params == {}
