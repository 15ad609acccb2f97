"""Score files of any form: records with `scores` by model, a column for each model, or a row for each score.

Many programs write the last form (query, model, score): the rows of a query make a line, also where each model has a
file of its own. `--log_samples` of lm-evaluation-harness is such a file, whose folder names the model. A vote between
two models is a row for each of them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.strict_json import objects
from zooter_core.data.answer_keys import FIELDS
from zooter_core.data.json_records import ENDING, FIX_LINE, Place, as_json, as_number, as_text, each_record
from zooter_core.data.logs import TEXTS, field_name, messages_in, query_in, read_fields, turns_in
from zooter_core.data.score_cells import Scale, as_response, is_missing, read_number

SCORE = ("score", "overall_score", "reward")
LIKELY = ("overall", "rating", "grade", "is_correct", "correct", "passed", "success")  # scores, if they are numbers
MODEL = ("model", "model_name", "candidate", "llm", "model_id", "generator")
CLEAR_RESPONSE = ("response", "output", "completion", "prediction")
RESPONSE = (*CLEAR_RESPONSE, "answer", "text")  # the last two may also be a key and the query
DECIDED = (("winner", "loser"), ("chosen_model", "rejected_model"))  # of a vote; the first has won
PAIRS = (("model_a", "model_b"), ("generator_1", "generator_2"), ("model_1", "model_2"), *DECIDED)
TIES = ("tie", "draw", "both")
WHAT = r"(score|rating|grade|reward|quality|accuracy|acc|correct|pass|passed|response|answer|output)s?"
AFFIX = re.compile(  # around a model's name; the last is a scale, as in "small (1-5)"
    rf"^{WHAT}[\W_]+(?=\w)|(?<=\w)([\W_]+{WHAT}\W*)?(\s*[(\[](%|\d*\s*[-–/]\s*\d+)[)\]]|\s+/\s*\d+)?$", re.IGNORECASE
)
SCORED = re.compile(r"(\w+_)?(ratings|grades|rewards|results)")  # an object of scores by model
AVERAGE = (
    "(grand.|overall.|weighted.)?(mean|avg|average|total|sum|median)(.(score|rating)|s)?|ø|durchschnitt|mittelwert|summe"
    "|gesamt|moyenne|somme|promedio|suma|m[eé]dia|soma|totale|gemiddelde|среднее|итого|平均|平均分|合计|总分|合計"
)
SUMMARY = re.compile(rf"({AVERAGE}|overall|max|min|count|std.*|standard.deviation)\W*(\(.*\))?")
ABOUT = {*TEXTS, *FIELDS, "dataset", "source", "tags", "choices", "target", "expected", "label", "ground_truth"}
MEASURE = re.compile(  # the names of columns that are no model's
    r"(.*_)?(category|topic|type|stream|language|notes?|comments?|rater|date|row|turns?|level|difficulty|split|fold"
    r"|seed|year|temperature|weight|priority|version|complexity|confidence|diff|delta|variance|status|reason)"
    rf"|no\.?|nr\.?|n[°º]|№|#|序号|番号|reference(\..*)?|unnamed:.\d+|(.*_)?({AVERAGE})"
    r"|(.*[\W_])?(q?id|idx|index|ms|at|ts|time|timestamp|created|length|len|count|num|number|words|characters)"
    r"|(.*[\W_])?(costs?|price|usd|tokens?|latency|seconds|duration|rank)([\W_].*)?|time_.*|(.*_)?metric:.*"
)
# Of a row with a model, `correct` may be the score.
BESIDE = ("correct", "gold", "best", "winner", "chosen", "rejected", "min", "max", "std")
STEP = """Name a column of scores (higher is better) after each model, or have a row for each score (query, model, \
score) or response (query, model, response); docs/scores.md shows them. `zooter run` scores queries that have none."""
Record = dict[str, Any]
Line = tuple[Place, Record]


@dataclass
class _Rows:
    """The rows of a query, each with one model's score or response."""

    file: int
    place: Place
    record: Record
    scores: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    responses: dict[str, str] = field(default_factory=dict)

    def joined(self) -> Record:
        """One record, with the mean of each model's scores and its last response."""
        record = self.record | ({"responses": self.responses} if self.responses else {})
        scores = {name: fmean(values) for name, values in self.scores.items()}
        return record | ({"scores": scores} if scores or not self.responses else {})


