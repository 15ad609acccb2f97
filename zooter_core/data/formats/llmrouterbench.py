"""LLMRouterBench's results: DATASET/SPLIT/MODEL/*.json, objects with model_name, dataset_name, split and records.

A record is {index, origin_query, prompt, prompt_tokens, completion_tokens, cost, score, prediction, ...}. Of several
runs of one model on one split the latest by the time in its name counts, trial runs (`demo`) never. Tokens and costs go
into the score file too. The format is that of github.com/ynulihao/LLMRouterBench.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zooter_core.data.formats import Line, Options
from zooter_core.data.formats.joining import Cell, Joined
from zooter_core.data.formats.reading import Json, Place, each_of, json_files, number_of, text_of
from zooter_core.errors import ZooterError, listed

EXTRAS = ("prompt_tokens", "completion_tokens", "cost")
Run = tuple[str, str, str]  # dataset, split, model


def lines(paths: Sequence[Path], options: Options) -> Iterator[Line]:
    """Score lines; the query is `origin_query`, or the prompt where that is empty, and the response the prediction.

    Raises:
        ZooterError: a file is damaged or of another form, or two models were asked different queries.
    """
    chosen: dict[Run, Path] = {}
    for file in dict.fromkeys(file for path in paths for file in json_files(path)):
        head = _head(file)
        if head.get("demo") is True:
            options.notes.append(f"{file.name}: a trial run, left out.")
            continue
        run = (_named(head, "dataset_name", file), str(head.get("split", "")), _named(head, "model_name", file))
        if run not in chosen or _time(chosen[run]) < _time(file):
            chosen[run] = file
    with Joined() as joined:
        for (dataset, split, model), file in sorted(chosen.items()):
            for place, record in each_of(file, "records", {}):
                index = record.get("index")
                if isinstance(index, bool) or not isinstance(index, int | str):
                    raise ZooterError(f'"index" in {place}', repr(index)[:40], "Mend or remove the record.")
                key = "/".join(part for part in (dataset, split, str(index)) if part)
                joined.add(key, _query(record, place), dataset, model, _cell(record, place), place)
        yield from joined.lines(options)


def _query(record: dict[str, Any], place: Place) -> str:
    origin = record.get("origin_query")
    return origin if isinstance(origin, str) and origin.strip() else text_of(record, "prompt", place)


def _cell(record: dict[str, Any], place: Place) -> Cell:
    values = {name: number_of(record.get(name), f'"{name}"', place) for name in EXTRAS}
    extras = {name: value for name, value in values.items() if value is not None}
    prediction = record.get("prediction")
    response = None if prediction is None else text_of(record, "prediction", place)
    return Cell(number_of(record.get("score"), '"score"', place), response, extras)


def _head(file: Path) -> dict[str, Any]:
    """What a file says of itself before its records, which are left unread."""
    head: dict[str, Any] = {}
    with Json(file) as source:
        source.take("{", 'an object with "records"')
        while source.peek() != "}":
            if head:
                source.take(",", "a comma or the end of the object")
            key = str(source.value())
            source.take(":", "a colon after a key")
            if key == "records":
                return head
            head[key] = source.value()
    raise ZooterError(f'"records" in {file}', listed(head) or "nothing", "Check the format's name.")


def _named(head: dict[str, Any], key: str, file: Path) -> str:
    value = head.get(key)
    if not isinstance(value, str) or not value:
        raise ZooterError(f'"{key}" before "records" in {file}', listed(head) or "nothing", "Mend the file.")
    return value


def _time(file: Path) -> tuple[str, str]:
    """The time in a file's name, YYYYMMDD_HHMMSS; a file without one is older than any other."""
    found = re.search(r"(\d{8}_\d{6})\.json", file.name)
    return (found.group(1) if found else "", file.name)
