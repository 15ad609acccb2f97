"""Phrasings of a request for a function, and names of its arguments."""

from __future__ import annotations

ASKS = (
    "Write a Python function `{sig}` that returns {goal}.",
    "Write a Python function {sig} that returns {goal}.",
    "Define a Python function called `{name}` which takes {args} and returns {goal}.",
    "Define a function called {name} in Python which takes {args} and returns {goal}.",
    "Create a Python function `{sig}` to return {goal}.",
    "Create a Python function that returns {goal}. Call it `{sig}`.",
    "python function {sig}: return {goal}",
    "Implement `{sig}` in Python. It should return {goal}.",
    "Write a function `{sig}` that returns {goal}.",
    "Write the function {sig}. It should return {goal}.",
)
HELD_BACK_ASKS = (
    "Please give me a Python function `{sig}` returning {goal}.",
    "Can you code a Python function named {name} that accepts {args} and gives back {goal}?",
    "I need a Python function {sig}. Its result must be {goal}.",
    "Using Python, make a function `{sig}` whose result is {goal}.",
    "def {sig}: complete this function so that it returns {goal}.",
)
ARGS = {
    "nums": ("numbers", "values", "nums", "data"),
    "text": ("text", "s", "string", "line"),
    "words": ("words", "strings", "names", "tokens"),
    "items": ("items", "values", "elements", "lst"),
    "int": ("n", "number", "num", "value"),
    "n": ("k", "m", "n", "k"),  # never equal to "int" in the same turn
    "dict": ("d", "mapping", "table", "scores"),
    "a": ("a", "x", "first", "left"),
    "b": ("b", "y", "second", "right"),
    "c": ("c", "z", "third", "other"),
    "as": ("a", "first", "left", "list1"),
    "bs": ("b", "second", "right", "list2"),
}


def rendered(args: str, turn: int) -> tuple[str, ...]:
    kinds = [ARGS.get(kind, (kind,)) for kind in args.split()]
    return tuple(kind[turn % len(kind)] for kind in kinds)
