"""Callbacks that report what a long operation does and how far it has got."""

from __future__ import annotations

from collections.abc import Callable

Tell = Callable[[str], None]  # called with a sentence for the user
Progress = Callable[[str, int, int], None]  # called with the step, the number of units done, and their total


def silent(sentence: str) -> None:
    """Ignore the sentence."""


def quiet(step: str, done: int, of: int) -> None:
    """Ignore the progress."""