def score_records(paths: Sequence[str | Path], responses: bool = False) -> Iterator[tuple[int, Place, Record]]:
    """The lines of score files, each with the file's number and its place: records with `scores`, `responses`, or both.

    Args:
        responses: whether a table with texts and numbers has responses, of which some are numbers, and no scores.

    Raises:
        ZooterError: a file has no record, or one that holds no score.
    """
    lines = _lines(paths, responses)
    return _joined(lines) if len(paths) > 1 else lines


def _joined(lines: Iterable[tuple[int, Place, Record]]) -> Iterator[tuple[int, Place, Record]]:
    """The lines of several files. Where two files have scores of other models for a query, its lines become one."""
    queries: dict[str | int, tuple[int, Place, Record]] = {}  # by text, or by number where the text is taken
    scale = Scale()
    for number, (file, place, record) in enumerate(lines):
        text = query_in(place, read_fields(record)).strip()
        first, above, earlier = queries.get(text, (file, place, {}))
        models, others = _scored_models(record), _scored_models(earlier)
        if first != file and models and others and models.isdisjoint(others):
            for where, line in ((above, earlier), (place, record)):
                line["scores"] = {m: scale.read(score, f"{m} in {where}") for m, score in line["scores"].items()}
            for name in ("scores", "responses", "verified"):
                if name in record:
                    earlier[name] = earlier.get(name, {}) | record[name]
        else:
            queries[number if text in queries else text] = file, place, record
    yield from queries.values()


def _scored_models(record: Record) -> set[str]:
    scores = record.get("scores")
    return {*scores} if isinstance(scores, dict) else set()


def _lines(paths: Sequence[str | Path], responses: bool) -> Iterator[tuple[int, Place, Record]]:
    """The lines of each file by itself, but for rows of one model, which make one line for their query in all files."""
    together: dict[str, _Rows] = {}
    alone: dict[int, list[Line]] = {}  # file -> its lines, if they have scores of one model
    for file, path in enumerate(map(Path, paths)):
        table, scale, empty = list[Line](), Scale(), True
        for place, record in _unwrapped(path):
            empty, fields = False, _named_fields(path, record)
            if {"scores", "responses"} & record.keys() & fields.keys():
                yield file, place, record
            elif not _is_summary(record):
                rows = _vote(place, fields) or ([fields] if {*MODEL} & fields.keys() else [])
                for row in rows:
                    _add(together, file, place, row, scale)
                if not rows:
                    table.append((place, record))
        if empty:
            raise ZooterError(f"at least one query in {path}", "none", "Check the file.")
        lines = _by_column(table, responses)
        if lines and len(_scored_models(lines[0][1])) == 1:  # the other models may have files of their own
            alone[file] = lines
        else:
            yield from ((file, *line) for line in lines)
    yield from _files_of_one_model(paths, alone)
    for group in together.values():
        yield group.file, group.place, group.joined()


def _files_of_one_model(
    paths: Sequence[str | Path], alone: Mapping[int, list[Line]]
) -> Iterator[tuple[int, Place, Record]]:
    """The lines of files with one column of scores. It names the model, unless other files have the same one."""
    columns = {file: next(iter(lines[0][1]["scores"])) for file, lines in alone.items()}
    shared = len({*columns.values()}) < len(columns)
    for file, lines in alone.items():
        column = columns[file]
        model = ENDING.sub("", Path(paths[file]).name) if shared or field_name(column) in (*SCORE, *LIKELY) else column
        yield from ((file, place, record | {"scores": {model: record["scores"][column]}}) for place, record in lines)


