from __future__ import annotations

from dataclasses import dataclass
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


def test_the_latest_are_found_and_the_oldest_leave() -> None:
    registry: Registry[Item] = Registry("item", "item", 2)
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
