"""A table of scores (CSV), as spreadsheets and pandas write it: a row a query, a column a model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zooter_core.base.errors import ZooterError, listed
from zooter_core.data.json_records import Place, as_number, table_rows

ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
QUERY = ("query", "question", "prompt")  # names of the column of queries; the first one counts
ABOUT = ("id", "dataset", "source")
MISSING = ("", "-", "na", "n/a", "#n/a", "nan", "null", "none")
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")


def read_table(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The rows as lines of a score file. Beside QUERY and ABOUT, every column that has numbers is a model's.

    Raises:
        ZooterError: there is no column of queries, a row has too many cells, or a model's cell is no number.
    """
    rows = list(table_rows(path))
    for place, row in rows:
        if not isinstance(row, dict):
            step = "Put a text that has the separator in it between double quotes."
            raise ZooterError(f"{len(row) - 1} cells in {place}", str(len(row) - 1 + len(row[-1])), step)
    columns = [name for name in (rows[0][1] if rows else ()) if name.strip()]
    names = {name.strip().lower(): name for name in reversed(columns)}
    query = next((names[name] for name in QUERY if name in names), "")
    if rows and not query:
        step = "Name the column of the queries so; docs/scores.md shows a table."
        raise ZooterError(f'a column "query" in {path}', f"the columns {listed(columns)}", step)
    about = {name: names[name] for name in ABOUT if name in names}
    scored = [name for name in columns if name != query and name not in about.values()]
    models = [name for name in scored if any(_number(row[name]) is not None for _, row in rows)]
    for place, row in rows:
        scores = {name.strip(): _score(row[name], name, place) for name in models}
        yield place, {"query": row[query], "scores": scores} | {name: row[column] for name, column in about.items()}


def _score(cell: str | None, column: str, place: Place) -> float | None:
    if (cell or "").strip().lower() in MISSING:
        return None
    number = _number(cell)
    if number is None:
        raise ZooterError(f"a number in the column {column} in {place}", repr(cell)[:40], "Fix the cell, or empty it.")
    return number


def _number(cell: str | None) -> float | None:
    text = (cell or "").strip()
    return as_number(text.replace(",", ".") if DECIMAL_COMMA.fullmatch(text) else text)
