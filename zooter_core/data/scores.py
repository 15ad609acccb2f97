"""Reads queries files and score files (JSON or tables, plain or gzipped), and checks them line by line.

`zooter distill --scores` trains a router on score files. `Scores` holds them in memory.
"""

from __future__ import annotations

import json
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.progress import Tell, silent
from zooter_core.base.records import Query
from zooter_core.base.strict_json import is_number, objects
from zooter_core.base.terminal import wrong_name
from zooter_core.data.answer_keys import read_key
from zooter_core.data.json_records import as_json, as_object, each_record
from zooter_core.data.logs import has_logged_answer, query_in, read_fields, records_in
from zooter_core.data.score_cells import Scale
from zooter_core.data.score_records import score_records
from zooter_core.method.verified import mean_and_deviation, verified_rewards

NO_DATASET, OTHER = "all", "other"
PARAPHRASES = Path(__file__).with_name("paraphrases.jsonl")
LEAST = 2  # the least candidates with a score per query, in a pool of at least this size
FEWEST = 10  # scores that a candidate needs to count, or a fifth of another candidate's if this is less


@dataclass(frozen=True)
class Scores:
    """Queries with scores of the candidates.

    Raises:
        ZooterError: a candidate's name is not allowed, or queries and scores do not match.
    """

    queries: tuple[Query, ...]
    candidates: tuple[str, ...]  # the pool, in the order of the file
    # Shape (queries, candidates); NaN for missing scores. Unchanged from the file, unless its lines have verified
    # outcomes (`method/verified.py`).
    scores: NDArray[np.float64]
    left_out: int = 0  # the number of queries left out, because fewer than two candidates have a score
    files: tuple[str, ...] = ()  # the files that the scores were read from, for messages

    def __post_init__(self) -> None:
        for name in self.candidates:
            _check_name(name, self.place)
        kind = type(self.queries[0]) if self.queries else Query
        shape, fitting = getattr(self.scores, "shape", "a list"), (len(self.queries), len(self.candidates))
        if (kind, shape) != (Query, fitting):
            step = "`distill` and `evaluate` also take a table of pandas or polars."
            raise ZooterError(f"a `Query` each and an array of shape {fitting}", f"{kind.__name__} and {shape}", step)

    @property
    def place(self) -> str:
        """The files, for the end of a message; "" if there are none."""
        return f" in {', '.join(self.files)}" if self.files else ""

    @property
    def missing(self) -> dict[str, int]:
        """The candidates that lack scores: candidate -> the number of queries."""
        counts = np.isnan(self.scores).sum(axis=0).tolist()
        return {name: count for name, count in zip(self.candidates, counts, strict=True) if count}

    @property
    def barely_scored(self) -> list[str]:
        """The candidates with fewer scores than they need to count (FEWEST)."""
        counts = (~np.isnan(self.scores)).sum(axis=0).tolist()
        fewest = min(FEWEST, max(counts) / 5)
        return [name for name, count in zip(self.candidates, counts, strict=True) if 0 < count < fewest]

    def without_barely_scored(self) -> Scores:
        """A copy without the scores of barely scored candidates, so that these count as average."""
        few = np.isin(self.candidates, self.barely_scored)
        return replace(self, scores=np.where(few, np.nan, self.scores)) if few.any() else self

    @property
    def datasets(self) -> list[str]:
        """The data set of each query. For queries without one, it is `other`, or `all` if no query has one."""
        rest = OTHER if any(query.dataset for query in self.queries) else NO_DATASET
        return [query.dataset or rest for query in self.queries]

    @property
    def kinds(self) -> list[tuple[str, ...]]:
        """Each query's kinds: its data set if there are several data sets, otherwise its tags."""
        datasets = self.datasets
        return [(name,) for name in datasets] if len(set(datasets)) > 1 else [query.tags for query in self.queries]

    def tagged(self, tags: Sequence[Sequence[str]]) -> Scores:
        """A copy in which the queries have these tags."""
        queries = (replace(query, tags=tuple(names)) for query, names in zip(self.queries, tags, strict=True))
        return replace(self, queries=tuple(queries), left_out=0)

    def only(self, candidates: Sequence[str]) -> Scores:
        """A copy with only these candidates, and the queries on which at least two of them have a score."""
        if missing := [name for name in candidates if name not in self.candidates]:
            expected, step = f"scores of {listed(candidates)}{self.place}", "Add their scores on the same queries."
            raise ZooterError(expected, f"none of {listed(missing)}", step)
        return self.of_columns([self.candidates.index(name) for name in candidates]).comparable()

    def of_columns(self, columns: Iterable[int]) -> Scores:
        """A copy with the columns at these indices, in this order."""
        columns = list(columns)
        names = tuple(self.candidates[column] for column in columns)
        return replace(self, candidates=names, scores=self.scores[:, columns], left_out=0)

    def comparable(self) -> Scores:
        """A copy with the queries for which at least two candidates, or the only candidate, have scores."""
        enough = (~np.isnan(self.scores)).sum(axis=1) >= min(LEAST, len(self.candidates))
        if enough.all():
            return self
        part = self.subset(np.flatnonzero(enough).tolist())
        return replace(part, left_out=self.left_out + int((~enough).sum()))

    def check_choice(self) -> None:
        """Raise a ZooterError for scores of a single candidate, on which no router can be trained."""
        if len(self.candidates) < LEAST:
            step = "Add scores of others on the same queries, in a column for each model or a row for each score."
            instead = f"those of {listed(self.candidates)} alone"
            raise ZooterError(f"scores of two candidates or more{self.place}", instead, step)

    def sample(self, most: int) -> Scores:
        """A random sample of at most `most` queries, in their original order."""
        if most >= len(self.queries):
            return self
        return self.subset(sorted(np.random.default_rng(0).permutation(len(self.queries))[:most].tolist()))

    def subset(self, rows: Sequence[int]) -> Scores:
        """A copy with the queries at these row numbers."""
        queries = tuple(self.queries[row] for row in rows)
        return replace(self, queries=queries, scores=self.scores[list(rows)], left_out=0)


