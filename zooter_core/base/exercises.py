"""What a query asks to work out and nothing else: a sum ("What's 3 times 4?") or linear equations ("Solve 3x = 15")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from zooter_core.base.sums import value_of

LONGEST = 600  # characters of a query that is looked at; longer ones quote texts
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
WORDS = (  # of a sum, and the signs for them
    (r"\*\*", "^"),
    *((rf"(?<!-)\b{name}\b(?!-)", str(number)) for number, name in enumerate(NUMBERS)),
    (r"\bplus\b", "+"),
    (r"\bminus\b", "-"),
    (r"\b(?:times|multiplied by)\b", "*"),
    (r"\bdivided by\b", "/"),
    (r"[$€£](?=\d)", ""),
    (r"(\d[\d.]*)(?:%| percent) off (?:of )?(\d[\d.]*)", r"\2 * (1 - \1/100)"),
    (r"(?:%|\bpercent) of\b", " / 100 *"),
    (r"\bhalf of\b", "1/2 *"),
    (r"(\d/\d+) of\b", r"\1 *"),
    (r"\s*\bsquared\b", "^2"),
    (r"\s*\bcubed\b", "^3"),
    (r"\bto the power of\b", "^"),
    (r"(?:\bthe )?(?:\bsquare root of |\bsqrt(?: of)? ?|√)\(?(\d+)\)?", r"sqrt(\1)"),
    (r"(?<=[\d\s)])(?<!\b0)x(?=[\d\s(])", "*"),  # but "0x10"
)
LIST = re.compile(  # "the average of 4, 8 and 15"
    r"(?:\bthe )?\b(?P<name>average|mean|sum|total|product) of (?:(?:the|these) (?:following )?numbers:? )?"
    r"(?P<numbers>\d[\d.]*(?:(?:, ?and |, ?| and )\d[\d.]*\b(?!,\d{3}\b))+)",
    re.IGNORECASE,
)
QUESTION = re.compile(
    r"(?:please |can you |could you )*"
    r"(?:(?:what(?:'s| is|s| does)|how much is|calculate|compute|evaluate|work out|solve"
    r"|was ist|wie ?viel ist|combien font|¿?cu[aá]nto (?:es|son)|quanto (?:fa|é)) )?"
    r"(?P<sum>.+?)(?:\s*(?:=|\bequals?\b))?(?:\s*\?|[.!])?(?: please[.!?]?)?",
    re.IGNORECASE,
)
EXPRESSION = re.compile(r"\s*(?:sqrt|[-\d(.])(?:sqrt|[-\d\s()+*/^×÷·−.,%])*")
YEAR = r"(?:1[5-9]|20)\d\d"
DATE = re.compile(rf"\d+[/-]\d+[/-]\d+|24/7|9/11|\d{{3}}[- ]\d{{4}}|{YEAR}[-–]{YEAR}")  # also a telephone's number
OPERATOR = re.compile(r"(?<=[\d)\s%])[-+*/^×÷·−]|sqrt")

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


def sum_in(text: str) -> tuple[str, str] | None:
    """The sum that a text asks for and nothing else, as it is worded and in signs; None without one.

    "3 times 4" and "3 * 4" of "What's 3 times 4?".
    """
    match = QUESTION.fullmatch(" ".join(text.split()).replace("’", "'"))
    if not match or DATE.fullmatch(match["sum"]):
        return None
    signs = wording = LIST.sub(_written_out, match["sum"])
    for pattern, sign in WORDS:
        signs = re.sub(pattern, sign, signs, flags=re.IGNORECASE)
    return (wording, signs.strip()) if EXPRESSION.fullmatch(signs) and OPERATOR.search(signs) else None


def _written_out(match: re.Match[str]) -> str:
    numbers = re.findall(r"[\d.]+", match["numbers"])
    total = (" * " if match["name"].lower() == "product" else " + ").join(numbers)
    return f"({total}) / {len(numbers)}" if match["name"].lower() in ("average", "mean") else total


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
