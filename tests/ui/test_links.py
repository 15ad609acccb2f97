from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from urllib.parse import parse_qs, urlparse

import pytest

from zooter_core.ui import links
from zooter_core.ui.links import Registry


def test_a_link_opens_the_query_with_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links.resources, "fleets", lambda: {"tiny": "models/tiny"})
    monkeypatch.setattr(links.resources, "folder", lambda: "models/tiny")
    address = links.link("What is 2 + 2? & more", models=["a", "b c"], blind="true")
    assert parse_qs(urlparse(address).query) == {
        "q": ["What is 2 + 2? & more"],
        "fleet": ["tiny"],
        "models": ["a", "b c"],
        "blind": ["true"],
    }


@dataclass
class Item:
    id: str


def test_the_latest_are_found_and_the_oldest_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "MOST", 2)
    registry: Registry[Item] = Registry("item", "item")
    first, second, third = Item("1"), Item("2"), Item("3")
    registry.add(first)
    registry.add(second)
    registry.add(first)  # looked at again: the other one is the oldest now
    registry.add(third)
    assert registry.find("1") is first
    assert registry.find("2") is None
    assert registry.find("3") is third
    registry.remove("3")
    assert registry.find("3") is None


def test_back_and_forward_show_what_the_address_names(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, tab, notes = [0.0], SimpleNamespace(session_state={}, query_params={}), []
    monkeypatch.setattr(links, "st", SimpleNamespace(**vars(tab), info=notes.append))
    monkeypatch.setattr(links.time, "monotonic", lambda: clock[0])
    registry: Registry[Item] = Registry("item", "item")
    first, second = Item("1"), Item("2")
    for item in (first, second):
        registry.show(item)
        assert registry.current() is item
        assert tab.query_params == {"item": item.id}
    tab.query_params["item"] = "1"  # of a click that the browser sent before it knew the new address
    assert registry.current() is second
    assert tab.query_params == {"item": "2"}
    clock[0] = 2 * links.TAKEN_OVER
    for item in (first, second, first):  # quickly
        tab.query_params["item"] = item.id
        assert registry.current() is item
    registry.remove("2")
    tab.query_params["item"] = "2"
    assert registry.current() is first
    assert (tab.query_params, notes) == ({"item": "1"}, [])
    registry.show(None)
    assert registry.current() is None
    assert tab.query_params == {}


def test_a_new_tab_is_told_of_an_address_that_names_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    tab = SimpleNamespace(session_state={}, query_params={"item": "1"}, info=notes.append)
    monkeypatch.setattr(links, "st", tab)
    assert Registry("item", "item").current() is None
    assert "no longer has" in notes[0]
    assert tab.query_params == {}
