"""TOML files that may hold anything: read, checked value by value, and shown in messages."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from zooter_core.errors import ZooterError

DEEPEST = 50  # tables and lists inside each other
LARGEST = 2**63 - 1  # of an integer in TOML; Python reads larger ones


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a file, which may begin with a byte order mark.

    Raises:
        ZooterError: it is not TOML in UTF-8, or nested too deeply.
        OSError: it cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as problem:
        raise ZooterError(f"valid TOML in UTF-8 in {path}", str(problem), "Save the file as UTF-8.") from problem
    except RecursionError as problem:
        raise ZooterError(f"valid TOML in {path}", "too many levels of nesting", "Write fewer.") from problem
    except ValueError as problem:  # also a number of more than 4300 digits
        raise ZooterError(f"valid TOML in {path}", str(problem), "Fix that line.") from problem


def shown(value: Any) -> str:
    """A value for a message; one that Python cannot or should not write out by its kind."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    return "a very large number" if isinstance(value, int) and abs(value) > LARGEST else repr(value)


def check_values(values: Any, place: str, depth: int = 0) -> None:
    """Refuse texts with a NUL character, which no path can have, integers of more than 64 bits, and deep nesting.

    Raises:
        ZooterError: there is one in the value. `place` says where the value is.
    """
    if depth > DEEPEST:
        raise ZooterError(f"at most {DEEPEST} levels of nesting as {place}", "more", "Write fewer.")
    if isinstance(values, dict):
        for key, value in values.items():
            check_values(value, f"{key} in {place}", depth + 1)
    elif isinstance(values, list):
        for value in values:
            check_values(value, place, depth + 1)
    elif isinstance(values, str) and "\0" in values:
        raise ZooterError(f"a text without NUL characters as {place}", repr(values), "Remove them.")
    elif isinstance(values, int) and abs(values) > LARGEST:
        raise ZooterError(f"a number that fits into 64 bits as {place}", shown(values), "Write a smaller one.")
