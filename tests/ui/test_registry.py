from __future__ import annotations

from dataclasses import dataclass

from zooter_core.ui.links import Registry


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
