"""Short maths problems with worked answers, generated from the templates beside this file.

Each template has phrasings that are never trained on, and a fifth of all number combinations is held back, too. The
candidate's calculator can complete every sum of a worked answer.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from recipes.embedded.generate import Dice, Example, Family, Words, families, times

HELD_BACK = 5  # one number combination in five is held back


def gcd(dice: Dice, _: Family) -> Words:
    """Euclid's algorithm, in at most three steps."""
    steps: list[str] = []
    while not 1 < len(steps) < 4:
        share, b, a = dice.between(2, 20), *sorted(dice.sample(range(1, 12), 2))
        a, b, steps = a * share, b * share, []
        big, small = a, b
        while small:
            steps.append(f"<<{big} - {big // small} * {small}>>")
            big, small = small, big % small
    a, b = dice.sample((a, b), 2)
    text = ".\n".join(steps) + f", so the greatest common divisor is {big}."
    return {"a": a, "b": b, "text": text, "answer": big}


def lcm(dice: Dice, _: Family) -> Words:
    a, b, multiple = 1, 1, 1
    while not 2 <= multiple // max(a, b) <= 7:
        a, b = dice.sample(range(3, 31), 2)
        multiple = math.lcm(a, b)
    small, large = sorted((a, b))
    listed = ", ".join(str(value) for value in range(large, multiple + 1, large))
    text = f"Multiples of {large}: {listed}.\nThe first that {small} divides: <<{small} * {multiple // small}>>."
    return {"a": a, "b": b, "text": text}


def powers(dice: Dice, _: Family) -> Words:
    """One power, or the sum or difference of two."""
    (a, m), (b, n) = sorted((_power(dice), _power(dice)), key=lambda power: -(power[0] ** power[1]))
    first = f"{a}^{m} is <<{times(*[a] * m)}>>."
    if dice.random() < 0.4 or (a, m) == (b, n):
        return {"shown": f"{a}^{m}", "words": f"{a} to the power of {m}", "text": first}
    sign, word = dice.choice((("+", "plus"), ("-", "minus")))
    return {
        "shown": f"{a}^{m} {sign} {b}^{n}",
        "words": f"{a} to the power of {m} {word} {b} to the power of {n}",
        "text": f"{first}\n{b}^{n} is <<{times(*[b] * n)}>>.\n<<{a**m} {sign} {b**n}>>.",
    }


def _power(dice: Dice) -> tuple[int, int]:
    base = dice.choice((2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12))
    return base, dice.between(2, {2: 9, 3: 6, 4: 5, 5: 5, 10: 5}.get(base, 4 if base < 10 else 3))


def factorials(dice: Dice, _: Family) -> Words:
    """A factorial alone, plus, minus or times a number, or a quotient of two factorials."""
    form, n, b = dice.choice("!!+-*//"), dice.between(3, 7), dice.between(2, 60)
    if form == "/":
        n = dice.between(5, 16)
        m = n - dice.choice((2, 2, 3))
        shown, words = f"{n}! / {m}!", f"{n} factorial divided by {m} factorial"
        text = f"{m}! cancels, which leaves <<{times(*range(n, m, -1))}>>."
    elif form == "!":
        n = dice.between(3, 9)
        shown, words, text = f"{n}!", f"{n} factorial", f"{n}! is <<{times(*range(n, 0, -1))}>>."
    else:
        product = math.factorial(n)
        b = min(b, product) if form != "*" else dice.between(2, 9)
        word = {"+": "plus", "-": "minus", "*": "times"}[form]
        shown, words = f"{n}! {form} {b}", f"{n} factorial {word} {b}"
        text = f"{n}! is <<{times(*range(n, 0, -1))}>>.\n<<{product} {form} {b}>>."
    return {"shown": shown, "words": words, "text": text}


# The families of algebra.toml whose draws need loops or branches.
BY_HAND: Mapping[str, Callable[[Dice, Family], Words]] = {
    function.__name__: function for function in (gcd, lcm, powers, factorials)
}


def _templates(*files: str) -> tuple[Family, ...]:
    return tuple(
        family for name in files for family in families(Path(__file__).with_name(f"{name}.toml"), BY_HAND).values()
    )


SHORT = _templates("arithmetic", "stories")
SIMPLE = _templates("sums", "changes", "groups")  # small numbers; the question decides how many steps are needed
ALGEBRA = _templates("algebra")
CHAINS = _templates("chains")  # of two to five steps
FIRST = _templates("firsts")  # what people type first
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
