"""Polynomials as people type them, and as sums for the calculator."""

from __future__ import annotations

from collections.abc import Callable


def times(*factors: int) -> str:
    return " * ".join(map(str, factors))


def poly(*coefficients: int) -> str:
    """A polynomial as people type it, from the highest power to the constant: `2x^2 - x + 3`."""
    return _terms(coefficients, lambda size, power: f"{size if size != 1 or not power else ''}{_powers(power)}")


def at(x: int, *coefficients: int) -> str:
    """The same polynomial as a sum for the calculator: `2 * 4 * 4 - 4 + 3`."""
    return _terms(coefficients, lambda size, power: times(*[size] * (size != 1 or not power), *[x] * power))


def _powers(power: int) -> str:
    return ("", "x")[power] if power < 2 else f"x^{power}"


def _terms(coefficients: tuple[int, ...], written: Callable[[int, int], str]) -> str:
    text = ""
    for power, value in zip(range(len(coefficients) - 1, -1, -1), coefficients, strict=True):
        if value:
            sign = "-" if value < 0 else "+"
            text += (f" {sign} " if text else sign.strip("+")) + written(abs(value), power)
    return text
