"""AlpacaEval's results: a folder a model, with `model_outputs.json` and, per judge, `JUDGE/annotations.json`.

An output is {instruction, output, dataset?, generator}; an annotation {instruction, output_1, output_2, generator_2,
preference, ...}, where preference is 1 where the reference wins and 2 where the model does (between them where the
judge weighs). The score is the preference minus 1. The format is that of github.com/tatsu-lab/alpaca_eval.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from zooter_core.data.formats import Line, Options
from zooter_core.data.formats.joining import Cell, Joined
from zooter_core.data.formats.reading import distinct, each_record, number_of, text_of
from zooter_core.errors import ZooterError, did_you_mean, listed

OUTPUTS, ANNOTATIONS = "model_outputs.json", "annotations.json"


def lines(paths: Sequence[Path], options: Options) -> Iterator[Line]:
    """Score lines from folders of models, or from folders that hold such folders.

    Raises:
        ZooterError: a folder has no outputs, the judges differ, or a record is wrong.
    """
    folders = _models(paths)
    distinct([folder.name for folder in folders], "models' folders")
    judge = _judge(folders, options.annotator)
    options.notes.append(
        f"Scores: preference of {judge} over its reference, 0 to 1." if judge else "No annotations: without scores."
    )
    with Joined() as joined:
        for folder in folders:
            _add(folder, judge, joined, options)
        yield from joined.lines(options, scored=judge is not None)


def _models(paths: Sequence[Path]) -> list[Path]:
    found = []
    for path in paths:
        folder = path.parent if path.name == OUTPUTS else path
        own = [folder] if (folder / OUTPUTS).is_file() else sorted(p.parent for p in folder.glob(f"*/{OUTPUTS}"))
        if not own:
            raise ZooterError(
                f"a model's folder with {OUTPUTS}, or a folder of such", f"none at {path}", "Name results/MODEL."
            )
        found += own
    return found


def _judge(folders: Sequence[Path], named: str | None) -> str | None:
    """The judge whose annotations all models have; None where nobody has any."""
    judges = [{path.parent.name for path in folder.glob(f"*/{ANNOTATIONS}")} for folder in folders]
    shared, any_of = set.intersection(*judges), set.union(*judges)
    if named is not None:
        if named not in shared:
            lacking = [f.name for f, own in zip(folders, judges, strict=True) if named not in own]
            raise ZooterError(
                f"annotations of {named} for every model", f"none for {listed(lacking)}", did_you_mean(named, any_of)
            )
        return named
    if len(shared) == 1 or not any_of:
        return next(iter(shared), None)
    known = "; ".join(f"{f.name}: {listed(sorted(own)) or 'none'}" for f, own in zip(folders, judges, strict=True))
    raise ZooterError("one judge that has annotated every model", known, "Name one with --annotator, or fewer models.")


def _add(folder: Path, judge: str | None, joined: Joined, options: Options) -> None:
    """One model's outputs, with the scores that its judge gave them."""
    judged = _judged(folder / judge / ANNOTATIONS) if judge else {}
    times: Counter[str] = Counter()
    for place, record in each_record(folder / OUTPUTS):
        instruction = text_of(record, "instruction", place)
        times[instruction] += 1
        key = _key(instruction, times[instruction])
        score, of = judged.get(key, (None, None))
        if of is not None and of != record.get("generator", of):
            options.left_out[f"{folder.name}'s annotation is one of {of}"] += 1
            score = None
        source = record.get("dataset")
        dataset = f"alpaca_eval/{source}" if isinstance(source, str) else "alpaca_eval"
        joined.add(key, instruction, dataset, folder.name, Cell(score, text_of(record, "output", place)), place)


def _judged(path: Path) -> dict[str, tuple[float | None, str | None]]:
    """Of each instruction the score, and whose output was judged."""
    found = {}
    times: Counter[str] = Counter()
    for place, record in each_record(path):
        instruction = text_of(record, "instruction", place)
        times[instruction] += 1
        preference = number_of(record.get("preference"), '"preference"', place)
        if preference is not None and not 1 <= preference <= 2:
            raise ZooterError(f'"preference" from 1 to 2 in {place}', str(preference), "Mend or remove the record.")
        score = None if preference is None else round(preference - 1, 10)
        of = record.get("generator_2")
        found[_key(instruction, times[instruction])] = score, of if isinstance(of, str) else None
    return found


def _key(instruction: str, time: int) -> str:
    """An id of an instruction; `time` tells a repeat from the first."""
    digest = hashlib.sha256(instruction.encode("utf-8", "replace")).hexdigest()[:12]
    return f"alpaca_eval/{digest}" + (f"-{time}" if time > 1 else "")
