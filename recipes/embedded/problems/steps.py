"""The worked steps of an answer, each of which a small model can do."""

from __future__ import annotations


def total(a: int, b: int) -> str:
    """`a + b = ...`, tens first and then ones where the second number has both."""
    tens, ones = b // 10 * 10, b % 10
    if not tens or not ones:
        return f"{a} + {b} = {a + b}"
    return f"{a} + {b} = {a} + {tens} + {ones} = {a + tens} + {ones} = {a + b}"


def difference(a: int, b: int) -> str:
    """`a - b = ...`, tens first and then ones where the second number has both."""
    tens, ones = b // 10 * 10, b % 10
    if not tens or not ones:
        return f"{a} - {b} = {a - b}"
    return f"{a} - {b} = {a} - {tens} - {ones} = {a - tens} - {ones} = {a - b}"


def product(a: int, b: int) -> str:
    """`a * b = ...`, worked in parts where a factor has two digits."""
    small, large = sorted((a, b))
    tens, ones = large // 10 * 10, large % 10
    if large <= 12 or ones == 0 or small == 1:
        return f"{a} * {b} = {a * b}"
    parts = f"{small} * {tens} + {small} * {ones} = {small * tens} + {small * ones}"
    return f"{a} * {b} = {parts} = {a * b}"


def quotient(a: int, b: int) -> str:
    """`a / b = ...` for an exact division, in parts where the result has two digits."""
    result = a // b
    tens = result // 10 * 10
    if result <= 12 or tens == result:
        return f"{a} / {b} = {result}"
    return f"{a} / {b} = {b * tens} / {b} + {a - b * tens} / {b} = {tens} + {result - tens} = {result}"


def so(worked: str, answer: int | str) -> str:
    return f"{worked}.\nThe answer is {answer}."


def share(p: int, whole: int) -> str:
    """A percentage by way of 10% or 5%."""
    if p in (10, 50):
        return f"{p}% of {whole} is {whole} / {100 // p} = {whole * p // 100}"
    step = 10 if p % 10 == 0 else 5
    unit = whole * step // 100
    start = f"{step}% of {whole} is {whole} / {100 // step} = {unit}"
    return start if p == step else f"{start}.\n{p}% is {product(p // step, unit)}"
