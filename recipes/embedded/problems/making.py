"""The drawing of problems from the templates for one side of the split."""

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

KEPT_BACK = 5  # one number combination in so many
SHORT: tuple[Template, ...] = (*ARITHMETIC, *STORIES)
# Small numbers; what is asked decides how many steps there are.
SIMPLE: tuple[Template, ...] = (*SUMS, *CHANGES, *GROUPS)
TEMPLATES: tuple[Template, ...] = (*SHORT, *SIMPLE, *ALGEBRA, *CHAINS)


def problems(
    count: int, seed: int, held_back: bool = False, templates: Sequence[Template] = TEMPLATES
) -> list[Problem]:
    """`count` different problems, the templates in turn, all for training or all kept back from it."""
    dice = Dice(seed, held_back)
    made: dict[str, str] = {}
    turn = 0
    while len(made) < count:
        template = templates[turn % len(templates)]
        turn += 1
        query, answer = template(dice)
        numbers = sorted(set(re.findall(r"\d+", query)))
        if (zlib.crc32(f"{template.__name__} {numbers}".encode()) % KEPT_BACK == 0) == held_back:
            made.setdefault(query, answer)
    return list(made.items())