def _unwrapped(path: Path) -> Iterator[Line]:
    """The records of a file. Of a list in one, as in {"model": "a", "results": [...]}, each with what is around it."""
    for place, record in each_record(path):
        if _are_scores(record.get("scores")) or not any(isinstance(part, dict | list) for part in record.values()):
            yield place, record
            continue
        if objects(
            results := read_fields(record.get("results")).get("results")
        ):  # promptfoo has the prompts beside them
            record = {"results": results}
        ratings = [part for name, part in record.items() if SCORED.fullmatch(name.lower()) and _are_scores(part)]
        if len(ratings) == 1 and "scores" not in record:
            record = record | {"scores": ratings[0]}
        rows = _keyed(record) or _listed(record)
        around = (
            {name: value for name, value in read_fields(record).items() if name in (*MODEL, *ABOUT)} if rows else {}
        )
        if rows and ({*MODEL} & read_fields(rows[0]).keys() or not {*TEXTS} & around.keys()):
            yield from ((place, around | row) for row in rows)
        else:
            yield place, record


def _are_scores(value: object) -> bool:
    return isinstance(value, dict) and {*map(type, value.values())} <= {int, float}


def _keyed(record: Record) -> list[Record]:
    """The rows of {query: {model: score}}, {model: {query: score}} or {id: {"query": ..., ...}}; else none."""
    if all(map(_are_scores, record.values())):
        inner = [name for scores in record.values() for name in scores]
        if all(" " in name for name in inner) and not any(" " in name for name in record):
            return [{"model": m, "query": q, "score": s} for m, scores in record.items() for q, s in scores.items()]
        return [{"query": query, "scores": scores} for query, scores in record.items()]
    if all(isinstance(part, dict) and {*TEXTS} & read_fields(part).keys() for part in record.values()):
        return [{"id": name} | part for name, part in record.items()]
    return []


def _listed(record: Record) -> list[Record]:
    """The rows of the only list in a record, or of an object by model, {"results": {"a": {"score": 1}, ...}}."""
    form = [name for name in ("scores", "responses") if name in record][:1]
    parts = {name: record[name] for name in form or record if name.lower() not in TEXTS}
    lists = [rows for part in parts.values() if (rows := objects(part) or _by_model(part))]
    return lists[0] if len(lists) == 1 else _by_model(parts)


def _by_model(value: object) -> list[Record]:
    """The objects in an object, or in lists there, if all have a score or a response; their names are the models'."""
    parts = value if isinstance(value, dict) else {}
    lists = {name: objects(part if isinstance(part, list) else [part]) for name, part in parts.items()}
    rows = [{"model": name} | row for name, part in lists.items() for row in part]
    several = len({row["model"] for row in rows}) > 1
    return rows if several and all({*SCORE, *LIKELY, *RESPONSE} & row.keys() for row in rows) else []


def _is_summary(record: Record) -> bool:
    """Whether a row of a table is the average or the sum of others, as spreadsheets have it below them."""
    cells = [cell.strip().lower() for cell in record.values() if isinstance(cell, str)]
    words = [cell for cell in cells if SUMMARY.fullmatch(cell)]
    return bool(words) and all(cell in words or is_missing(cell) or read_number(cell) is not None for cell in cells)


def _vote(place: Place, fields: Record) -> list[Record]:
    """The rows of a vote between two models: the winner has 1, the other 0, and each a half after a tie; else none.

    Of a conversation, which a vote is about as a whole, the first text is the query.
    """
    names = next((names for names in PAIRS if names[0] in fields and names[1] in fields), ())
    if not names or not (names in DECIDED or {"winner", "preference", f"winner_{names[0]}"} & fields.keys()):
        return []
    rivals = [as_text(fields[name]) or "" for name in names]
    words = [(name, name[-1], f"model {name[-1]}", rival.lower()) for name, rival in zip(names, rivals, strict=True)]
    winner = str(fields.get("winner") or fields.get("preference") or "").strip().lower()
    columns = [number for name in names if (number := read_number(fields.get(f"winner_{name}"))) is not None]
    share: float | None = 1.0 if winner in words[0] else 0.0 if winner in words[1] else None  # of the first
    if names in DECIDED:
        share = 1.0
    elif len(columns) == len(names):  # a column for each outcome
        share = (1 + columns[0] - columns[1]) / 2
    elif winner.startswith(TIES):
        share = 0.5
    elif (preference := as_number(winner)) is not None and 1 <= preference <= 2:  # of AlpacaEval
        share = 2 - preference
    if share is None and not is_missing(winner):
        step = f'Write "{names[0]}", "{names[1]}" or "tie" into the column "winner".'
        raise ZooterError(f"the winner of a vote in {place}", f"{winner!r:.40}", step)
    turns = turns_in(messages_in(fields))
    about = {name: value for name, value in fields.items() if name in ABOUT}
    about |= {"query": turns[0] if turns else query_in(place, fields)}
    scores = (None, None) if share is None else (share, 1 - share)
    return [about | {"model": rival, "score": score} for rival, score in zip(rivals, scores, strict=True)]


