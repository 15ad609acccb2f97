"""A calculator for text that is being generated, since small models set up arithmetic correctly but miscalculate.

In GSM8K's paper, a calculator completes expressions that the model marks (Cobbe et al., 2021, arXiv 2110.14168, section
5). Here no marks are needed: the calculator completes every expression before `=`. If the query itself is a sum or an
equation, the answer begins with its result.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from zooter_core.arithmetic import exercises
from zooter_core.arithmetic.exact_answers import exact_answer
from zooter_core.arithmetic.exercises import Equations, equations_in, roots_in, sum_in
from zooter_core.arithmetic.sums import equals, in_decimals, work_out
from zooter_core.base.records import Message

LONGEST = 80  # characters of an expression, its equals sign and the beginning of its result
MOST = 10**12  # results from here on are left to the model
TAIL = re.compile(r"((?:[\d.,$()+\-*/×÷ ]|x(?! ?-))+)=( ?\$?)(-?[\d.]*)\Z")  # "2x - 3" is not a product
CUT = re.compile(
    r"(?:[\w)^√%]|\d[:'’]|[\w)] - |\b(?:log|ln|sin|cos|tan) )\Z"
)  # text before the match if the match is only a part of a longer expression
DIGITS = tuple("0123456789")
NUMERIC = (*DIGITS, "-", ".")
FRACTIONS = re.compile(r"(?=.*\d/\d).*[-+*/].*[-+*/]")
FIRST_WORD = re.compile(r"\A[a-z](?=[\w-]* )")  # not the name of a function, as in "sqrt(9)"
ALONE = re.compile(r"[\s()+$-]*[\d.,]*[\s)]*")  # a number without an operation


def result(expression: str) -> str | None:
    """The value of an expression of numbers, + - * / (or x × ÷) and parentheses, with up to 4 decimals.

    None if the text is not an expression of at least two numbers, if it divides by zero, or if the value is too large.
    """
    value = None if "**" in expression or ALONE.fullmatch(expression) else work_out(expression)
    return None if value is None or abs(value) >= MOST else in_decimals(value)


def opening(messages: Sequence[Message]) -> str:
    """The beginning of the answer if the query has an exact answer, for example a sum or an equation; otherwise "".

    Examples: "2*3*4 = 24.\\nThe answer is", "1/2 + 1/3 = 5/6 ≈ 0.8333.", "3x = 15, so x = 15 / 3 = 5.",
    "x = 2 or x = 3.".
    """
    query = messages[-1].content if messages[-1].role == "user" else ""
    if len(query) > exercises.LONGEST:
        return ""
    if parts := sum_in(query):
        return _worked_out(*parts)
    if equations := equations_in(query):
        return _solved(equations)
    if roots := roots_in(query):
        return _roots(*roots)
    exact = exact_answer(query)
    return f"{exact[0]}\nThe answer is {exact[1]}." if exact else ""


def _worked_out(wording: str, signs: str) -> str:
    value, exact = result(signs), work_out(signs)
    if value is None or exact is None:
        return ""
    wording = FIRST_WORD.sub(lambda letter: letter[0].upper(), wording)
    if exact.denominator > 1 and FRACTIONS.search(wording):
        return f"{wording} = {exact} {equals(exact)} {value}.\nThe answer is"
    return f"{wording} {equals(exact)} {value}.\nThe answer is"


def _solved(equations: Equations) -> str:
    values = " and ".join(f"{name} = {value}" for name, value in equations.solution.items())
    if len(equations.rows) > 1:
        return f"{values}.\nThe answer is {values.rpartition(' ')[0]}"
    ((factor, right),), (name,) = equations.rows, equations.solution
    if factor < 0:
        factor, right = -factor, -right
    if factor == 1 or factor.denominator != 1 or right.denominator != 1:
        return f"{values}.\nThe answer is"
    quotient = f" = {right} / {factor}" if right % factor == 0 else ""
    return f"{factor}{name} = {right}, so {name}{quotient} = {equations.solution[name]}.\nThe answer is"


def _roots(name: str, roots: Sequence[Fraction]) -> str:
    if not roots:
        return f"No real number {name} solves this.\nThe answer is none"
    values = [in_decimals(root) for root in roots]
    return f"{' or '.join(f'{name} = {value}' for value in values)}.\nThe answer is {' and '.join(values)}"


def due(text: str) -> str | None:
    """The missing digits of the result at the end of `text`; None if `text` does not end with an expression.

    The empty string means that the result is complete and no digit may follow. For example, `due("2 * 16 = 3")` is
    `"2"`; `due("2 * 16 = 32")` and `due("2 * 16 = 32.")` are `""`.
    """
    text = text[-LONGEST:]
    match = TAIL.search(text)
    if match is None:
        return None
    expression, _, written = match.groups()
    expression = re.split(r"[.,]\s+", expression)[-1].lstrip()
    before = text[: match.end(1) - len(expression) + 2 * expression.startswith("- ")]
    value = None if CUT.search(before) else result(expression)
    if value is None or not f"{value}.".startswith(written):
        return None
    return value[len(written) :]
