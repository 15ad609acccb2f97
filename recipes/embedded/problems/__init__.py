"""Short maths problems with worked answers, generated from the templates beside this file.

Each template has phrasings that are never trained on, and a fifth of all number combinations is held back too. The
candidate's calculator can finish every sum of a worked answer.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from recipes.embedded.generate import Dice, Example, Family, Words, families
from recipes.embedded.problems import algebra

HELD_BACK = 5  # one number combination in five is held back
BY_HAND: Mapping[str, Callable[[Dice, Family], Words]] = {
    function.__name__: function for function in (algebra.gcd, algebra.lcm, algebra.powers, algebra.factorials)
}


def _templates(*files: str) -> tuple[Family, ...]:
    return tuple(
        family for name in files for family in families(Path(__file__).with_name(f"{name}.toml"), BY_HAND).values()
    )


SHORT = _templates("arithmetic", "stories")
SIMPLE = _templates("sums", "changes", "groups")  # small numbers; the question decides how many steps are needed
ALGEBRA = _templates("algebra")
CHAINS = _templates("chains")  # of two to five steps
TEMPLATES = (*SHORT, *SIMPLE, *ALGEBRA, *CHAINS)


def problems(count: int, seed: int, held_back: bool = False, templates: Sequence[Family] = TEMPLATES) -> list[Example]:
    """`count` different problems from the templates in turn, all for training or all held back."""
    dice = Dice(seed, held_back)
    drawn: dict[str, str] = {}
    turn = 0
    while len(drawn) < count:
        template = templates[turn % len(templates)]
        turn += 1
        query, answer = template.example(dice)
        numbers = sorted(set(re.findall(r"\d+", query)))
        if (zlib.crc32(f"{template.name} {numbers}".encode()) % HELD_BACK == 0) == held_back:
            drawn.setdefault(query, answer)
    return list(drawn.items())
