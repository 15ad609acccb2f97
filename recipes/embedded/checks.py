"""Helpers that verify responses in recipes: answer keys of worked solutions, parsing of code, a sandbox."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from zooter_core.base.errors import ZooterError
from zooter_core.evaluation.sandbox.runner import missing
from zooter_core.evaluation.verified.answers import final_number
from zooter_core.evaluation.verified.code import BLOCK


def number_key(solution: str) -> dict[str, Any]:
    """The answer key that asks for the final number of a worked solution."""
    return {"answer": {"number": str(final_number(solution))}}


def parses(text: str) -> bool:
    """Whether a response contains Python that parses; prose does not count."""
    blocks = BLOCK.findall(text)
    try:
        return bool(ast.parse((blocks[0] if blocks else text).strip()).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def require_sandbox() -> None:
    """Check that the code of responses can run in a sandbox, which every recipe needs.

    Raises:
        ZooterError: this system has no sandbox; the message says why.
    """
    if reason := missing():
        raise ZooterError(
            "a sandbox for the code of responses", f"none: {reason}", "docs/bench.md lists its requirements."
        )


def share(values: Sequence[bool]) -> float:
    """The share of true values, in [0, 1]."""
    return sum(values) / len(values) if values else 0.0
