"""Callbacks by which work says what it does and how far it is."""

from __future__ import annotations

from collections.abc import Callable

Tell = Callable[[str], None]  # takes a sentence for the user
Progress = Callable[[str, int, int], None]  # takes a step, how much of it is done, and of how much


def silent(sentence: str) -> None:
    """Tells nothing."""


def quiet(step: str, done: int, of: int) -> None:
    """Shows no progress."""
