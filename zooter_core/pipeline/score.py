"""The step score: rewards of a run's responses, or of the responses in a score file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from zooter_core.backends.thoughts import split
from zooter_core.base.errors import listed
from zooter_core.base.files import check_apart, open_atomic
from zooter_core.base.records import Query
from zooter_core.base.strict_json import dump_json
from zooter_core.data.evident_keys import key_of
from zooter_core.data.run_folder import REWARDS, Settings
from zooter_core.data.runs import Run
from zooter_core.data.score_records import score_records
from zooter_core.data.scores import LEAST, no_repeats, read_query, read_responses, score_line
from zooter_core.evaluation.verified import check_verifiable, verify
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline import batches
from zooter_core.pipeline.batches import Lines, Progress, quiet
from zooter_core.pipeline.on_ray import RayWorkers


@dataclass(frozen=True)
class ScoreJob:
    """A batch of queries.

    Attributes:
        texts: query id -> candidate, in pool order -> its responses; without candidates that lack any.
        set_aside: the queries that a candidate refused, or that lack too many responses: id -> why.
        missing: the queries that lack responses: id -> of which candidates.
    """

    queries: Sequence[Query]
    texts: Mapping[str, Mapping[str, Sequence[str]]]
    set_aside: Mapping[str, str]
    missing: Mapping[str, list[str]]


def score_lines(ensemble: Ensemble, job: ScoreJob, progress: Callable[[int], None] = lambda done: None) -> Lines:
    """The lines of rewards.jsonl of a batch, by the id of the query."""
    lines: Lines = {id: {"id": id, "set_aside": reason} for id, reason in job.set_aside.items()}
    answered = [query for query in job.queries if query.id not in job.set_aside]
    requests = [(query.text, [text for texts in job.texts[query.id].values() for text in texts]) for query in answered]
    scored = ensemble.score_responses(requests, progress) if requests else []  # else no model is loaded
    for query, rewards in zip(answered, scored, strict=True):
        responses = job.texts[query.id]
        line = rewards.line(query.id, list(responses))
        if (key := key_of(query)) and "rewards" in line:
            line["verified"] = {
                name: [int(verify(text, key).right) for text in texts] for name, texts in responses.items()
            }
        lines[query.id] = line
    for id, names in job.missing.items():
        lines[id]["missing"] = names
    return lines


def score(
    run: Run,
    ensemble: Ensemble,
    progress: Progress = quiet,
    workers: RayWorkers | None = None,
) -> None:
    """Write the rewards of every response, one line for each query: each candidate's mean, and the `samples`.

    Where a query has an answer key, the line has the outcome of each sample too: `verified`, 1 if it is right.

    A query that a candidate refused, or that has a response without a finite reward, is set aside: its line has the
    reason, and no later step uses it.

    Where responses are missing, a line names their candidates in `missing`, and a query with fewer than two candidates
    is set aside. The step stays open. Where responses have come since, or the pool has changed, its next start makes
    all lines anew: rewards that the fleet's model has given before come from the cache of rewards.
    """
    settings = {"reward_sha256": ensemble.fleet.hash_of("reward"), "pool": list(ensemble.fleet.pool)}
    run.agree("score", settings)
    if run.is_finished("score"):
        return
    check_verifiable(key for query in run.queries() if (key := key_of(query)))
    pool, texts = batches.check_pool(run, ensemble), run.responses()
    missing = run.missing(texts)
    least = min(LEAST, len(pool))  # responses that can be compared
    few = {id: f"no response of {listed(names)}" for id, names in missing.items() if len(pool) - len(names) < least}
    reasons = few | run.refused()
    if missing:
        run.reopen("collect")  # which has not finished, or whose file has lost lines
    _remove_outdated(run, missing, settings)
    run.begin("score", settings)

    def job_of(batch: Sequence[Query]) -> ScoreJob:
        ids = [query.id for query in batch]
        answers = {
            id: {name: of for name, of in texts[id].items() if name not in missing.get(id, ())}
            for id in ids
            if id not in reasons
        }
        set_aside = {id: reasons[id] for id in ids if id in reasons}
        return ScoreJob(batch, answers, set_aside, {id: missing[id] for id in ids if id in missing})

    batches.fill(run, ensemble, "score", job_of, score_lines, progress, workers)
    if not missing:
        run.finish("score")


def _remove_outdated(run: Run, missing: Mapping[str, list[str]], settings: Settings) -> None:
    """Empty rewards.jsonl if the pool has changed, or responses have come since."""
    same_pool = run.state["steps"].get("score", {}).get("pool") == settings["pool"]
    lines = run.records(REWARDS)
    if any(not same_pool or line.get("missing", []) != missing.get(line["id"], []) for line in lines):
        run.replace(REWARDS, ())


def score_responses(
    source: Path, out: Path, ensemble: Ensemble, progress: Progress = quiet
) -> tuple[int, dict[str, str]]:
    """Write rewards for the responses of a score file without `scores`.

    A query with an answer key gets the outcomes of its responses too, as `verified`. As a run does, each line names the
    reward model that gave its scores, by a hash (`reward_sha256`).

    The file appears when it is complete. After a stop, the next start takes from the cache what the reward model has
    given.

    A query that has a response without a finite reward is set aside: it gets no line. Thoughts in a response are left
    out; one without anything else has no reward.

    Returns:
        The number of lines in `out`, and the queries set aside: id -> why.

    Raises:
        ZooterError: a line of `source` is wrong, or `out` cannot be written.
        WorkError: the reward model cannot work.
    """
    lines = [
        (
            read_query(place, record, str(number)),
            {name: split(text).text for name, text in read_responses(place, record).items()},
        )
        for number, (_, place, record) in enumerate(score_records([source], responses=True), 1)
    ]
    no_repeats([query for query, _ in lines], str(source))
    check_verifiable(key for query, _ in lines if (key := key_of(query)))
    check_apart(out, [source])
    reward, reasons = ensemble.fleet.hash_of("reward"), dict[str, str]()

    def show(first: int, done: int) -> None:
        progress("score", first + done, len(lines))

    with open_atomic(out) as file:
        for first in range(0, len(lines), batches.BATCH):
            batch = lines[first : first + batches.BATCH]
            blank = {
                query.id: f"the response of {name} is empty, or thoughts without an answer"
                for query, texts in batch
                for name, text in texts.items()
                if not text.strip()
            }
            samples = {query.id: {name: [text] for name, text in texts.items()} for query, texts in batch}
            job = ScoreJob([query for query, _ in batch], samples, blank, {})
            scored = score_lines(ensemble, job, partial(show, first))
            for query, texts in batch:
                line = scored[query.id]
                if "set_aside" in line:
                    reasons[query.id] = line["set_aside"]
                    continue
                outcomes = {name: float(right) for name, (right,) in line.get("verified", {}).items()}
                record = score_line(query, line["rewards"], texts, outcomes) | {"reward_sha256": reward}
                file.write(dump_json(record, ensure_ascii=False) + "\n")
            show(first, len(batch))
    return len(lines) - len(reasons), reasons
