"""Exact values of numbers and sums, and how to write them."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

PERCENT = re.compile(r"([\d.]+)%")
SIGNS = str.maketrans(
    {**dict.fromkeys("×·xX", "*"), "÷": "/", "^": "**", **dict.fromkeys("−–", "-"), **dict.fromkeys("$€£", "")}
)
DIVISOR = re.compile(r"(÷\s*|(?<![\d./])\d+/\d+\s+/\s+)(\d+/\d+)(?![\d./]|\s*[*^])")  # "2 ÷ 1/4", "1/2 / 1/4"
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")  # "1,500"
DECIMAL_COMMA = re.compile(r"(?<![\d.,])(\d+),(\d{1,2})(?![\d.,])")  # "2,5"
DOTTED = re.compile(r"(?<![\d.])[1-9]\d{0,2}\.\d00(?!\d)")  # "1.500" may be 1500
CHANGE = re.compile(r"(.*[\d)])((?:\s*[-+]\s*[\d.]+%)+)")  # "80 + 15%", which is 80 * (1 + 15%)
# Ambiguous: the base of a percentage in "50 + 20% + 30"; "3 / 1/2" may be 6 or 1.5, and "9^1/2" 3 or 4.5.
UNCLEAR = re.compile(r"[^()%]*\d\s*[-+]\s*[\d.]+%(?!\s*[*/])[^()]*|.*(?:/\s+\d+|\*\*\s*1)/\d.*")
OPERATIONS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
ROOTS = {"sqrt": 2, "cbrt": 3}
LARGEST = 20  # the largest exponent
MOST_BITS = 1000  # of a numerator or denominator; more would not fit a float, and powers of powers would take too long
DECIMALS = 4
NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
WORDS = {name: number for number, name in enumerate(NUMBERS)} | {"hundred": 100, "thousand": 1000}
WORDS |= {f"{ten}ty": 10 * n for n, ten in enumerate(("thir", "for", "fif", "six", "seven", "eigh", "nine"), 3)}
WORD = rf"(?:{'|'.join(WORDS)})"
NAME = (  # the name of a number: "forty-two", "a hundred and five", "two thousand, five hundred"
    rf"(?<![\w-])(?:a (?=hundred|thousand))?{WORD}(?:(?:(?<=ty)[ -](?=(?:{'|'.join(NUMBERS[1:10])})\b)"
    rf"| (?=hundred|thousand)|(?:(?<=hundred)|(?<=thousand)),?(?: and)? ){WORD})*(?![\w-])"
)
AMOUNT = rf"(?:-?\d(?:[\d.,]*\d)?(?:/\d+)?|{NAME}|\ban?\b)"


def work_out(expression: str) -> Fraction | None:
    """The value of an expression of numbers, signs and brackets; None if it cannot be read, or is ambiguous."""
    plain = DECIMAL_COMMA.sub(r"\1.\2", THOUSANDS.sub("", re.sub(r"\\times|\\cdot", "*", expression)))
    plain = DIVISOR.sub(r"\1(\2)", plain).translate(SIGNS).strip()
    if DOTTED.search(plain):
        return None
    if change := CHANGE.fullmatch(plain):
        plain = f"({change[1]})" + re.sub(r"\s*([-+]\s*[\d.]+%)", r" * (1 \1)", change[2])
    elif UNCLEAR.fullmatch(plain):
        return None
    try:
        return _value(ast.parse(PERCENT.sub(r"(\1/100)", plain), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def number_in(text: str) -> Fraction | None:
    """The number in an AMOUNT: "1,500", "2.5", "3/4", "three" or "a"; None if it has no value."""
    words = re.findall("[a-z]+", text.lower())
    if not words:
        return work_out(text)
    thousands = value = 0
    for number in (WORDS.get(word, int(word != "and")) for word in words):  # "a" is 1
        if number == 1000:
            thousands, value = 1000 * (value or 1), 0
        else:
            value = 100 * (value or 1) if number == 100 else value + number
    return Fraction(thousands + value)


def in_decimals(value: Fraction) -> str:
    """A number in decimal notation, with up to 4 decimals, or 4 significant digits if it is below 0.01."""
    if value.denominator == 1:
        return str(value)
    if abs(value) < Fraction(1, 100):
        return format(Decimal(f"{float(value):.{DECIMALS}g}"), "f")
    return rounded(value, DECIMALS).rstrip("0").rstrip(".")


def equals(value: Fraction) -> str:
    """The sign before a number `in_decimals`: "=", or "≈" if it is rounded."""
    return "=" if Fraction(in_decimals(value)) == value else "≈"


def rounded(value: Fraction, digits: int) -> str:
    """A number rounded to so many decimals, half away from zero; with negative `digits`, to tens, hundreds etc."""
    scaled = int(abs(value) * Fraction(10) ** digits + Fraction(1, 2))
    return format(Decimal(-scaled if value < 0 else scaled).scaleb(-digits), "f")


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
        raise ValueError("too large")
    return value


def _root(value: Fraction, degree: int) -> Fraction:
    """A root: exact if it is a fraction, else with the digits of a Decimal."""
    if value < 0:
        raise ValueError("no real root")
    exact = Fraction(*(round(part ** (1 / degree)) for part in (value.numerator, value.denominator)))
    if exact**degree == value:
        return exact
    return Fraction((Decimal(value.numerator) / value.denominator) ** (1 / Decimal(degree)))


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left), _value(node.right)
        if type(node.op) in OPERATIONS:
            return _bounded(OPERATIONS[type(node.op)](left, right))
        if isinstance(node.op, ast.Pow) and right.denominator == 1 and abs(right) <= LARGEST and (left or right):
            return _bounded(Fraction(left ** int(right)))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    elif isinstance(node, ast.Call) and (degree := ROOTS.get(ast.unparse(node.func))) and len(node.args) == 1:
        return _root(_bounded(_value(node.args[0])), degree)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return Fraction(str(node.value))
    raise ValueError("not a plain expression")
