"""Stdin, for commands that take - in place of a query: its lines, or all of it."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from itertools import chain
from typing import Any

from zooter_core.backends.conversation import check_query
from zooter_core.base.errors import ZooterError
from zooter_core.base.jsonl import parse_object
from zooter_core.base.records import Query

STDIN = "-"
HEAD = re.compile(r'"?[\w .()/-]+"?([,;\t]"?[\w .()/-]+"?)+\s*')  # what may be the names of a table's columns
QUERY = ("query", "question", "prompt", "instruction")


def stdin_queries() -> Iterator[Query]:
    """The queries of stdin: a line that is a JSON object, with what responses are verified by, or any other text, or
    a row of a table, whose first line names its columns.

    Raises:
        ZooterError: a line has no query, begins as a JSON object and is none, or is not UTF-8.
    """
    from zooter_core.data.scores import read_query  # here: most calls name a query

    for place, record in _records():
        query = read_query(place, record, place)
        try:
            check_query(query.text)
        except ZooterError as problem:
            raise ZooterError.saying(f"In {place}: {problem}") from problem
        yield query


def _records() -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of stdin as they come, each with its place."""
    from zooter_core.data.logs import field_name

    lines = _lines()
    head = next(lines, "")
    separator = max(",;\t", key=head.count)
    if HEAD.fullmatch(head) and {*QUERY} & {field_name(name.strip(' "\r\n')) for name in head.split(separator)}:
        table = csv.DictReader(chain([head], lines), delimiter=separator)
        yield from ((f"line {table.line_num} of stdin", row) for row in table)
        return
    for number, line in enumerate(chain([head], lines), 1):
        place, text = f"line {number} of stdin", line.strip()
        if text.startswith("{"):
            yield place, parse_object(text, place, ZooterError, "Fix the line.")
        elif text:
            yield place, {"query": text}


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
