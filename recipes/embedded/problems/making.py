"""The drawing of problems from the templates for one side of the split."""

from __future__ import annotations

import re
import zlib

from recipes.embedded.problems.arithmetic import (
    average,
    divide,
    double,
    drill,
    equation,
    equation_minus,
    equation_short,
    minus,
    order,
    part,
    percent,
    plus,
    sequence,
    square,
    times,
    units,
)
from recipes.embedded.problems.dice import Dice, Problem, Template
from recipes.embedded.problems.stories import (
    ages,
    area,
    buying,
    change,
    discount,
    giving,
    left,
    more,
    perimeter,
    reading,
    rows,
    saving,
    sharing,
    time_taken,
    travel,
    twice,
    wages,
)

KEPT_BACK = 5  # one number combination in so many
TEMPLATES: tuple[Template, ...] = (
    plus, minus, times, divide, double, square, order, percent, discount, part, buying, change, giving, left, sharing,
    travel, time_taken, equation, equation_minus, equation_short, area, perimeter, saving, wages, more, twice, rows,
    reading, average, ages, units, sequence,
)  # fmt: skip


def problems(count: int, seed: int, held_back: bool = False) -> list[Problem]:
    """`count` different problems, the templates in turn, all for training or all kept back from it."""
    return _different(count, Dice(seed, held_back), TEMPLATES)


def drills(count: int, seed: int) -> list[Problem]:
    """`count` different rows of bare sums, for training."""
    return _different(count, Dice(seed, False), (drill,))


def _different(count: int, dice: Dice, templates: tuple[Template, ...]) -> list[Problem]:
    made: dict[str, str] = {}
    turn = 0
    while len(made) < count:
        template = templates[turn % len(templates)]
        turn += 1
        query, answer = template(dice)
        numbers = " ".join(re.findall(r"\d+", query))
        if (zlib.crc32(f"{template.__name__} {numbers}".encode()) % KEPT_BACK == 0) == dice.held_back:
            made.setdefault(query, answer)
    return list(made.items())
