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
    registry: Registry[Item] = Registry()
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


def test_back_and_forward_visit_what_the_address_names(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, tab = [0.0], SimpleNamespace(session_state={}, query_params={})
    monkeypatch.setattr(links, "st", tab)
    monkeypatch.setattr(links.time, "monotonic", lambda: clock[0])
    for id in ("1", "2"):
        links.write_id("item", id)
        assert tab.query_params == {"item": id}
        assert links.visited_id("item") is None
    tab.query_params["item"] = "1"  # of a click that the browser sent before it knew the new address
    assert links.visited_id("item") is None
    links.write_id("item", "2")
    clock[0] = 2 * links.TAKEN_OVER
    for id in ("1", "2", "1"):  # quickly
        tab.query_params["item"] = id
        assert links.visited_id("item") == id
        links.write_id("item", id)
    links.write_id("item", None)
    assert links.visited_id("item") is None
    assert tab.query_params == {}
