"""Score files of any form: records with `scores` by model, a column for each model, or a row for each score.

Many programs write the last form (query, model, score): the rows of a query make a line, also where each model has a
file of its own. `--log_samples` of lm-evaluation-harness is such a file, whose folder names the model. A vote between
two models is a row for each of them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.records import LARGEST_SCORE
from zooter_core.base.strict_json import is_number, objects
from zooter_core.data.answer_keys import FIELDS
from zooter_core.data.json_records import ENDING, FIX_LINE, Place, as_json, as_number, as_text, each_record
from zooter_core.data.logs import TEXTS, field_name, fields_of, messages_of, query_in, turns_in

SCORE = ("score", "overall_score", "reward")
LIKELY = ("overall", "rating", "grade", "is_correct", "correct", "passed", "success")  # scores, if they are numbers
MODEL = ("model", "model_name", "candidate", "llm", "model_id", "generator")
RESPONSE = ("response", "output", "completion", "prediction", "answer", "text")
DECIDED = (("winner", "loser"), ("chosen_model", "rejected_model"))  # of a vote; the first has won
PAIRS = (("model_a", "model_b"), ("generator_1", "generator_2"), ("model_1", "model_2"), *DECIDED)
MISSING = re.compile(r"[-–—?.]*|n[./]?a\.?|<na>|nan|null|none|#[\w/]+[!?]?")  # the last are errors of a spreadsheet
# The last ones of each are Excel's in German, French, Spanish, Italian, Portuguese and Dutch.
RIGHT = """pass passed correct right yes y win won good like liked thumbs_up 👍 ✓ ✔ ✅
true wahr vrai verdadero vero verdadeiro waar"""
WRONG = """fail failed incorrect wrong no n loss lose lost bad dislike disliked thumbs_down 👎 ✗ ✘ ❌
false falsch faux falso onwaar"""
TIE = "tie tied draw"
WORDS = {word: score for words, score in ((RIGHT, 1.0), (TIE, 0.5), (WRONG, 0.0)) for word in words.split()}
TIES, STARS = ("tie", "draw", "both"), "★⭐☆"
WHAT = r"(score|rating|grade|reward|quality|accuracy|acc|correct|pass|passed|response|answer|output)s?"
AFFIX = re.compile(  # around a model's name; the last is a scale, as in "small (1-5)"
    rf"^{WHAT}[\W_]+(?=\w)|(?<=\w)([\W_]+{WHAT}\W*)?(\s*[(\[](%|\d*\s*[-–/]\s*\d+)[)\]]|\s+/\s*\d+)?$", re.IGNORECASE
)
LARGEST_SCALE = 100
SCORED = re.compile(r"(\w+_)?(ratings|grades|rewards|results)")  # an object of scores by model
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
THOUSANDS = re.compile(r"(?<=\d)(\.(?=(\d{3}\.)*\d{3},\d)|,(?=(\d{3},)*\d{3}\.\d))")  # in 1.234,5 or 1,234.5
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
score) or response (query, model, response); docs/scores.md shows them."""
Record = dict[str, Any]


@dataclass
class _Rows:
    """The rows of a query, each with one model's score or response."""

    file: int
    place: Place
    record: Record
    scores: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    responses: dict[str, str] = field(default_factory=dict)


def score_records(paths: Sequence[str | Path], responses: bool = False) -> Iterator[tuple[int, Place, Record]]:
    """The lines of score files, each with the file's number and its place: records with `scores`, `responses`, or both.

    Args:
        responses: whether a table with texts and numbers has responses, of which some are numbers, and no scores.

    Raises:
        ZooterError: a file has no record, or one that holds no score.
    """
    lines = _lines(paths, responses)
    if len(paths) < 2:
        yield from lines
        return
    queries: dict[str | int, tuple[int, Place, Record]] = {}  # by text, or by number where the text is taken
    for number, (file, place, record) in enumerate(lines):
        text = query_in(place, fields_of(record)).strip()
        first, _, earlier = queries.get(text, (file, place, {}))
        mine, others = ({*one["scores"]} if isinstance(one.get("scores"), dict) else set() for one in (record, earlier))
        if first != file and mine and others and not mine & others:
            record |= {
                "scores": {model: as_score(score, f"{model} in {place}") for model, score in record["scores"].items()}
            }
            for name in ("scores", "responses", "verified"):  # of other models, in a file of their own
                earlier |= {name: earlier.get(name, {}) | record[name]} if name in record else {}
        else:
            queries[number if text in queries else text] = file, place, record
    yield from queries.values()


