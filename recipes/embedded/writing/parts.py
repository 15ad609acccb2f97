"""The parts that pieces are composed from, read from the tables beside this file, on one side of the split."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

Item = TypeVar("Item")
Piece = tuple[str, str]  # (request, piece)
Form = Callable[[random.Random, bool], Piece]


def load(name: str) -> dict[str, Any]:
    """The tables in `name`.toml: by form, its requests (asks), its topics and the phrases it chooses from."""
    return tomllib.loads((Path(__file__).parent / f"{name}.toml").read_text(encoding="utf-8"))


def part(items: Sequence[Item], held_back: bool) -> Sequence[Item]:
    """The last fifth of `items` (two at least) is held back, the rest is for training."""
    cut = len(items) - max(2, len(items) // 5)
    return items[cut:] if held_back else items[:cut]


def pick(dice: random.Random, items: Sequence[Item], held_back: bool) -> Item:
    return dice.choice(part(items, held_back))


def upper(text: str) -> str:
    return text[:1].upper() + text[1:]


_SHARED = load("names")
WOMEN: tuple[str, ...] = tuple(_SHARED["women"])
MEN: tuple[str, ...] = tuple(_SHARED["men"])
NAMES = tuple(name for pair in zip(WOMEN, MEN, strict=True) for name in pair)
TOWNS: tuple[str, ...] = tuple(_SHARED["towns"])
DAYS: tuple[str, ...] = tuple(_SHARED["days"])
TIMES: tuple[str, ...] = tuple(_SHARED["times"])
