"""LLMRouterBench's results: DATASET/SPLIT/MODEL/*.json, objects with model_name, dataset_name, split and records.

A record is {index, origin_query, prompt, prompt_tokens, completion_tokens, cost, score, prediction, ...}. If a model
has several runs on one split, the latest by the time in the file's name counts; trial runs (`demo`) never do. The score
file gets tokens and costs too. The format is that of github.com/ynulihao/LLMRouterBench.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zooter_core.base.errors import ZooterError, listed
from zooter_core.data.formats import Line, Options
from zooter_core.data.formats.reading import (
    FIX_FILE,
    FIX_RECORD,
    Cell,
    Place,
    ScoreTable,
    json_files,
    number_of,
    object_of,
    read_object,
    text_of,
)

EXTRAS = ("prompt_tokens", "completion_tokens", "cost")
Split = tuple[str, str, str]  # dataset, split, model


def lines(paths: Sequence[Path], options: Options) -> Iterator[Line]:
    """Score lines: the query is `origin_query`, or the prompt if that is empty; the response is the prediction."""
    table = ScoreTable()
    for (dataset, split, model), file in sorted(_latest(paths, options).items()):
        for number, value in enumerate(read_object(file)["records"], 1):
            place = f"{file}, record {number}"
            record = object_of(value, place)
            index = record.get("index")
            if isinstance(index, bool) or not isinstance(index, int | str):
                raise ZooterError(f'"index" in {place}', repr(index)[:40], FIX_RECORD)
            key = "/".join(part for part in (dataset, split, str(index)) if part)
            table.add(key, _query(record, place), dataset, model, _cell(record, place), place)
    yield from table.lines(options)


def _latest(paths: Sequence[Path], options: Options) -> dict[Split, Path]:
    """The file that counts for each model and split."""
    latest: dict[Split, Path] = {}
    for file in dict.fromkeys(file for path in paths for file in json_files(path)):
        run = read_object(file)
        if not isinstance(run.get("records"), list):
            raise ZooterError(f'"records" as an array in {file}', listed(run) or "nothing", "Check the format's name.")
        if run.get("demo") is True:
            options.notes.append(f"{file.name}: a trial run, left out.")
            continue
        key = (_name(run, "dataset_name", file), str(run.get("split", "")), _name(run, "model_name", file))
        if key not in latest or _time(latest[key]) < _time(file):
            latest[key] = file
    return latest


def _query(record: dict[str, Any], place: Place) -> str:
    origin = record.get("origin_query")
    return origin if isinstance(origin, str) and origin.strip() else text_of(record, "prompt", place)


def _cell(record: dict[str, Any], place: Place) -> Cell:
    values = {name: number_of(record.get(name), f'"{name}"', place) for name in EXTRAS}
    extras = {name: value for name, value in values.items() if value is not None}
    prediction = record.get("prediction")
    response = None if prediction is None else text_of(record, "prediction", place)
    return Cell(number_of(record.get("score"), '"score"', place), response, extras)


def _name(run: dict[str, Any], key: str, file: Path) -> str:
    value = run.get(key)
    if not isinstance(value, str) or not value:
        raise ZooterError(f'"{key}" in {file}', listed(run), FIX_FILE)
    return value


def _time(file: Path) -> tuple[str, str]:
    """The time in a file's name, YYYYMMDD_HHMMSS; a file without one counts as the earliest."""
    match = re.search(r"(\d{8}_\d{6})\.json", file.name)
    return (match.group(1) if match else "", file.name)
