"""A list of queries as a visitor gives it (a pasted list, a CSV file), and a list of results as files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from zooter_core.backends.conversation import check_query
from zooter_core.errors import ZooterError
from zooter_core.records import Ranked
from zooter_core.strict_json import dump_json
from zooter_core.ui.compare.comparison import Comparison

MOST_QUERIES = 200
MOST_MEGABYTES = 20  # of a CSV file: as many queries of the greatest length are fewer
COLUMN = "query"
DELIMITERS = ",;\t"
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # how a cell begins that a spreadsheet runs


def from_text(text: str) -> list[str]:
    """The queries of a pasted list, one a line; empty lines are passed over.

    Raises:
        ZooterError: a line cannot be routed (named), there are none, or too many.
    """
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return _checked((number, line) for number, line in lines if line)


def from_csv(content: bytes) -> list[str]:
    """The queries of a CSV file: the column `query` where its first line names one, else the first column of all lines.

    Raises:
        ZooterError: the file is no CSV in UTF-8, or a line of it is wrong (named), there are no queries, or too many.
    """
    return _checked(_cells(_decoded(content)))


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content[: problem.start].count(b"\n") + 1
        raise ZooterError(
            f"a CSV file in UTF-8, in line {line} too",
            f"the byte 0x{content[problem.start]:02x}, which is none",
            'Save it as "CSV UTF-8".',
        ) from problem


def _cells(text: str) -> Iterator[tuple[int, str]]:
    """The number of the line in which each query ends, and the query."""
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
                    'Put a text that holds a comma in "double quotes".',
                )
            yield rows.line_num, row[column].strip()
    except csv.Error as problem:
        raise ZooterError(f"CSV in line {rows.line_num}", str(problem), "Mend that line.") from problem


def _names(row: Sequence[str]) -> list[str]:
    return [cell.strip().strip('"').strip().lower() for cell in row]


def _checked(lines: Iterable[tuple[int, str]]) -> list[str]:
    found: list[str] = []
    for number, query in lines:
        try:
            check_query(query)
        except ZooterError as problem:
            facts = problem.failure
            raise ZooterError(f"{facts.expected} in line {number}", facts.found, facts.next_step) from problem
        if len(found) == MOST_QUERIES:
            raise ZooterError(f"at most {MOST_QUERIES} queries", f"another in line {number}", "Split the list.")
        found.append(query)
    if not found:
        raise ZooterError("a list of queries", "none", "Paste one query a line, or give a CSV file.")
    return found


def harmless(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: a text that begins like one gets an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def to_csv(rows: Sequence[Comparison], candidates: Sequence[str]) -> str:
    """A line a query: the router's choice and probabilities, and reward, tokens, seconds and text of each response."""
    per = ("probability", "reward", "tokens", "seconds", "response", "error")
    header = [COLUMN, "router", "highest_reward", "problem", *(f"{what}_{name}" for name in candidates for what in per)]
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow([harmless(cell) for cell in header])
    for row in rows:
        found = {item.response.candidate: item for item in row.ranked()}
        cells: list[Any] = [row.query, row.decision.candidate, row.best or "", row.job.problem or ""]
        for name in candidates:
            cells += [round(row.decision.probabilities[name], 6), *_cells_of(found.get(name))]
        writer.writerow([harmless(cell) for cell in cells])
    return made.getvalue()


def _cells_of(item: Ranked | None) -> list[Any]:
    if item is None:
        return [""] * 5
    said = item.response
    return [
        "" if item.reward is None else item.reward,
        said.tokens,
        round(said.seconds, 3),
        said.text,
        str(said.error or ""),
    ]


def to_json_lines(rows: Sequence[Comparison]) -> str:
    """A score file: a line a query with `scores`, `tags` and `responses` by candidate, and what else is known of it."""
    return "".join(dump_json(_line(number, row), ensure_ascii=False) + "\n" for number, row in enumerate(rows, 1))


def _line(number: int, row: Comparison) -> dict[str, Any]:
    found = {item.response.candidate: item for item in row.ranked()}
    placed = [name for name in row.job.candidates if name in found and found[name].reward is not None]
    return {
        "id": f"{number:04d}",
        "query": row.query,
        "scores": {name: found[name].reward for name in placed},
        "tags": [tag.name for tag in row.decision.tags],
        "responses": {name: found[name].response.text for name in placed},
        "tokens": {name: item.response.tokens for name, item in found.items()},
        "seconds": {name: round(item.response.seconds, 3) for name, item in found.items()},
        "errors": {name: str(item.response.error) for name, item in found.items() if item.response.error},
        "route": row.decision.to_json(),
        "problem": row.job.problem,
    }
