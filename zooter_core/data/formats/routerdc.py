"""RouterDC's files: a JSON array of {question, scores: {model: number}, cluster_id?}, or RouterBench's CSV.

In the multiple-choice sets and in prealgebra a wrong answer scores 0 and a right one its probability. There a score
above 0 counts as 1, as in RouterDC's evaluation. The format is that of github.com/shuhao02/RouterDC.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from zooter_core.base.errors import ZooterError
from zooter_core.data.formats import Line, Options, routerbench
from zooter_core.data.formats.reading import Place, check_pool, distinct, each_record, json_files, number_of, text_of

PROBABILITY = ("arc_", "math_prealgebra", "ceval", "mmlu", "cmmlu")  # beginnings of file names


def lines(paths: Sequence[Path], options: Options) -> Iterator[Line]:
    """Score lines; the data set is the file's name."""
    tables = [file for path in paths for file in ([path] if path.is_file() else path.glob("*.csv*"))]
    tables = sorted(file for file in tables if file.name.endswith((".csv", ".csv.gz")))
    files = [file for path in paths for file in json_files(path) if file not in tables]
    distinct([_name(file) for file in (*files, *tables)], "files")
    pool: tuple[str, ...] = ()
    for file in files:
        dataset = _name(file)
        binary = dataset.lower().startswith(PROBABILITY)
        if binary:
            options.notes.append(f"{dataset}: a score above 0 is a right answer and counts as 1.")
        for number, (place, record) in enumerate(each_record(file)):
            scores = _scores(record, place)
            pool = pool or tuple(scores)
            check_pool(scores, pool, "record", place)
            if None in scores.values():
                options.left_out["a score is missing"] += 1
                continue
            yield {
                "id": f"{dataset}/{number:05d}",
                "query": text_of(record, "question", place),
                "scores": {name: float((scores[name] or 0) > 0) if binary else scores[name] for name in pool},
                "dataset": dataset,
            }
    if tables:
        yield from routerbench.lines(tables, options)


def _name(file: Path) -> str:
    return file.name.split(".")[0]


def _scores(record: dict[str, object], place: Place) -> dict[str, float | None]:
    scores = record.get("scores")
    if not isinstance(scores, dict) or not scores:
        raise ZooterError(f'"scores" as an object of numbers in {place}', repr(scores)[:40], "Check the format's name.")
    return {name: number_of(score, f'the score of "{name}"', place) for name, score in scores.items()}
