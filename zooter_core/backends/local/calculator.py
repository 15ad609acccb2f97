"""A calculator for text that is being generated: small models set up arithmetic correctly, but miscalculate.

GSM8K's authors let a calculator complete the expressions that a model marks (Cobbe et al., 2021, arXiv 2110.14168,
section 5). No mark is needed here: every expression followed by `=` is completed.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from fractions import Fraction

LONGEST = 80  # characters to look back: an expression, its equals sign and the begun result
MOST = 10**12  # the model writes larger results itself
DECIMALS = 4
TAIL = re.compile(r"([\d.,$()+\-*/x×÷ ]+)=( ?\$?)(-?[\d.]*)$")
DIGITS = tuple("0123456789")
NUMERIC = (*DIGITS, "-", ".")
SIGNS = str.maketrans({"x": "*", "×": "*", "÷": "/", "$": "", ",": ""})
OPERATIONS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def result(expression: str) -> str | None:
    """The value of an expression in numbers, + - * / (or x × ÷) and parentheses, with up to 4 decimals.

    None if the text is not an expression of at least two numbers, divides by zero or is too large.
    """
    try:
        tree = ast.parse(expression.translate(SIGNS).strip(), mode="eval").body
        value = _value(tree) if isinstance(tree, ast.BinOp) else None
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None
    if value is None or abs(value) >= MOST:
        return None
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.{DECIMALS}f}".rstrip("0").rstrip(".")


def due(text: str) -> str | None:
    """The missing rest of the result of the expression at the end of `text`; None if there is no expression.

    The empty string means that the result is complete: `due("2 * 16 = 3")` is `"2"` and `due("2 * 16 = 32")` is `""`.
    """
    match = TAIL.search(text[-LONGEST:])
    if match is None:
        return None
    expression, _, written = match.groups()
    value = result(re.split(r"[.,]\s+", expression)[-1])
    return value[len(written) :] if value is not None and value.startswith(written) else None


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
        return OPERATIONS[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return Fraction(str(node.value))
    raise ValueError("not a plain expression")