def _lines(paths: Sequence[str | Path], responses: bool) -> Iterator[tuple[int, Place, Record]]:
    """The lines of each file by itself, but for rows of one model, which make one line for their query in all files."""
    together: dict[str, _Rows] = {}
    alone: dict[int, tuple[str, list[tuple[Place, Record]]]] = {}  # file -> its only column of scores, and its lines
    for file, path in enumerate(map(Path, paths)):
        table, place = list[tuple[Place, Record]](), ""
        for place, record in _unwrapped(path):
            fields = _sample(path, record)
            if {"scores", "responses"} & record.keys() & fields.keys():
                yield file, place, record
            elif _is_summary(record):
                continue
            elif sides := _vote(place, fields):
                for side in sides:
                    _add(together, file, place, side)
            elif {*MODEL} & fields.keys():
                _add(together, file, place, fields)
            else:
                table.append((place, record))
        if not place:
            raise ZooterError(f"at least one query in {path}", "none", "Check the file.")
        lines = _by_column(table, responses)
        if lines and len(scores := lines[0][1].get("scores", ())) == 1:  # the other models may have files of their own
            alone[file] = *scores, lines
        else:
            yield from ((file, *line) for line in lines)
    shared = len({column for column, _ in alone.values()}) < len(alone)
    for file, (column, lines) in alone.items():
        model = ENDING.sub("", Path(paths[file]).name) if shared or field_name(column) in (*SCORE, *LIKELY) else column
        yield from ((file, place, record | {"scores": {model: record["scores"][column]}}) for place, record in lines)
    for rows in together.values():
        scores = {name: fmean(values) for name, values in rows.scores.items()}
        record = rows.record | ({"responses": rows.responses} if rows.responses else {})
        yield rows.file, rows.place, record | ({"scores": scores} if scores or not rows.responses else {})


def _unwrapped(path: Path) -> Iterator[tuple[Place, Record]]:
    """The records of a file. Of a list in one, as in {"model": "a", "results": [...]}, each with what is around it.

    An object of objects, as in {"results": {"a": {"score": 1}, "b": {"score": 0}}}, is such a list of the models. In a
    file of {"How?": {"a": 1, "b": 0}, ...}, the queries are the names, or the ids of objects with a query.
    """
    for place, record in each_record(path):
        if _are_scores(record.get("scores")) or not any(isinstance(part, dict | list) for part in record.values()):
            yield place, record
            continue
        if objects(rows := fields_of(record.get("results")).get("results")):  # promptfoo has them beside the prompts
            record = {"results": rows}
        ratings = [part for name, part in record.items() if SCORED.fullmatch(name.lower()) and _are_scores(part)]
        if len(ratings) == 1 and "scores" not in record:
            record = record | {"scores": ratings[0]}
        form = [name for name in ("scores", "responses") if name in record][:1]
        parts = {name: record[name] for name in form or record if name.lower() not in TEXTS}
        lists = [rows for part in parts.values() if (rows := objects(part) or _named(part))]
        rows = lists[0] if len(lists) == 1 else _named(parts)
        if all(map(_are_scores, record.values())):
            rows = [{"query": query, "scores": scores} for query, scores in record.items()]
            if " " not in "".join(record) and all(" " in text for part in record.values() for text in part):
                rows = [{"model": m, "query": q, "score": s} for m, part in record.items() for q, s in part.items()]
        elif all(isinstance(part, dict) and {*TEXTS} & fields_of(part).keys() for part in record.values()):
            rows = [{"id": name} | part for name, part in record.items()]
        around = {name: value for name, value in fields_of(record).items() if name in (*MODEL, *ABOUT)} if rows else {}
        if rows and ({*MODEL} & fields_of(rows[0]).keys() or not {*TEXTS} & around.keys()):
            yield from ((place, around | row) for row in rows)
        else:
            yield place, record


def _are_scores(value: object) -> bool:
    return isinstance(value, dict) and {*map(type, value.values())} <= {int, float}


def _named(value: object) -> list[Record]:
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
    return bool(words) and all(cell in words or _is_missing(cell) or _number(cell) is not None for cell in cells)


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
    columns = [number for name in names if (number := _number(fields.get(f"winner_{name}"))) is not None]
    share: float | None = 1.0 if winner in words[0] else 0.0 if winner in words[1] else None  # of the first
    if names in DECIDED:
        share = 1.0
    elif len(columns) == len(names):  # a column for each outcome
        share = (1 + columns[0] - columns[1]) / 2
    elif winner.startswith(TIES):
        share = 0.5
    elif (preference := as_number(winner)) is not None and 1 <= preference <= 2:  # of AlpacaEval
        share = 2 - preference
    if share is None and not _is_missing(winner):
        step = f'Write "{names[0]}", "{names[1]}" or "tie" into the column "winner".'
        raise ZooterError(f"the winner of a vote in {place}", f"{winner!r:.40}", step)
    turns = turns_in(messages_of(fields))
    about = {name: value for name, value in fields.items() if name in ABOUT}
    about |= {"query": turns[0] if turns else query_in(place, fields)}
    scores = (None, None) if share is None else (share, 1 - share)
    return [about | {"model": rival, "score": score} for rival, score in zip(rivals, scores, strict=True)]


