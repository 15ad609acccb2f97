"""AlpacaEval's results: a folder per model, with `model_outputs.json` and, per judge, `JUDGE/annotations.json`.

An output is {instruction, output, dataset?, generator}. An annotation is {instruction, output_1, output_2,
generator_2, preference, ...}, where preference is 1 if the reference wins, 2 if the model wins, and in between for a
judge that gives weights. The score is the preference minus 1. The format is that of github.com/tatsu-lab/alpaca_eval.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zooter_core.base.errors import ZooterError, did_you_mean, listed
from zooter_core.data.formats import Line, Options
from zooter_core.data.formats.reading import (
    FIX_RECORD,
    Cell,
    Place,
    ScoreTable,
    distinct,
    each_record,
    number_of,
    text_of,
)

OUTPUTS, ANNOTATIONS = "model_outputs.json", "annotations.json"


def lines(paths: Sequence[Path], options: Options) -> Iterator[Line]:
    """Score lines from folders of models, or from folders that hold such folders."""
    folders = _models(paths)
    distinct([folder.name for folder in folders], "models' folders")
    judge = _judge(folders, options.annotator)
    options.notes.append(
        f"Scores: {judge}'s preference over its reference, 0 to 1." if judge else "No annotations, hence no scores."
    )
    table = ScoreTable()
    for folder in folders:
        _add(folder, judge, table, options)
    yield from table.lines(options, scored=judge is not None)


def _models(paths: Sequence[Path]) -> list[Path]:
    models: list[Path] = []
    for path in paths:
        folder = path.absolute()  # a model's name is that of its folder
        folder = folder.parent if path.name == OUTPUTS else folder
        folders = [folder] if (folder / OUTPUTS).is_file() else sorted(p.parent for p in folder.glob(f"*/{OUTPUTS}"))
        if not folders:
            expected = f"a model's folder with {OUTPUTS}, or a folder of such folders"
            raise ZooterError(expected, f"none at {path}", "Name results/MODEL.")
        models += folders
    return models


def _judge(folders: Sequence[Path], annotator: str | None) -> str | None:
    """The judge whose annotations all models have; None if there are no annotations."""
    judges = {folder.name: {path.parent.name for path in folder.glob(f"*/{ANNOTATIONS}")} for folder in folders}
    shared, any_model = set.intersection(*judges.values()), set.union(*judges.values())
    if annotator is not None:
        if annotator not in shared:
            lacking = [model for model, names in judges.items() if annotator not in names]
            raise ZooterError(
                f"annotations of {annotator} for every model",
                f"none for {listed(lacking)}",
                did_you_mean(annotator, any_model),
            )
        return annotator
    if len(shared) == 1 or not any_model:
        return next(iter(shared), None)
    table = "; ".join(f"{model}: {listed(sorted(names)) or 'none'}" for model, names in judges.items())
    raise ZooterError("one judge that annotated every model", table, "Name one with --annotator, or name fewer models.")


def _add(folder: Path, judge: str | None, table: ScoreTable, options: Options) -> None:
    """Add one model's outputs, with the judge's scores."""
    scores = _scores(folder / judge / ANNOTATIONS) if judge else {}
    for key, instruction, place, record in _keyed(folder / OUTPUTS):
        score, generator = scores.get(key, (None, None))
        if generator is not None and generator != record.get("generator", generator):
            options.left_out[f"{folder.name}'s annotation is one of {generator}"] += 1
            score = None
        source = record.get("dataset")
        dataset = f"alpaca_eval/{source}" if isinstance(source, str) else "alpaca_eval"
        table.add(key, instruction, dataset, folder.name, Cell(score, text_of(record, "output", place)), place)


def _scores(path: Path) -> dict[str, tuple[float | None, str | None]]:
    """The score of each instruction, and the name of the generator whose output was judged."""
    scores = {}
    for key, _, place, record in _keyed(path):
        preference = number_of(record.get("preference"), '"preference"', place)
        if preference is not None and not 1 <= preference <= 2:
            raise ZooterError(f'"preference" from 1 to 2 in {place}', f"{preference:g}", FIX_RECORD)
        score = None if preference is None else round(preference - 1, 10)
        generator = record.get("generator_2")
        scores[key] = score, generator if isinstance(generator, str) else None
    return scores


def _keyed(path: Path) -> Iterator[tuple[str, str, Place, dict[str, Any]]]:
    """The records of a file, each with an id, its instruction and its place; repeated instructions are numbered."""
    repeats: Counter[str] = Counter()
    for place, record in each_record(path):
        instruction = text_of(record, "instruction", place)
        repeats[instruction] += 1
        digest = hashlib.sha256(instruction.encode("utf-8", "replace")).hexdigest()[:12]
        repeat = f"-{repeats[instruction]}" if repeats[instruction] > 1 else ""
        yield f"alpaca_eval/{digest}{repeat}", instruction, place, record
