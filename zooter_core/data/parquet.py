"""A run's records as Parquet files, for tools that read columns: one file a step, read and written in pieces."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from zooter_core.base import files
from zooter_core.base.errors import not_installed
from zooter_core.data.run_folder import LABELS, QUERIES, RESPONSES, REWARDS, TAGS
from zooter_core.data.runs import Run

ROWS = 10_000  # in memory at a time


def export_parquet(run: Run, folder: Path) -> None:
    """Write `queries`, `responses`, `rewards`, `tags` and `labels` as NAME.parquet into a folder.

    A line of `rewards` is one candidate's: `id`, `candidate`, `reward`, `samples` (none where its response is missing),
    or `id` and `set_aside`. A line of `labels` is one candidate's too: `id`, `fold`, `candidate`, `plain`, `enhanced`,
    `entropy`.

    Raises:
        ZooterError: pyarrow is not installed, or the folder cannot be made.
        WorkError: the disk is full.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise not_installed("pyarrow", "--parquet", "Run `pip install pyarrow`.")
    pool = run.setting("start", "pool")
    files.check_folder(folder)
    with files.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name in (QUERIES, RESPONSES, REWARDS, TAGS, LABELS):
        _write(folder / f"{Path(name).stem}.parquet", name, _rows(run, name, pool))


def _rows(run: Run, name: str, pool: list[str]) -> Iterator[dict[str, Any]]:
    for record in run.records(name):
        if name == REWARDS and "set_aside" not in record:
            for candidate in record["rewards"]:
                reward, samples = record["rewards"][candidate], record["samples"][candidate]
                yield {"id": record["id"], "candidate": candidate, "reward": reward, "samples": samples}
        elif name == LABELS:
            for number, candidate in enumerate(pool):
                values = {key: record[key][number] for key in ("plain", "enhanced")}
                yield {**record, "candidate": candidate, **values}
        else:
            yield record


def _write(path: Path, name: str, rows: Iterator[dict[str, Any]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    text, number, numbers = pa.string(), pa.float64(), pa.list_(pa.float64())
    tag = pa.struct([("name", text), ("score", number)])
    schemas = {
        QUERIES: [("id", text), ("text", text), ("dataset", text), ("tags", pa.list_(text))],
        RESPONSES: [
            *((key, text) for key in ("id", "candidate")),
            ("sample", pa.int64()),
            ("text", text),
            ("tokens", pa.int64()),
            *((key, number) for key in ("seconds", "first_token_seconds")),
            *((key, text) for key in ("finish", "error")),
        ],
        REWARDS: [("id", text), ("candidate", text), ("reward", number), ("samples", numbers), ("set_aside", text)],
        TAGS: [("id", text), ("tags", pa.list_(tag))],
        LABELS: [
            *((key, text) for key in ("id", "fold", "candidate")),
            *((key, number) for key in ("plain", "enhanced", "entropy")),
        ],
    }
    schema = pa.schema(schemas[name])
    with files.writing(path), files.atomic(path) as partial, parquet.ParquetWriter(partial, schema) as out:
        while piece := list(islice(rows, ROWS)):
            out.write_table(pa.Table.from_pylist(piece, schema=schema))
