"""The generated problems: answers worked out in another way, sums that the calculator writes, and the split."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from recipes.embedded import verify
from recipes.embedded.generate import Dice, Family, step, worked_out
from recipes.embedded.problems import ALGEBRA, TEMPLATES, problems
from zooter_core.backends.local.calculator import due

Words = dict[str, Any]


def value(text: str, x: int | Fraction = 0) -> Any:
    text = re.sub(r"(\d+)!", r"fact(\1)", text.replace("^", "**"))
    text = re.sub(r"(?<=[\dx)])(?=[x(])", "*", text)
    return eval(text, {"x": Fraction(x), "fact": math.factorial})


def area(shown: str, low: int, high: int) -> Fraction:
    """Simpson's rule, exact up to the third power."""
    ends, middle = value(shown, low) + value(shown, high), value(shown, Fraction(low + high, 2))
    return (ends + 4 * middle) * (high - low) / 6


def rate(shown: str, x: int) -> Fraction:
    """The five-point rule, exact up to the fourth power."""
    near, far = value(shown, x + 1) - value(shown, x - 1), value(shown, x + 2) - value(shown, x - 2)
    return (8 * near - far) / 12


def solutions(equation: str, least: int = -100) -> list[int]:
    left, right = equation.split(" = ")
    return [x for x in range(least, 101) if value(left, x) == value(right, x)]


def system(w: Words) -> float:
    sides = [int(w[name].split()[-1]) for name in ("one", "two")]
    return np.linalg.solve([[1, 1], [1, -1]], sides)["xy".index(w["letter"])]


def term(w: Words) -> float:
    shown = [int(number) for number in w["shown"].split(", ")]
    return np.polyval(np.polyfit(range(1, 5), shown, 1), w["n"])


# All of algebra, and the simple problems that tell one story and ask for different things.
OTHERWISE: dict[str, Callable[[Words], Any]] = {
    "quadratic": lambda w: (max if w["which"] == "larger" else min)(solutions(w["shown"])),
    "square_equation": lambda w: solutions(w["shown"], 1)[0],
    "root": lambda w: w["n"] ** (1 / {"square": 2, "cube": 3}[w["name"]]),
    "integral_power": lambda w: area(w["shown"], 0, w["c"]),
    "integral_linear": lambda w: area(w["shown"], 0, w["c"]),
    "integral_between": lambda w: area(w["shown"], w["low"], w["high"]),
    "derivative_power": lambda w: rate(w["shown"], w["x"]),
    "derivative_sum": lambda w: rate(w["shown"], w["x"]),
    "slope": lambda w: np.polyfit([w["x1"], w["x2"]], [w["y1"], w["y2"]], 1)[0],
    "function_value": lambda w: value(w["shown"], w["x"]),
    "gcd": lambda w: math.gcd(w["a"], w["b"]),
    "lcm": lambda w: math.lcm(w["a"], w["b"]),
    "two_equations": system,
    "log": lambda w: math.log(w["n"], w["base"]),
    "powers": lambda w: value(w["shown"]),
    "choose": lambda w: math.comb(w["n"], w["k"]),
    "factorials": lambda w: value(w["shown"]),
    "sum_first": lambda w: sum(range(w["n"] + 1)),
    "nth_term": term,
    "polygon": lambda w: w["n"] * 180 - 360,
    "third_angle": lambda w: 180 - (w["a"] + w["b"]),
    "hypotenuse": lambda w: math.hypot(w["a"], w["b"]),
    "simplified": lambda w: value(w["shown"], w["x"]),
    "primes": lambda w: len([n for n in range(2, w["n"]) if all(n % d for d in range(2, n))]),
    "limit": lambda w: value(w["shown"].split(": ")[-1], w["a"] + Fraction(1, 10**9)),
    "determinant": lambda w: np.linalg.det([[w["a"], w["b"]], [w["c"], w["d"]]]),
    "both_sides": lambda w: solutions(f"{w['left']} = {w['right']}")[0],
    "boxes_full": lambda w: w["n"] * w["k"],
    "boxes_single": lambda w: w["n"] * w["k"] + w["c"],
    "pages_read": lambda w: w["n"] * w["k"],
    "pages_left": lambda w: w["m"] - w["n"] * w["k"],
    "note_cost": lambda w: w["n"] * w["p"],
    "note_change": lambda w: w["w"] - w["n"] * w["p"],
    "more_other": lambda w: w["a"] + w["b"],
    "more_together": lambda w: 2 * w["a"] + w["b"],
    "other_has_more": lambda w: w["a"] + w["b"],
    "other_has_fewer": lambda w: w["a"] - w["b"],
    "gets_more": lambda w: w["a"] + w["b"],
    "gives_some": lambda w: w["a"] - w["b"],
}