# One or more score files, or their contents: scores, a table of pandas, polars, Arrow or the hub, or a list of objects.
ScoreSource = Scores | str | Path | Sequence[str | Path] | Any


def each_query(path: str | Path) -> Iterator[tuple[str, Query]]:
    """Yield the queries of a file, each with its place ("file, line 3"). Ids may repeat, and texts may be blank.

    Raises:
        ZooterError: a line is wrong (the message contains its place), or there are no queries.
    """
    place = ""
    for number, (place, record, _) in enumerate(records_in(Path(path)), 1):
        yield place, read_query(place, as_object(place, record), str(number), blank=True)
    if not place:
        raise ZooterError(f"at least one query in {path}", "none", "Check the file.")


def read_queries(path: str | Path, tell: Tell = silent) -> list[Query]:
    """The queries in a file of any form (`each_row`). `id`, `dataset` or `source`, and `tags` are optional.

    Blank queries, which occur in traffic, are left out.

    Args:
        tell: called with notes on the number of blank queries and the place of the first one, and on repeated queries.

    Raises:
        ZooterError: a line is wrong (the message contains its place), an id occurs twice, or there are no queries.
    """
    lines = list(each_query(path))
    queries = [query for _, query in lines if query.text.strip()]
    if count := len(lines) - len(queries):
        first = next(place for place, query in lines if not query.text.strip())
        tell(f"{count:,} {'query is' if count == 1 else 'queries are'} empty and set aside, first in {first}.")
    if repeats := len(queries) - len({query.text for query in queries}):
        share = f"{repeats:,} of {len(queries):,}"
        tell(f"Repeats of other queries: {share}. All are answered; `zooter queries` drops them.")
    no_repeats(queries, str(path))
    return queries


