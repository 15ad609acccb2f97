"""RouterBench-like CSV: sample_id, prompt, eval_name, one column per model, MODEL|model_response and MODEL|total_cost.

Prompts and responses are often written as a Python list of texts; the texts of one list are joined by line breaks.
RouterBench keeps a row for each wording of a prompt, so some ids have two rows with the scores of different models:
these become one query. The format is that of the releases of github.com/withmartian/routerbench, saved as CSV.
"""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.jsonl import DAMAGE, open_text
from zooter_core.data.formats import Line, Options
from zooter_core.data.formats.reading import FIX_FILE, Cell, Place, ScoreTable, check_pool, distinct, number_of

RESPONSE, COST = "|model_response", "|total_cost"
NO_MODEL = ("", "sample_id", "prompt", "eval_name", "oracle_model_to_route_to", "cluster_id")
LONGEST_CELL = 1 << 24  # characters
MISSING = ("", "nan", "none", "null", "<na>")
FIX_ROW = "Fix or remove the row."


@dataclass(frozen=True)
class _Row:
    """A row of a table; `cells` has the models with a score."""

    place: Place
    query: str
    dataset: str
    cells: dict[str, Cell]


def lines(paths: Sequence[Path], options: Options) -> Iterator[Line]:
    """Score lines; the data set is `eval_name`. Of rows with one id the prompt of the one with most scores is taken."""
    files = [f for path in paths for f in ([path] if path.is_file() else sorted(path.glob("*.csv*")))]
    distinct([file.name for file in files], "files")
    pool: tuple[str, ...] = ()
    rows: dict[str, list[_Row]] = {}
    for file in files:
        for place, values in _rows(file):
            models = _models(tuple(values))
            pool = pool or models
            check_pool(models, pool, "file", str(file))
            rows.setdefault(values["sample_id"].strip() or place, []).append(_row(values, pool, place))
    table = ScoreTable(pool)
    for key, parts in rows.items():
        row = _merged(key, parts)
        for name in pool:
            table.add(key, row.query, row.dataset, name, row.cells.get(name, Cell()), row.place)
    if merged := sum(len(parts) > 1 for parts in rows.values()):
        options.notes.append(f"Queries with several rows, which were merged: {merged}.")
    yield from table.lines(options)


def _merged(key: str, rows: Sequence[_Row]) -> _Row:
    """The rows of one id as one row. Refuses rows of two data sets, and two scores of one model."""
    cells: dict[str, Cell] = {}
    for row in rows:
        if row.dataset != rows[0].dataset:
            raise ZooterError(
                f'one eval_name for the sample_id "{key}"', f"{row.dataset} in {row.place}", "Rename one of the ids."
            )
        for name, cell in row.cells.items():
            score = cells.setdefault(name, cell).score
            if score != cell.score:
                raise ZooterError(
                    f'one score of {name} for the sample_id "{key}"',
                    f"{score:g} and {cell.score:g} in {row.place}",
                    "Remove one of the rows, or rename its id.",
                )
    first = max(rows, key=lambda row: len(row.cells))
    return _Row(first.place, first.query, first.dataset, cells)


def _row(values: dict[str, str], pool: Sequence[str], place: Place) -> _Row:
    query = _text(values["prompt"])
    if not query.strip():
        raise ZooterError(f"a prompt in {place}", "an empty one", FIX_ROW)
    responses = all(name + RESPONSE in values for name in pool)
    cells = {}
    for name in pool:
        score = _number(values[name], name, place)
        cost = _number(values.get(name + COST, ""), name + COST, place)
        if score is not None:
            response = _text(values[name + RESPONSE]) if responses else None
            cells[name] = Cell(score, response, {} if cost is None else {"cost": cost})
    return _Row(place, query, values["eval_name"].strip() or "routerbench", cells)


def _rows(file: Path) -> Iterator[tuple[Place, dict[str, str]]]:
    """The rows of a file by column name, each with the line on which it begins."""
    limit = csv.field_size_limit(LONGEST_CELL)
    try:
        with open_text(file, "a CSV file of RouterBench", newline="") as source:
            reader = csv.reader(source, strict=True)
            columns = next(reader, [])
            _check(columns, file)
            while True:
                place = f"{file}, line {reader.line_num + 1}"
                row = next(reader, None)
                if row is None:
                    return
                if len(row) != len(columns):
                    raise ZooterError(f"{len(columns)} cells in {place}", f"{len(row)}", FIX_ROW)
                yield place, dict(zip(columns, row, strict=True))
    except (csv.Error, *DAMAGE) as problem:
        raise ZooterError(f"CSV in {file}", str(problem), FIX_FILE) from problem
    finally:
        csv.field_size_limit(limit)


def _check(columns: Sequence[str], file: Path) -> None:
    if missing := [name for name in ("sample_id", "prompt", "eval_name") if name not in columns]:
        raise ZooterError(f"columns {listed(missing)} in {file}", listed(columns)[:80], "Check the format's name.")
    distinct(columns, f"columns in {file}")
    if not _models(columns):
        raise ZooterError(f"a column per model in {file}", listed(columns)[:80], "Check the format's name.")


def _models(columns: Sequence[str]) -> tuple[str, ...]:
    """The columns of models: where some have a column of costs or responses, only those."""
    plain = [name for name in columns if "|" not in name and name not in NO_MODEL and not name.startswith("Unnamed")]
    paired = [name for name in plain if name + RESPONSE in columns or name + COST in columns]
    return tuple(paired or plain)


def _number(cell: str, name: str, place: Place) -> float | None:
    """The number in a cell, where True is 1 and False 0; None if the cell says that it is missing."""
    text = cell.strip().lower()
    if text in MISSING:
        return None
    try:
        value = float({"true": "1", "false": "0"}.get(text, text))
    except ValueError:
        value = float("inf")
    if value == float("inf"):
        raise ZooterError(f"a number in the column {name} of {place}", repr(cell[:40]), FIX_ROW)
    return number_of(value, f"the column {name}", place)


def _text(cell: str) -> str:
    """The cell as it is, or the joined texts of the list that is written in it."""
    if cell.lstrip().startswith(("['", '["')) and cell.rstrip().endswith("]"):
        try:
            parts = ast.literal_eval(cell.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return cell
        if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
            return "\n".join(parts)
    return cell
