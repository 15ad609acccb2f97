"""TOML files that may hold anything: read, checked value by value, and shown in messages."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from zooter_core.errors import ZooterError

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
        raise ZooterError(f"valid TOML in {path}", str(problem), "Mend that line.") from problem


def shown(value: Any) -> str:
    """A value for a message; one that Python cannot or should not write out by its kind."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    return "a very large number" if isinstance(value, int) and abs(value) > LARGEST else repr(value)


def check_value(value: Any, where: str) -> None:
    """Refuse a text with a NUL character, which no path can have, and an integer of more than 64 bits.

    Raises:
        ZooterError: it is one of them. `where` names the key.
    """
    if isinstance(value, str) and "\0" in value:
        raise ZooterError(f"a text without NUL characters as {where}", repr(value), "Remove them.")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise ZooterError(f"a number that fits into 64 bits as {where}", shown(value), "Write a smaller one.")