def _sample(path: Path, record: Record) -> Record:
    """The fields of a record; of a sample of lm-evaluation-harness, as other programs name them.

    Where nothing names the model, the file is named after it.
    """
    fields = fields_of(record)
    if "snapshot" in fields:  # a thumb in Open WebUI, perhaps where another model answered too
        data = fields_of(fields.get("data"))
        model, liked = data.get("model_id"), data.get("rating") == 1
        if rivals := data.get("sibling_model_ids"):
            return fields | {"model_a": model, "model_b": rivals[0], "winner": "model_a" if liked else "model_b"}
        return fields | {"model": model, "score": liked}
    if not {"doc", "doc_id", "target"} <= fields.keys():
        within = fields_of(fields.get("provider")) or fields_of(fields.get("metadata")).get("model")  # as promptfoo has
        model = next((fields[name] for name in MODEL if name in fields), within)
        scores = as_json(fields.get("scores")) if model and {*RESPONSE[:4], "text"} & fields.keys() else None
        if isinstance(scores, dict) and as_text(model) not in scores:
            gone = ("scores", *(RESPONSE if len(scores) > 1 else ()))  # of several, none is the score of the response
            fields = {name: value for name, value in fields.items() if name not in gone} | scores
        answered = {*RESPONSE[:4]} & fields.keys()  # `answer` and `text` may be a key
        if model or not answered or not {*SCORE, *LIKELY} & fields.keys():
            return fields | ({"model": model} if model else {})
        return fields | {"model": ENDING.sub("", path.name)}
    if path.parent.name.startswith("samples_"):
        step = "Name each file after its model, or give the folders to `zooter distill`."
        raise ZooterError(f"the name of a model around {path}", "none: a browser sends files without folders", step)
    scored = [name for name in fields if name not in ("doc_id", "target") and _number(fields[name]) is not None]
    metric = next((name for name in fields.get("metrics") or () if name in scored), *scored[:1] or [""])
    prompt = fields.get("arguments")  # of each request: the prompt, and how to go on
    while isinstance(prompt, dict | list) and prompt:
        prompt = next(iter(prompt.values() if isinstance(prompt, dict) else prompt))
    doc = fields_of(fields["doc"])
    query = {name: doc[name] for name in TEXTS if name in doc and name != "text"} or {"prompt": prompt}
    task = path.name.removeprefix("samples_").rpartition("_")[0]  # before the time
    return query | {"model": path.parent.name.replace("__", "/"), "dataset": task, "score": fields.get(metric)}


def _add(together: dict[str, _Rows], file: int, place: Place, fields: Record) -> None:
    """Add a row with one model's score or response to those of its query."""
    model, score, response = (next((one for one in names if one in fields), "") for names in (MODEL, SCORE, RESPONSE))
    if not score:
        numbers = [name for name in fields if _may_be_scores(name) and _number(fields[name]) is not None]
        likely = [name for name in LIKELY if name in fields and (name in numbers or _is_missing(fields[name]))]
        score = likely[0] if likely else numbers[0] if len(numbers) == 1 else ""
    if not score and not response:
        expected = f'a column "score" or "response" beside "{model}" in {place}'
        raise ZooterError(expected, f"the columns {listed(fields)}", "Name the column of the scores or responses so.")
    one, text = fields_of(fields[model]), _as_response(fields.get(response))
    name = next(filter(None, map(as_text, (fields[model], *map(one.get, ("label", "name", "id"))))), "").strip()
    if not name:
        raise ZooterError(f"the name of a model in {place}", f"{fields[model]!r:.40} in {model}", FIX_LINE)
    query, above = query_in(place, fields).strip(), next(reversed(together), "")
    if not query and above and name not in {*together[above].scores, *together[above].responses}:
        query = above  # its cells were merged
    about = {name: value for name, value in fields.items() if name in ABOUT and name != response}
    rows = together.setdefault(query, _Rows(file, place, about | {"query": query}))
    if (number := as_score(fields.get(score), f"{name} in {place}")) is not None:
        rows.scores[name].append(number)
    if text is not None:
        rows.responses[name] = text


