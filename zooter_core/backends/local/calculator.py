"""A calculator for a text that is being written: small models set sums up well and work them out badly.

GSM8K's authors let a calculator finish the sums that a model marks (Cobbe et al., 2021, arXiv 2110.14168, section 5);
here no mark is needed: a sum followed by `=` is finished wherever it stands.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from fractions import Fraction

LONGEST = 80  # characters looked back: a sum, its sign of equality and what there is of its result
MOST = 10**12  # larger results are left to the model
DECIMALS = 4
TAIL = re.compile(r"([\d.,$()+\-*/x×÷ ]+)=( ?\$?)(-?[\d.]*)$")
SIGNS = str.maketrans({"x": "*", "×": "*", "÷": "/", "$": "", ",": ""})
WORK: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def result(expression: str) -> str | None:
    """The value of a sum in plain numbers with + - * / (or x × ÷) and parentheses, with up to 4 decimals.

    None where the text is no sum of at least two numbers, divides by zero or gets too large.
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
    """What is still to be written of the result of the sum that `text` ends with; None where it ends with none.

    The empty string means that the result is complete: `due("2 * 16 = 3")` is `"2"` and `due("2 * 16 = 32")` is `""`.
    """
    found = TAIL.search(text[-LONGEST:])
    if found is None:
        return None
    sum_, _, written = found.groups()
    value = result(re.split(r"[.,]\s+", sum_)[-1])
    return value[len(written) :] if value is not None and value.startswith(written) else None


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.BinOp) and type(node.op) in WORK:
        return WORK[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return Fraction(str(node.value))
    raise ValueError("not a plain sum")
