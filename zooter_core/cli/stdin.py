"""Reads queries from stdin, for commands that accept - in place of a query."""

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
HEAD = re.compile(r'"?[\w .()/-]+"?([,;\t]"?[\w .()/-]+"?)+\s*')  # a possible header line of a table
QUERY = ("query", "question", "prompt", "instruction")


def stdin_queries() -> Iterator[Query]:
    """Yield the queries in stdin. A line is a JSON object, which may have an answer key, or a text. If the first line
    is the header of a table, each row is a query.

    Raises:
        ZooterError: a line has no query, begins like a JSON object but is not valid, or is not UTF-8.
    """
    from zooter_core.data.scores import read_query  # here, since most calls name a query

    for place, record in _records():
        query = read_query(place, record, place)
        try:
            check_query(query.text)
        except ZooterError as problem:
            raise ZooterError.saying(f"In {place}: {problem}") from problem
        yield query


def _records() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the records in stdin as they arrive, each with its place."""
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
    """The content of stdin as one text.

    Raises:
        ZooterError: a line is not UTF-8.
    """
    return "".join(_lines()).strip()


def _lines() -> Iterator[str]:
    """Yield the lines of stdin as they arrive. Raises ZooterError if a line is not UTF-8."""
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield line.decode("utf-8-sig")
        except UnicodeDecodeError as problem:
            expected, byte = f"UTF-8 text in line {number} of stdin", f"the byte 0x{problem.object[problem.start]:02x}"
            raise ZooterError(expected, byte, "Save the text as UTF-8.") from problem
