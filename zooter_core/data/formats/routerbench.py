"""RouterBench-like CSV: sample_id, prompt, eval_name, a column a model, MODEL|model_response and MODEL|total_cost.

Prompts and responses are often written as a Python list of texts; the texts of one list are joined by line ends. The
format is that of the releases of github.com/withmartian/routerbench, saved as CSV.
"""

from __future__ import annotations

import ast
import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from zooter_core.data.formats import Line, Options
from zooter_core.data.formats.reading import Place, distinct, number_of
from zooter_core.errors import ZooterError, listed

RESPONSE, COST = "|model_response", "|total_cost"
NO_MODEL = ("", "sample_id", "prompt", "eval_name", "oracle_model_to_route_to", "cluster_id")
MOST = 1 << 24  # characters of a cell
MISSING = ("", "nan", "none", "null", "<na>")


def lines(paths: Sequence[Path], options: Options) -> Iterator[Line]:
    """Score lines; the data set is `eval_name`.

    Raises:
        ZooterError: a column is missing, a cell is wrong, or a file has other models than the first.
    """
    files = [f for path in paths for f in ([path] if path.is_file() else sorted([*path.glob("*.csv*")]))]
    distinct([file.name for file in files], "files")
    pool: tuple[str, ...] = ()
    seen: set[str] = set()
    for file in files:
        for place, row in _rows(file):
            models = _models(tuple(row))
            pool = pool or models
            if differing := sorted(set(models) ^ set(pool)):
                raise ZooterError(f"the models of the first file in {file}", listed(differing), "Import it apart.")
            scores = {name: _score(row[name], name, place) for name in pool}
            key = row["sample_id"].strip() or place
            if key in seen:
                raise ZooterError(f"different sample_ids, in {place}", f'"{key}" again', "Give each file once.")
            seen.add(key)
            if missing := [name for name, score in scores.items() if score is None]:
                options.left_out[f"no score of {', '.join(missing[:3])}"] += 1
                continue
            yield _line(key, row, scores, pool, place)


def _line(key: str, row: dict[str, str], scores: dict[str, float | None], pool: Sequence[str], place: Place) -> Line:
    query = _text(row["prompt"])
    if not query.strip():
        raise ZooterError(f"a prompt in {place}", "an empty one", "Mend or remove the row.")
    line: Line = {"id": key, "query": query, "scores": scores, "dataset": row["eval_name"].strip() or "routerbench"}
    if all(name + RESPONSE in row for name in pool):
        line["responses"] = {name: _text(row[name + RESPONSE]) for name in pool}
    costs = {name: _score(row.get(name + COST, ""), name + COST, place) for name in pool}
    if any(cost is not None for cost in costs.values()):
        line["cost"] = {name: cost for name, cost in costs.items() if cost is not None}
    return line


def _rows(file: Path) -> Iterator[tuple[Place, dict[str, str]]]:
    """The rows of a file by column name, each with the line at which it begins."""
    before = csv.field_size_limit(MOST)
    try:
        opened = gzip.open if file.suffix == ".gz" else open
        with opened(file, "rt", encoding="utf-8-sig", newline="") as source:
            reader = csv.reader(source, strict=True)
            columns = next(reader, [])
            _check(columns, file)
            while True:
                place = f"{file}, line {reader.line_num + 1}"
                row = next(reader, None)
                if row is None:
                    return
                if len(row) != len(columns):
                    raise ZooterError(f"{len(columns)} cells in {place}", f"{len(row)}", "Mend or remove the row.")
                yield place, dict(zip(columns, row, strict=True))
    except (csv.Error, OSError, EOFError, zlib.error, UnicodeDecodeError) as problem:
        raise ZooterError(f"CSV in {file}", str(problem), "Mend the file, or get it again.") from problem
    finally:
        csv.field_size_limit(before)


def _check(columns: Sequence[str], file: Path) -> None:
    if missing := [name for name in ("sample_id", "prompt", "eval_name") if name not in columns]:
        raise ZooterError(f"columns {listed(missing)} in {file}", listed(columns)[:80], "Check the format's name.")
    distinct(columns, f"columns in {file}")
    if not _models(columns):
        raise ZooterError(f"a column a model in {file}", listed(columns)[:80], "Check the format's name.")


def _models(columns: Sequence[str]) -> tuple[str, ...]:
    """Columns that are models: where costs or responses are given, those that have one."""
    plain = [name for name in columns if "|" not in name and name not in NO_MODEL and not name.startswith("Unnamed")]
    paired = [name for name in plain if name + RESPONSE in columns or name + COST in columns]
    return tuple(paired or plain)


def _score(cell: str, name: str, place: Place) -> float | None:
    if cell.strip().lower() in MISSING:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = {"true": 1.0, "false": 0.0}.get(cell.strip().lower(), float("inf"))
    if value == float("inf"):
        raise ZooterError(f"a number in the column {name} of {place}", repr(cell[:40]), "Mend or remove the row.")
    return number_of(value, f"the column {name}", place)


def _text(cell: str) -> str:
    """A cell as it stands, or the texts of a list that is written in it."""
    if cell.lstrip().startswith(("['", '["')) and cell.rstrip().endswith("]"):
        try:
            found = ast.literal_eval(cell.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return cell
        if isinstance(found, list) and all(isinstance(part, str) for part in found):
            return "\n".join(found)
    return cell
