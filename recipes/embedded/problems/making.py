"""A generator of problems for one side of the split."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

from recipes.embedded.problems.algebra import ALGEBRA
from recipes.embedded.problems.arithmetic import ARITHMETIC
from recipes.embedded.problems.chains import CHAINS
from recipes.embedded.problems.changes import CHANGES
from recipes.embedded.problems.dice import Dice, Problem, Template
from recipes.embedded.problems.groups import GROUPS
from recipes.embedded.problems.stories import STORIES
from recipes.embedded.problems.sums import SUMS

HELD_BACK = 5  # one number combination in five is held back
SHORT: tuple[Template, ...] = (*ARITHMETIC, *STORIES)
# Small numbers; the question decides how many steps are needed.
SIMPLE: tuple[Template, ...] = (*SUMS, *CHANGES, *GROUPS)
TEMPLATES: tuple[Template, ...] = (*SHORT, *SIMPLE, *ALGEBRA, *CHAINS)


def problems(
    count: int, seed: int, held_back: bool = False, templates: Sequence[Template] = TEMPLATES
) -> list[Problem]:
    """`count` different problems from the templates in turn, all for training or all held back."""
    dice = Dice(seed, held_back)
    drawn: dict[str, str] = {}
    turn = 0
    while len(drawn) < count:
        template = templates[turn % len(templates)]
        turn += 1
        query, answer = template(dice)
        numbers = sorted(set(re.findall(r"\d+", query)))
        if (zlib.crc32(f"{template.__name__} {numbers}".encode()) % HELD_BACK == 0) == held_back:
            drawn.setdefault(query, answer)
    return list(drawn.items())