def _named_fields(path: Path, record: Record) -> Record:
    """The fields of a record, which other programs name otherwise. Where nothing names the model, the file does."""
    fields = read_fields(record)
    if "snapshot" in fields:
        return _of_open_webui(fields)
    if {"doc", "doc_id", "target"} <= fields.keys():
        return _of_lm_evaluation_harness(path, fields)
    of_promptfoo = read_fields(fields.get("provider"))
    elsewhere = of_promptfoo or read_fields(fields.get("metadata")).get("model")
    if model := next((fields[name] for name in MODEL if name in fields), elsewhere):
        return _with_metrics(fields, model) | {"model": model}
    if {*CLEAR_RESPONSE} & fields.keys() and {*SCORE, *LIKELY} & fields.keys():
        return fields | {"model": ENDING.sub("", path.name)}
    return fields


def _with_metrics(fields: Record, model: object) -> Record:
    """The fields of a model's response. Its `scores` by metric, if it has such, are fields themselves."""
    scores = as_json(fields.get("scores")) if {*CLEAR_RESPONSE, "text"} & fields.keys() else None
    if not isinstance(scores, dict) or as_text(model) in scores:
        return fields
    gone = ("scores", *(RESPONSE if len(scores) > 1 else ()))  # of several, none is the score of the response
    return {name: value for name, value in fields.items() if name not in gone} | scores


def _of_open_webui(fields: Record) -> Record:
    """A thumb: a score, or a vote where another model answered too."""
    data = read_fields(fields.get("data"))
    model, liked = data.get("model_id"), data.get("rating") == 1
    if rivals := data.get("sibling_model_ids"):
        return fields | {"model_a": model, "model_b": rivals[0], "winner": "model_a" if liked else "model_b"}
    return fields | {"model": model, "score": liked}


def _of_lm_evaluation_harness(path: Path, fields: Record) -> Record:
    """A sample, whose file is `samples_TASK_TIME.jsonl` in the model's folder."""
    if path.parent.name.startswith("samples_"):
        step = "Name each file after its model, or give the folders to `zooter distill`."
        raise ZooterError(f"the name of a model around {path}", "none: a browser sends files without folders", step)
    scored = [name for name in fields if name not in ("doc_id", "target") and read_number(fields[name]) is not None]
    metric = next((name for name in fields.get("metrics") or () if name in scored), *scored[:1] or [""])
    prompt = fields.get("arguments")  # of each request: the prompt, and how to go on
    while isinstance(prompt, dict | list) and prompt:
        prompt = next(iter(prompt.values() if isinstance(prompt, dict) else prompt))
    doc = read_fields(fields["doc"])
    query = {name: doc[name] for name in TEXTS if name in doc and name != "text"} or {"prompt": prompt}
    task = path.name.removeprefix("samples_").rpartition("_")[0]  # before the time
    return query | {"model": path.parent.name.replace("__", "/"), "dataset": task, "score": fields.get(metric)}


