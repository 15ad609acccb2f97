"""The worked steps of an answer: sums that the candidate's calculator can finish."""

from __future__ import annotations

from zooter_core.backends.local.calculator import result


def step(expression: str) -> str:
    """`expression = value`.

    Raises:
        ValueError: the calculator cannot compute the expression.
    """
    value = result(expression)
    if value is None:
        raise ValueError(f"not a sum: {expression}")
    return f"{expression} = {value}"


def so(worked: str, answer: int | str) -> str:
    return f"{worked}.\nThe answer is {answer}."


def done(worked: str, expression: str) -> str:
    """A worked answer that ends with the value of a sum."""
    return so(f"{worked}{step(expression)}", str(result(expression)))
