"""The step score: rewards of a run's responses, or of the responses in a score file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from zooter_core.backends.thoughts import split
from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.files import check_apart, open_atomic
from zooter_core.base.progress import Progress, quiet
from zooter_core.base.records import Query
from zooter_core.base.strict_json import dump_json
from zooter_core.data.evident_keys import derive_key
from zooter_core.data.run_folder import REWARDS
from zooter_core.data.runs import Run
from zooter_core.data.score_records import score_records
from zooter_core.data.scores import LEAST, no_repeats, read_query, read_responses, score_line
from zooter_core.evaluation.verified import check_verifiable, verify
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline import batches
from zooter_core.pipeline.batches import Line
from zooter_core.pipeline.on_ray import RayWorkers


@dataclass(frozen=True, slots=True)
class AnsweredQuery:
    """A query and its responses."""

    query: Query
    texts: Mapping[str, Sequence[str]]  # candidate in pool order -> its responses; without incomplete candidates
    set_aside: str = ""  # the reason why the query gets no rewards; "" if it gets some
    missing: Sequence[str] = ()  # the candidates that lack responses


def score_lines(
    ensemble: Ensemble, batch: Sequence[AnsweredQuery], progress: Callable[[int], None] = lambda done: None
) -> list[Line]:
    """The lines of rewards.jsonl for a batch, in order."""
    rows = [row for row in batch if not row.set_aside]
    requests = [(row.query.text, [text for texts in row.texts.values() for text in texts]) for row in rows]
    scored = iter(ensemble.score_responses(requests, progress) if requests else [])  # otherwise, load no model
    lines: list[Line] = []
    for row in batch:
        if row.set_aside:
            line: Line = {"id": row.query.id, "set_aside": row.set_aside}
        else:
            line = next(scored).line(row.query.id, list(row.texts))
            if (key := derive_key(row.query)) and "rewards" in line:
                line["verified"] = {
                    name: [int(verify(text, key).right) for text in texts] for name, texts in row.texts.items()
                }
        lines.append(line | {"missing": row.missing} if row.missing else line)
    return lines


def score(run: Run, ensemble: Ensemble, progress: Progress = quiet, workers: RayWorkers | None = None) -> None:
    """Write the rewards of all responses, one line per query with each candidate's mean, and the `samples`.

    If a query has an answer key, its line also has the outcome of each sample: `verified`, which is 1 if it is right.

    A query is set aside if a candidate refused it, or if a response has no finite reward. Its line then has the reason,
    and later steps ignore the query.

    If responses are missing, the line lists their candidates in `missing`. A query with responses of fewer than two
    candidates is set aside. The step stays open. If there are new responses or the pool has changed, the next start
    computes all lines again; earlier rewards of the same reward model come from the cache of rewards.
    """
    settings = {"reward_sha256": ensemble.fleet.hash_part("reward"), "pool": list(ensemble.fleet.pool)}
    run.agree("score", settings)
    if run.is_finished("score"):
        return
    queries = run.queries()
    check_verifiable(key for query in queries if (key := derive_key(query)))
    if run.pool != ensemble.fleet.pool:
        raise ZooterError(
            f"a fleet of the run's candidates {', '.join(run.pool)}",
            f"one of {', '.join(ensemble.fleet.pool)}",
            "Give the fleet of this run with --fleet. Or call `zooter run` again, which takes up a changed pool.",
        )
    responses, refused = run.responses(), run.refused()
    missing = run.missing(responses)
    least = min(LEAST, len(run.pool))  # the least responses for a comparison

    def answered(query: Query) -> AnsweredQuery:
        lacking = missing.get(query.id, [])
        few = f"no response of {listed(lacking)}" if len(run.pool) - len(lacking) < least else ""
        texts = responses.get(query.id, {})
        complete = {name: of for name, of in texts.items() if name not in lacking} if lacking else texts
        return AnsweredQuery(query, complete, refused.get(query.id, few), lacking)

    if missing:
        run.reopen("collect")  # which has not finished, or whose file has lost lines
    same_pool = run.state["steps"].get("score", {}).get("pool") == settings["pool"]
    lines = run.records(REWARDS)
    if any(not same_pool or line.get("missing", []) != missing.get(line["id"], []) for line in lines):
        run.replace(REWARDS, ())  # of another pool, or without newer responses
    run.begin("score", settings)
    batches.fill(run, ensemble, "score", [answered(query) for query in queries], score_lines, progress, workers)
    if not missing:
        run.finish("score")


def score_responses(
    source: Path, out: Path, ensemble: Ensemble, progress: Progress = quiet
) -> tuple[int, dict[str, str]]:
    """Write rewards for the responses of a score file without `scores`.

    For a query with an answer key, the outcomes of its responses are written too, as `verified`. As in a run, each line
    has a hash of the reward model that gave the scores (`reward_sha256`).

    The file appears when it is complete. After a stop, the next start reads earlier rewards from the cache.

    A query that has a response without a finite reward is set aside and gets no line. Thoughts in a response are
    ignored; a response with only thoughts has no reward.

    Returns:
        The number of lines in `out`, and the queries set aside: id -> reason.

    Raises:
        ZooterError: a line of `source` is wrong, or `out` cannot be written.
        WorkError: the reward model cannot work.
    """
    rows = [
        _read_answered(place, record, str(number))
        for number, (_, place, record) in enumerate(score_records([source], responses=True), 1)
    ]
    no_repeats([row.query for row in rows], str(source))
    check_verifiable(key for row in rows if (key := derive_key(row.query)))
    check_apart(out, [source])
    reward, reasons = ensemble.fleet.hash_part("reward"), dict[str, str]()

    def show(first: int, done: int) -> None:
        progress("score", first + done, len(rows))

    with open_atomic(out) as file:
        for first in range(0, len(rows), batches.BATCH):
            batch = rows[first : first + batches.BATCH]
            for row, line in zip(batch, score_lines(ensemble, batch, partial(show, first)), strict=True):
                if "set_aside" in line:
                    reasons[row.query.id] = line["set_aside"]
                    continue
                outcomes = {name: float(right) for name, (right,) in line.get("verified", {}).items()}
                texts = {name: text for name, (text,) in row.texts.items()}
                record = score_line(row.query, line["rewards"], texts, outcomes) | {"reward_sha256": reward}
                file.write(dump_json(record, ensure_ascii=False) + "\n")
            show(first, len(batch))
    return len(rows) - len(reasons), reasons


def _read_answered(place: str, record: dict[str, Any], fallback: str) -> AnsweredQuery:
    query = read_query(place, record, fallback)
    texts = {name: split(text).text for name, text in read_responses(place, record).items()}
    blank = [name for name, text in texts.items() if not text.strip()]
    reason = f"the response of {blank[-1]} is empty, or thoughts without an answer" if blank else ""
    return AnsweredQuery(query, {name: [text] for name, text in texts.items()}, reason)
