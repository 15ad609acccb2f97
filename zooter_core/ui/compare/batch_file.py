"""Reads a list of queries, pasted or from a CSV file, and writes a list of results as CSV or JSON lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from zooter_core.backends.conversation import check_query
from zooter_core.errors import ZooterError
from zooter_core.records import Ranked
from zooter_core.strict_json import dump_json
from zooter_core.ui import tables
from zooter_core.ui.compare.comparisons import Comparison

MOST_QUERIES = 200
MOST_MEGABYTES = 20  # of a CSV file; MOST_QUERIES of the greatest length fit in
COLUMN = "query"
DELIMITERS = ",;\t"


def from_text(text: str) -> list[str]:
    """The queries of a pasted list, one per line; empty lines are skipped.

    Raises:
        ZooterError: a line cannot be routed (the message names it), or there are no queries or too many.
    """
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return _checked((number, line) for number, line in lines if line)


def from_csv(content: bytes) -> list[str]:
    """The queries of a CSV file: the column `query` if its first line names one, else the first column of all lines.

    Raises:
        ZooterError: the file is not CSV in UTF-8, a line is wrong (the message names it), or there are no queries or
            too many.
    """
    return _checked(_cells(_decoded(content)))


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content[: problem.start].count(b"\n") + 1
        raise ZooterError(
            "a CSV file in UTF-8",
            f"the byte 0x{content[problem.start]:02x} in line {line}",
            'Save it as "CSV UTF-8".',
        ) from problem


def _cells(text: str) -> Iterator[tuple[int, str]]:
    """Each query, after the number of the line in which it ends."""
    first = next(iter(text.lstrip("\r\n").splitlines()), "")
    delimiter = next((d for d in DELIMITERS if COLUMN in _names(first.split(d))), ",")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    column = width = 0
    try:
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if not width:
                width = len(row)
                if COLUMN in (names := _names(row)):
                    column = names.index(COLUMN)
                    continue
            if len(row) != width:
                raise ZooterError(
                    f"{width} {'column' if width == 1 else 'columns'} in line {rows.line_num}, as in the first",
                    str(len(row)),
                    'Put text with a comma in "double quotes".',
                )
            yield rows.line_num, row[column].strip()
    except csv.Error as problem:
        raise ZooterError(f"CSV in line {rows.line_num}", str(problem), "Fix that line.") from problem


def _names(row: Sequence[str]) -> list[str]:
    return [cell.strip().strip('"').strip().lower() for cell in row]


def _checked(lines: Iterable[tuple[int, str]]) -> list[str]:
    queries: list[str] = []
    for number, query in lines:
        try:
            check_query(query)
        except ZooterError as problem:
            facts = problem.failure
            raise ZooterError(f"{facts.expected} in line {number}", facts.found, facts.next_step) from problem
        if len(queries) == MOST_QUERIES:
            raise ZooterError(f"at most {MOST_QUERIES} queries", f"another in line {number}", "Split the list.")
        queries.append(query)
    if not queries:
        raise ZooterError(
            "a list of queries", "none", "Paste one query per line, or choose a CSV file.", "The list is empty."
        )
    return queries


def to_csv(rows: Sequence[Comparison], candidates: Sequence[str]) -> str:
    """A row per query: the router's choice and probabilities, and each response with reward, tokens and seconds."""
    lines = []
    for row in rows:
        line: dict[str, Any] = {COLUMN: row.query, "router": row.decision.candidate}
        line |= {"highest_reward": row.best, "problem": row.job.problem}
        items = {item.response.candidate: item for item in row.ranked()}
        for name in candidates:
            line[f"probability_{name}"] = round(row.decision.probabilities[name], 6)
            line |= {f"{key}_{name}": value for key, value in _facts(items.get(name)).items()}
        lines.append(line)
    return tables.to_csv(lines)


def _facts(item: Ranked | None) -> dict[str, Any]:
    if item is None:
        return dict.fromkeys(("reward", "tokens", "seconds", "response", "error"))
    return {
        "reward": item.reward,
        "tokens": item.response.tokens,
        "seconds": round(item.response.seconds, 3),
        "response": item.response.text,
        "error": str(item.response.error or ""),
    }


def to_json_lines(rows: Sequence[Comparison]) -> str:
    """A score file: a line per query with `scores`, `tags`, `responses` and more about the comparison."""
    return "".join(dump_json(_line(number, row), ensure_ascii=False) + "\n" for number, row in enumerate(rows, 1))


def _line(number: int, row: Comparison) -> dict[str, Any]:
    items = {item.response.candidate: item for item in row.ranked()}
    scored = [name for name in row.job.candidates if name in items and items[name].reward is not None]
    return {
        "id": f"{number:04d}",
        "query": row.query,
        "scores": {name: items[name].reward for name in scored},
        "tags": [tag.name for tag in row.decision.tags],
        "responses": {name: items[name].response.text for name in scored},
        "tokens": {name: item.response.tokens for name, item in items.items()},
        "seconds": {name: round(item.response.seconds, 3) for name, item in items.items()},
        "errors": {name: str(item.response.error) for name, item in items.items() if item.response.error},
        "route": row.decision.to_json(),
        "problem": row.job.problem,
    }