def read_scores(paths: Sequence[str | Path], progress: Callable[[int], None] = lambda lines: None) -> Scores:
    """Read one or more score files. A line may lack candidates; lines with fewer than two candidates are left out.

    Args:
        progress: called with the number of queries so far. An exception from it ends the reading.

    Raises:
        ZooterError: a line is wrong, an id occurs twice in a file, or no query has scores of two candidates.
    """
    queries: list[Query] = []
    columns: dict[str, array[float]] = {}  # candidate -> its score on each query
    verified: dict[int, dict[str, float]] = {}  # row -> outcomes
    for file, lines in groupby(score_records(paths), itemgetter(0)):
        begin, scale = len(queries), Scale()
        for number, (_, place, record) in enumerate(lines, 1):
            scores = _scores_in(place, record, scale)
            for name in scores:
                if name not in columns:
                    _check_name(name, f' in "scores" in {place}')
                    columns[name] = array("d", [np.nan]) * len(queries)
            for name, column in columns.items():
                column.append(scores.get(name, np.nan))
            if outcomes := _outcomes(place, record, scores):
                verified[len(queries)] = outcomes
            queries.append(read_query(place, record, str(number)))
            progress(len(queries))
        no_repeats(queries[begin:], str(paths[file]))
    pool = tuple(columns)
    values = np.ascontiguousarray(np.array(list(columns.values())).reshape(len(pool), len(queries)).T)
    if rows := list(verified):
        right = np.array([[verified[row].get(name, np.nan) for name in pool] for row in rows])
        values[rows] = verified_rewards(values[rows], right, mean_and_deviation(values))
    result = Scores(tuple(queries), pool, values, files=tuple(map(str, paths))).comparable()
    if not pool or not result.queries:
        step = "Put the scores of a query into one line: a label compares candidates."
        instead = f"one of {listed(pool)} a line" if pool else "none"
        raise ZooterError(f"scores of two candidates for some query{result.place}", instead, step)
    return result


def _scores_in(place: str, record: Mapping[str, Any], scale: Scale) -> dict[str, float]:
    """The `scores` of a line, without missing ones."""
    scores = as_json(record.get("scores"))
    if not isinstance(scores, dict):
        instead, step = _shown(scores), "Fix the line; docs/scores.md shows one."
        if isinstance(texts := record.get("responses"), dict) and scores is None:
            instead = f"responses of {listed(texts)} alone"
            step = "Score them with `zooter score --responses FILE --out scores.jsonl`, or write scores as numbers."
        raise ZooterError(f'"scores" as an object of numbers in {place}', instead, step)
    numbers = {name: scale.read(value, f"{name} in {place}") for name, value in scores.items()}
    return {name: number for name, number in numbers.items() if number is not None}


def as_scores(source: ScoreSource) -> Scores:
    """The scores, read from score files or a table in memory if necessary (`read_scores`). Raises ZooterError for other
    sources."""
    if isinstance(source, Scores):
        return source
    for rows in ("to_dicts", "to_pylist", "to_list"):  # polars; Arrow; a data set of the hub
        source = getattr(source, rows)() if hasattr(source, rows) else source
    source = source.to_dict("records") if hasattr(source, "to_dict") else source  # pandas
    paths = [source] if isinstance(source, str | Path) else source
    if isinstance(paths, list | tuple) and all(isinstance(path, str | Path) for path in paths):
        return read_scores(paths)
    if not isinstance(source, dict) and not objects(source):
        step = "A table has a column for each model, or the columns query, model and score."
        raise ZooterError("score files, or a table of pandas or polars", type(source).__name__, step)
    with TemporaryDirectory() as folder:
        path = Path(folder, "table.json")  # read like any other file
        path.write_text(json.dumps(source, default=lambda cell: cell.item() if hasattr(cell, "item") else str(cell)))
        return read_scores([path])


def read_texts(paths: Sequence[str | Path], scores: Scores | None = None) -> list[dict[str, str]]:
    """The responses of each query, candidate -> text; {} if a line has none.

    Args:
        scores: the result of `read_scores` for the same files. Queries that it left out are left out here too.
    """
    least = min(LEAST, len(scores.candidates)) if scores and scores.left_out else 0
    return [
        read_responses(place, record) if "responses" in record else {}
        for _, place, record in score_records(paths)
        if not least or len(_scores_in(place, record, Scale())) >= least
    ]


