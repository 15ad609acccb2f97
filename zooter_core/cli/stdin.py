"""Stdin, for commands that take - in place of a query: its lines, or all of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from zooter_core.base.errors import ZooterError
from zooter_core.base.jsonl import parse_object

STDIN = "-"


def stdin_records() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line that is not empty, as its place and its record: a JSON object, or {"query": line} for any other text.

    Raises:
        ZooterError: a line begins as a JSON object and is none, or is not UTF-8.
    """
    for number, line in enumerate(_lines(), 1):
        if not (text := line.strip()):
            continue
        place = f"line {number} of stdin"
        is_json = text.startswith("{")
        yield place, parse_object(text, place, ZooterError, "Fix the line.") if is_json else {"query": text}


def stdin_text() -> str:
    """All of stdin as one text.

    Raises:
        ZooterError: a line is not UTF-8.
    """
    return "".join(_lines()).strip()


def _lines() -> Iterator[str]:
    """The lines of stdin as they come. They may be in another encoding."""
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield line.decode("utf-8-sig")
        except UnicodeDecodeError as problem:
            expected, byte = f"UTF-8 text in line {number} of stdin", f"the byte 0x{problem.object[problem.start]:02x}"
            raise ZooterError(expected, byte, "Save the text as UTF-8.") from problem
