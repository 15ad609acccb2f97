"""The data model of function tasks."""

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
    combination: Key  # training and held-back tasks of a family never share one


@dataclass(frozen=True, slots=True)
class Spec:
    """A template of a function: $0, $1, ... are its arguments, and | separates alternatives."""

    names: str
    args: str
    goal: str
    body: str
    truth: Truth
    inputs: Sequence[tuple[Any, ...]]