def score_line(
    query: Query,
    scores: Mapping[str, float],
    responses: Mapping[str, str] | None = None,
    verified: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """One line of a score file.

    Args:
        verified: the verified outcomes of the responses, in [0, 1].
    """
    line: dict[str, Any] = {"id": query.id, "query": query.text, "scores": dict(scores)}
    if query.dataset:
        line["dataset"] = query.dataset
    if query.tags:
        line["tags"] = list(query.tags)
    if responses is not None:
        line["responses"] = dict(responses)
    if verified:
        line["verified"] = dict(verified)
    return line | dict(query.key or {})


def read_query(place: str, record: Mapping[str, Any], fallback: str, blank: bool = False) -> Query:
    """The query of a line. `fallback` is the id if the line has none. `blank` is whether the text may be blank."""
    fields = read_fields(record)
    text = query_in(place, fields)
    if not blank and not text.strip():
        raise ZooterError(f'"query" as a text that is not empty in {place}', repr(text)[:60], "Fix or remove the line.")
    dataset = fields.get("dataset", fields.get("source"))
    tags = as_json(fields.get("tags")) or []
    if isinstance(tags, str):  # in a table
        tags = [tag.strip() for tag in re.split("[,;]", tags)]
    if dataset is not None and not isinstance(dataset, str):
        raise ZooterError(f'"dataset" as a text in {place}', repr(dataset), "Fix the line.")
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise ZooterError(f'"tags" as a list of texts in {place}', repr(tags)[:60], "Fix the line.")
    if not {"scores", "responses"} & fields.keys() and has_logged_answer(fields):
        del fields["answer"]
    id = fields.get("id")
    return Query(fallback if id is None else str(id), text, dataset, tuple(tags), read_key(place, fields))


def read_responses(place: str, record: Mapping[str, Any]) -> dict[str, str]:
    """The `responses` of a line: candidate -> text, without missing ones (null)."""
    texts = record.get("responses")
    texts = {name: text for name, text in texts.items() if text is not None} if isinstance(texts, dict) else texts
    if texts is None and (scores := record.get("scores")) and isinstance(scores, dict):
        step = """With these, go on with `zooter distill`. If the numbers are responses, write a row for each: query, \
model, response."""
        raise ZooterError(f"responses in {place}", f"scores of {listed(scores)} alone", step)
    if not isinstance(texts, dict) or not texts or not all(isinstance(text, str) for text in texts.values()):
        raise ZooterError(f'"responses" as an object of texts in {place}', _shown(texts), "Fix or remove the line.")
    for name in texts:
        _check_name(name, f' in "responses" in {place}')
    return texts


def _outcomes(place: str, record: Mapping[str, Any], scores: Mapping[str, Any]) -> dict[str, float]:
    """The `verified` of a line: candidate -> outcome; {} if it has none."""
    outcomes = record.get("verified", {})
    numbers = isinstance(outcomes, dict) and all(is_number(value) and 0 <= value <= 1 for value in outcomes.values())
    if not numbers or not outcomes.keys() <= scores.keys():
        expected = f'"verified" as an object of numbers from 0 to 1, of candidates with scores, in {place}'
        raise ZooterError(expected, _shown(outcomes), "Fix the line.")
    return {name: float(value) for name, value in outcomes.items()}


def _check_name(name: str, place: str) -> None:
    """Raise a ZooterError for a name that a candidate cannot have. `place` is the end of the sentence."""
    if mistake := wrong_name(name):
        raise ZooterError(f"{mistake[0]} for a candidate{place}", *mistake[1:])


def _shown(value: Any) -> str:
    """The value of a field for an error message. `value` is None if the field is missing."""
    return "none" if value is None else repr(value)[:60]


def no_repeats(queries: Sequence[Query], path: str) -> None:
    """Raise a ZooterError if two queries in a file have the same id."""
    if repeats := [id for id, count in Counter(query.id for query in queries).items() if count > 1]:
        raise ZooterError(f"different ids in {path}", f'"{repeats[0]}" twice', "Rename or remove one of the lines.")


def paraphrases() -> list[tuple[str, str]]:
    """Pairs of queries with the same meaning in different words, written for this project."""
    return [(line["query"], line["paraphrase"]) for _, line in each_record(PARAPHRASES)]