def _by_column(rows: Sequence[tuple[Place, Record]], responses: bool) -> list[tuple[Place, Record]]:
    """The rows of a table with a column for each model: its scores where most cells are numbers, else its responses."""
    if rows:
        query_in(rows[0][0], fields_of(rows[0][1]))
    columns = [name for name in dict.fromkeys(name for _, record in rows for name in record) if name.strip()]
    models = {name: _model_of(name.strip()) for name in columns if _may_be_scores(name)}
    models = {name: one for name, one in models.items() if one.lower() not in BESIDE and _may_be_scores(one)}
    cells = {name: [cell for _, record in rows if not _is_missing(cell := record.get(name))] for name in models}
    numbers = {name: sum(_number(cell) is not None for cell in cells[name]) for name in models}
    counts = [[str(n) for n in range(first, first + len(rows))] for first in (0, 1)]  # the numbers of the rows
    models = {name: one for name, one in models.items() if len(rows) < 10 or [*map(str, cells[name])] not in counts}
    least = {name: 0 if field_name(name) in SCORE else len(cells[name]) / 2 for name in models}  # cells with numbers
    kind, names = "scores", [name for name in models if cells[name] and numbers[name] >= least[name]]
    if not names or (responses and len(names) < len(models) == len({*models.values()})):
        kind, names = "responses", [name for name in models if any(map(_as_response, cells[name]))]
    if rows and kind == "responses" and len(names) < 2:
        instead = f"{'no numbers in ' if models else ''}the columns {listed(models or columns) or 'none'}"
        raise ZooterError(f"scores in {rows[0][0]}", instead, STEP)
    if kind == "scores" and len(names) > 1 and "response" in map(field_name, columns):
        step = "Name the one that counts `score`, or each column after its model."
        raise ZooterError(f"one column of scores beside the responses in {rows[0][0]}", listed(names), step)
    read = (lambda cell: _as_response(cell) or None) if kind == "responses" else lambda cell: cell
    return [(place, one | {kind: {models[name]: read(one.get(name)) for name in names}}) for place, one in rows]


def _model_of(column: str) -> str:
    """The name of the model in that of a column: those of "small", "rating_small" and "Score (small)" are the same."""
    name = column if field_name(column) in (*SCORE, *LIKELY) else AFFIX.sub("", column)
    return name if "(" in name else name.rstrip(")")


def _may_be_scores(name: str) -> bool:
    """Whether a column may hold scores, by its name."""
    name = field_name(name)
    return name not in {*ABOUT, *MODEL, *RESPONSE[:4]} and not MEASURE.fullmatch(name)


def _as_response(value: object) -> str | None:
    """A response, also one that is a number in JSON; None if there is none."""
    return value if isinstance(value, str) else str(value) if is_number(value) else None


def as_score(value: object, whose: str) -> float | None:
    """A score as files have it: a number, also with a decimal comma or a percent sign, or a word such as true or fail.

    Returns:
        None if it is missing.
    """
    if _is_missing(value):
        return None
    number = _number(value)
    if number is None:
        step = "Write numbers (higher is better), true and false, or yes and no; leave missing scores empty."
        raise ZooterError(f"a number as the score of {whose}", repr(value)[:40], step)
    if not -LARGEST_SCORE <= number <= LARGEST_SCORE:
        expected = f"a number from {-LARGEST_SCORE:g} to {LARGEST_SCORE:g} as the score of {whose}"
        raise ZooterError(expected, repr(value)[:40], "Rescale the scores, or remove the line.")
    return number


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, str) and MISSING.fullmatch(value.strip().lower()) is not None)


def _number(value: object) -> float | None:
    """The number that a cell or a value of JSON stands for; None if it stands for none."""
    if isinstance(value, str):
        text = value.replace("\ufe0f", "").strip().lower().replace(" out of ", "/").removesuffix("%").rstrip()
        text = text.partition("(")[0].rstrip() if text[:1].isdigit() else text  # "4 (good)"
        if text and not text.strip(STARS):
            return float(len(text) - text.count(STARS[-1]))
        points, slash, most = (part.strip() for part in text.partition("/"))  # 4/5, but no date
        points = THOUSANDS.sub("", points) if "," in points else points
        number = WORDS.get(points, as_number(points.replace(",", ".") if DECIMAL_COMMA.fullmatch(points) else points))
        if not slash or number is None:
            return number
        scale = as_number(most)
        return number / scale if scale and number <= scale <= LARGEST_SCALE else None
    return float(value) if isinstance(value, bool) or is_number(value) else None
