"""Finds the linear equations that a query asks to solve, and solves them: "Solve 3x - 4 = 11"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from zooter_core.base.sums import value_of

SOLVE = re.compile(r"^\W*(?:please |can you |could you )*(?:solve|find|what is|determine)\b", re.IGNORECASE)
EQUATION = re.compile(r"[-\d.a-z(][-\d.,a-z()+*/^×÷·−\s]*?=[-\d.,a-z()+*/^×÷·−\s]*[\d.a-z)]", re.IGNORECASE)
VARIABLE = re.compile(r"(?<![a-z])[a-z](?![a-z])", re.IGNORECASE)
WORDING = (  # around equations to solve
    "the|values?|of|for|which|such|that|makes|satisfies|both|if|when|where|and|given|let|following|this|these"
    "|linear|simultaneous|system|equations?|variables?|numbers|solution"
)
BETWEEN = re.compile(rf",(?!\d)|[;:]|\b(?:{WORDING})\b", re.IGNORECASE)
OTHER = re.compile(rf"\b(?!(?:{WORDING})\b)[a-z]{{2,}}", re.IGNORECASE)  # the bug, or the output of a program
FACTOR = re.compile(r"\d[a-z]\b", re.IGNORECASE)  # "2x + 3 = 7" is no line of a program


@dataclass(frozen=True)
class Equations:
    """One linear equation, or two with two variables, that have one solution.

    Attributes:
        rows: of each equation the factors of the variables, in the order of `solution`, and what they give.
    """

    rows: list[list[Fraction]]
    solution: dict[str, Fraction]


def equations_in(text: str) -> Equations | None:
    """The equations that a text asks to solve and that have one solution; None without such."""
    task = SOLVE.sub("", text)
    if task != text and not OTHER.search(task.partition("=")[0]):
        parts = BETWEEN.split(task)
    elif FACTOR.search(text) and EQUATION.fullmatch(text.rstrip(" ?.")):
        parts = [text]
    else:
        return None
    equations = [match[0] for part in parts if (match := EQUATION.search(part))]
    names = sorted({name for equation in equations for name in VARIABLE.findall(equation)})
    if not 1 <= len(names) == len(equations) <= 2:
        return None
    rows = [row for equation in equations if (row := _row(equation, names))]
    values = _solved(rows) if len(rows) == len(equations) else None
    return Equations(rows, dict(zip(names, values, strict=True))) if values else None


def _row(equation: str, names: list[str]) -> list[Fraction] | None:
    """The coefficients of an equation and what they give; None if it is not linear."""
    left, _, right = equation.partition("=")

    def difference(*values: int) -> Fraction | None:
        sides = []
        for side in (left, right):
            side = re.sub(r"(?<=[\d)])\s?\(", "*(", side)
            for name, value in zip(names, values, strict=True):
                side = re.sub(rf"(?<=[\d)])\s?{name}(?![a-z])", f"*({value})", side)
                side = re.sub(rf"(?<![a-z]){name}(?=\s?\()", f"({value})*", side)
                side = re.sub(rf"(?<![a-z]){name}(?![a-z])", f"({value})", side)
            sides.append(value_of(side) if not re.search(r"[a-z]", side, re.IGNORECASE) else None)
        return None if sides[0] is None or sides[1] is None else sides[0] - sides[1]

    places = range(len(names))
    points = [
        [0 for _ in places],
        *([int(place == number) for place in places] for number in places),
        [3 for _ in places],
    ]
    values = [value for point in points if (value := difference(*point)) is not None]
    if len(values) < len(points):
        return None
    zero, *ones, further = values
    factors = [one - zero for one in ones]
    return [*factors, -zero] if further == zero + 3 * sum(factors) and any(factors) else None


def _solved(rows: list[list[Fraction]]) -> list[Fraction] | None:
    if len(rows) == 1:
        return [rows[0][1] / rows[0][0]] if rows[0][0] else None
    (a, b, e), (c, d, f) = rows
    determinant = a * d - b * c
    return [(e * d - b * f) / determinant, (a * f - e * c) / determinant] if determinant else None