def _add(together: dict[str, _Rows], file: int, place: Place, fields: Record, scale: Scale) -> None:
    """Add a row with one model's score or response to those of its query."""
    model, score, response = (next((one for one in names if one in fields), "") for names in (MODEL, SCORE, RESPONSE))
    if not score:
        numbers = [name for name in fields if _may_be_scores(name) and read_number(fields[name]) is not None]
        likely = [name for name in LIKELY if name in fields and (name in numbers or is_missing(fields[name]))]
        score = likely[0] if likely else numbers[0] if len(numbers) == 1 else ""
    if not score and not response:
        expected = f'a column "score" or "response" beside "{model}" in {place}'
        raise ZooterError(expected, f"the columns {listed(fields)}", "Name the column of the scores or responses so.")
    one, text = read_fields(fields[model]), as_response(fields.get(response))
    name = next(filter(None, map(as_text, (fields[model], *map(one.get, ("label", "name", "id"))))), "").strip()
    if not name:
        raise ZooterError(f"the name of a model in {place}", f"{fields[model]!r:.40} in {model}", FIX_LINE)
    query, above = query_in(place, fields).strip(), next(reversed(together), "")
    if not query and above and name not in {*together[above].scores, *together[above].responses}:
        query = above  # its cells were merged
    about = {name: value for name, value in fields.items() if name in ABOUT and name != response}
    rows = together.setdefault(query, _Rows(file, place, about | {"query": query}))
    if (number := scale.read(fields.get(score), f"{name} in {place}")) is not None:
        rows.scores[name].append(number)
    if text is not None:
        rows.responses[name] = text


def _by_column(rows: Sequence[Line], responses: bool) -> list[Line]:
    """The rows of a table with a column for each model: its scores where most cells are numbers, else its responses."""
    if not rows:
        return []
    place, record = rows[0]
    query_in(place, read_fields(record))  # its error, if it has none
    columns = [name for name in dict.fromkeys(name for _, record in rows for name in record) if name.strip()]
    cells = {name: [cell for _, record in rows if not is_missing(cell := record.get(name))] for name in columns}
    models = {name: model for name in columns if (model := _name_model(name)) is not None}
    models = {name: model for name, model in models.items() if not _counts_rows(cells[name], len(rows))}
    kind, names = "scores", [name for name in models if _are_mostly_numbers(name, cells[name])]
    if not names or (responses and len(names) < len(models) == len({*models.values()})):
        kind, names = "responses", [name for name in models if any(map(as_response, cells[name]))]
    if kind == "responses" and len(names) < 2:
        instead = f"{'no numbers in ' if models else ''}the columns {listed(models or columns) or 'none'}"
        raise ZooterError(f"scores in {place}", instead, STEP)
    if kind == "scores" and len(names) > 1 and "response" in map(field_name, columns):
        step = "Name the one that counts `score`, or each column after its model."
        raise ZooterError(f"one column of scores beside the responses in {place}", listed(names), step)
    read = (lambda cell: as_response(cell) or None) if kind == "responses" else lambda cell: cell
    return [(place, one | {kind: {models[name]: read(one.get(name)) for name in names}}) for place, one in rows]


def _counts_rows(cells: Sequence[object], count: int) -> bool:
    """Whether the cells of a long table number its rows, from 0 or 1."""
    if count < 10 or len(cells) < count:
        return False
    return any(all(str(cell) == str(n) for n, cell in enumerate(cells, first)) for first in (0, 1))


def _are_mostly_numbers(name: str, cells: Sequence[object]) -> bool:
    """Whether a column has scores: half of its cells are numbers, or it is called so."""
    least = 0 if field_name(name) in SCORE else len(cells) / 2
    return bool(cells) and sum(read_number(cell) is not None for cell in cells) >= least


def _name_model(column: str) -> str | None:
    """The model in a column's name: that of "small", "rating_small" and "Score (small)" is the same. None if the name
    is that of no model's column."""
    if not _may_be_scores(column):
        return None
    name = column.strip()
    if field_name(name) not in (*SCORE, *LIKELY):
        name = AFFIX.sub("", name)
    name = name if "(" in name else name.rstrip(")")
    return name if name.lower() not in BESIDE and _may_be_scores(name) else None


def _may_be_scores(name: str) -> bool:
    """Whether a column may hold scores, by its name."""
    name = field_name(name)
    return name not in {*ABOUT, *MODEL, *CLEAR_RESPONSE} and not MEASURE.fullmatch(name)
