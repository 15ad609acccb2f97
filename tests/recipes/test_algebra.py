"""The algebra problems: their answers worked out in another way, and their phrasings."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from recipes.embedded import verify
from recipes.embedded.problems import ALGEBRA, CHAINS, SHORT, SIMPLE, TEMPLATES, Dice, problems
from recipes.embedded.problems.dice import PHRASINGS
from support.recorded_dice import Noted
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
    "limit": lambda w: value(w["shown"], w["a"] + Fraction(1, 10**9)),
    "determinant": lambda w: np.linalg.det([[w["a"], w["b"]], [w["c"], w["d"]]]),
    "both_sides": lambda w: solutions(f"{w['left']} = {w['right']}")[0],
}


@pytest.mark.parametrize("held_back", [False, True])
@pytest.mark.parametrize("template", ALGEBRA)
def test_answers_are_what_another_way_finds(template, held_back):
    dice = Noted(3, held_back)
    for _ in range(60):
        query, answer = template(dice)
        worked, last_line = answer.rsplit("\n", 1)
        assert re.fullmatch(r"The answer is -?\d+(\.\d+)?\.", last_line), answer
        assert float(verify.final_number(answer)) == pytest.approx(float(OTHERWISE[template.__name__](dice.words))), (
            query
        )
        assert re.findall(r"(?:(?<!\S)-)?\d[\d.]*\b", worked)[-1] == last_line.split()[-1].strip("."), answer
        assert 1 <= worked.count("\n") + 1 <= 4


@pytest.mark.parametrize("template", ALGEBRA)
def test_every_phrasing_holds_the_same_numbers(template):
    sides = PHRASINGS[template.__name__]
    phrasings = [phrasing for side in sides.values() for phrasing in side]
    assert (len(sides["train"]) >= 12, len(sides["held_back"]), len(set(phrasings))) == (True, 3, len(phrasings))
    dice = Noted(4, False)
    for _ in range(20):
        template(dice)
        filled = [phrasing.format(**dice.words) for phrasing in phrasings]
        assert len({frozenset(re.findall(r"\d+", query)) for query in filled}) == 1, filled
        assert not any(set("{}") & set(query) for query in filled)


def test_the_calculator_writes_nothing_else_into_an_answer():
    for _, answer in problems(len(ALGEBRA) * 40, 6, templates=ALGEBRA):
        for end in range(1, len(answer)):
            if answer[end - 1] != "=" and (rest := due(answer[:end])) is not None:
                assert answer[end:].startswith(rest) if rest else not answer[end].isdigit(), answer


def test_each_template_has_enough_numbers_for_both_sides():
    for template in ALGEBRA:
        dice = Dice(7, False)
        numbers = {frozenset(re.findall(r"\d+", template(dice)[0])) for _ in range(400)}
        assert len(numbers) >= 40, template.__name__
        assert len(problems(20, 8, True, [template])) == 20
    assert (*SHORT, *SIMPLE, *ALGEBRA, *CHAINS) == TEMPLATES


def test_nothing_held_back_is_trained_on():
    train, held_out = dict(problems(1500, 0, templates=ALGEBRA)), dict(problems(300, 1, True, ALGEBRA))
    assert not set(train) & set(held_out)
    sides = {side: {p for t in ALGEBRA for p in PHRASINGS[t.__name__][side]} for side in ("train", "held_back")}
    assert not sides["train"] & sides["held_back"]
