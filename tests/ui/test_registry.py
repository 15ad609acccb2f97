from __future__ import annotations

from dataclasses import dataclass

from zooter_core.ui.registry import Registry


@dataclass
class Item:
    id: str


def test_the_latest_are_found_and_the_oldest_leave() -> None:
    kept: Registry[Item] = Registry(2)
    first, second, third = Item("1"), Item("2"), Item("3")
    kept.add(first)
    kept.add(second)
    kept.add(first)  # looked at again: the other one is the oldest now
    kept.add(third)
    assert kept.find("1") is first
    assert kept.find("2") is None
    assert kept.find("3") is third
    assert kept.find("nobody") is None
