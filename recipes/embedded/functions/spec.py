"""What a function task is, and what one is made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Truth = Callable[..., Any]
Inputs = tuple[tuple[Any, ...], ...]
Key = tuple[str, ...]
YES = ", and False otherwise"


@dataclass(frozen=True, slots=True)
class Task:
    query: str
    solution: str
    name: str
    cases: tuple[tuple[tuple[Any, ...], Any], ...]
    family: str
    combination: Key  # what training and held-back tasks of a family never share


@dataclass(frozen=True, slots=True)
class Spec:
    """One function: $0, $1, ... stand for its arguments, | parts the choices."""

    names: str
    args: str
    goal: str
    body: str
    truth: Truth
    inputs: Sequence[tuple[Any, ...]]