@pytest.mark.parametrize("held_back", [False, True])
@pytest.mark.parametrize("template", [t for t in TEMPLATES if t.name in OTHERWISE], ids=lambda t: t.name)
def test_answers_are_what_another_way_finds(template: Family, held_back: bool) -> None:
    dice = Dice(3, held_back)
    for _ in range(60):
        words = template.words(dice)
        answer = worked_out(words)
        assert float(verify.final_number(answer)) == pytest.approx(float(OTHERWISE[template.name](words))), answer
    assert {t.name for t in ALGEBRA} < set(OTHERWISE)


@pytest.mark.parametrize("held_back", [False, True])
def test_every_step_is_what_the_calculator_writes_and_it_writes_nothing_else(held_back: bool) -> None:
    for query, answer in problems(len(TEMPLATES) * 12, 5, held_back):
        assert not re.search("[{}]|<<", query + answer)
        sums = list(re.finditer(r"(?<!\^)\d = (-?[\d.]*\d)", answer))  # `6^3 = 6 * 6 * 6` is left to the model
        assert sums, (query, answer)
        for match in sums:
            assert due(answer[: match.start(1)]) == match[1], (query, answer)
        for end in range(1, len(answer)):
            if answer[end - 1] != "=" and (rest := due(answer[:end])) is not None:
                assert answer[end:].startswith(rest) if rest else not answer[end].isdigit(), answer
        last = re.findall(r"(?:(?<!\S)-)?\d[\d.]*", answer.rsplit("\nThe answer is", 1)[0])[-1]
        assert verify.final_number(answer) == verify.final_number(last), (query, answer)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: t.name)
def test_every_phrasing_tells_the_same_numbers(template: Family) -> None:
    """Or a question could not be answered, or a combination of numbers would be on both sides."""
    phrasings = [phrasing for side in ("train", "held_back") for phrasing in template.table[side]]
    assert len(set(phrasings)) == len(phrasings)
    words = template.words(Dice(4, False))
    words |= {"pages_read": {"m": ""}, "note_cost": {"w": ""}}.get(template.name, {})  # the sibling's may go unsaid
    numbers = [" ".join(str(words[name]) for name in re.findall(r"\{(\w+)", text)) for text in phrasings]
    assert len({frozenset(re.findall(r"\d+", text)) for text in numbers}) == 1
    assert len(problems(8, 8, True, [template])) == 8


def test_held_back_problems_share_no_phrasing_and_no_query_with_training() -> None:
    train, held_out = dict(problems(3000, 0)), dict(problems(300, 0, held_back=True))
    assert not set(train) & set(held_out)
    assert len({template.name for template in TEMPLATES}) == len(TEMPLATES)
    assert problems(50, 1) == problems(50, 1) != problems(50, 2)


def test_a_step_is_a_sum_and_a_draw_assigns() -> None:
    assert step("3 * 11") == "3 * 11 = 33"
    with pytest.raises(ValueError, match="not a sum: 33"):
        step("33")
    family = Family("bad", {"draw": "import os", "text": "", "train": [""]}, {})
    with pytest.raises(ValueError, match=r"\[bad\] draw must hold assignments only"):
        family.example(Dice(0, False))
