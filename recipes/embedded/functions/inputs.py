"""Inputs that the functions are tested with."""

from __future__ import annotations

import random
from typing import Any

from recipes.embedded.functions.spec import Inputs

POOL = (
    "apple", "Oslo", "cat", "level", "stone", "river", "an", "table", "noon", "sun", "light", "orange", "tree", "Paris",
    "radar", "eel", "lemon", "a", "planet", "rose", "is", "onion", "panther", "Rome", "trip", "solo", "elephant",
)  # fmt: skip
NUMS = ([3, 1, 2], [5], [4, -2, 9, 4, 0], [7, 7, 1])
LISTS: Inputs = (([3, 1, 2],), ([],), ([4, -2, 9, 4, 0],), ([7, 7, 1],))
FULL: Inputs = tuple((xs,) for xs in NUMS)
TEXTS: Inputs = (("hello world",), ("",), ("Noon",), ("level",), ("A big red Apple",))
INTS: Inputs = ((0,), (1,), (5,), (12,), (7,))
PAIRS: Inputs = ((3, 5), (7, 2), (-4, 6), (0, 9), (4, 4))
TWO_LISTS: Inputs = (([1, 2, 3], [2, 3, 4]), ([], []), ([5, 5, 6], [6, 0, 5]), ([-1], [8]))
LIST_N: Inputs = (([1, 2, 3, 4, 5], 2), ([], 3), ([7, 8, 9], 1), ([4, 6, 1, 9], 3))
TEXT_N: Inputs = (("python", 2), ("", 3), ("abcdef", 3), ("a b c d", 4))
DICTS: Inputs = (({"a": 1, "b": 2},), ({},), ({"x": 9, "y": -3, "z": 4},))


def number_lists(dice: random.Random, k: Any) -> list[Any]:
    near = [k - 1, k, k + 1, -k, 2 * k] if k else [0, 7, -4, 9]
    draw = [[dice.randint(-15, 30) for _ in range(size)] for size in (6, 7)]
    return [[], near, *draw, [dice.randint(1, 20)]]


def number_dicts(dice: random.Random, k: Any) -> list[Any]:
    return [dict(zip("abcdefgh", numbers, strict=False)) for numbers in number_lists(dice, k)]


def word_lists(dice: random.Random, _: Any) -> list[Any]:
    return [[], *(dice.sample(POOL, size) for size in (3, 5, 6, 7))]
