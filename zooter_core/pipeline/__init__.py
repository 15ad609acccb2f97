"""The pipeline in order: collect, score, tag, label, distill. Each step resumes where it was stopped.

queries --collect--> responses --score--> rewards --+
   '-------tag-------> tags ------------------------+--label--> labels --distill--> router, report.json
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace

import numpy as np

from zooter_core.backends import Request
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data import runs
from zooter_core.data.run_lines import Check, response_check, reward_check, same_check, tag_check
from zooter_core.data.runs import LABELS, QUERIES, REPORT, RESPONSES, REWARDS, ROUTER, TAGS, Run, Settings
from zooter_core.data.scores import Scores
from zooter_core.ensemble import Ensemble
from zooter_core.errors import Failure, WorkError, ZooterError
from zooter_core.evaluation.evaluate import Sampled
from zooter_core.evaluation.report import Report, load_report
from zooter_core.files import move_contents, remove, writing
from zooter_core.method import labels
from zooter_core.method.labels import LabelConfig, held_back
from zooter_core.pipeline.train import Progress, fit_router
from zooter_core.records import Label, Message, Query, Response
from zooter_core.router.kinds import DEFAULT, DistillConfig
from zooter_core.router.router import keep_label_settings
from zooter_core.strict_json import dump_json

BATCH = 64
ENOUGH = 4  # requests of which nothing comes: then the candidate is at fault, not they


def quiet(step: str, done: int, of: int) -> None:
    """A progress callback that shows nothing."""


def start_settings(ensemble: Ensemble, queries: Sequence[Query]) -> Settings:
    """What a run keeps of its pool and queries."""
    digest = hashlib.sha256(dump_json([asdict(query) for query in queries]).encode()).hexdigest()
    return {"pool": list(ensemble.fleet.pool), "queries": len(queries), "queries_sha256": digest}


def collect_settings(ensemble: Ensemble, generation: GenerationConfig, samples: int) -> Settings:
    """What a run keeps of its step collect."""
    own = {"samples": samples, "batch": BATCH, "candidates_sha256": ensemble.fleet.hash_of("candidates")}
    return {**asdict(generation), **own}


def check_samples(samples: int) -> None:
    """Refuse to collect nothing.

    Raises:
        ZooterError: the number of samples is below 1.
    """
    if samples < 1:
        raise ZooterError("at least one response a candidate and query", str(samples), "Use --samples 1 or more.")


def distill_settings(encoder: str, config: DistillConfig) -> Settings:
    """What a run keeps of its step distill."""
    return {"encoder": encoder, **asdict(config)}


def start(run: Run, ensemble: Ensemble, queries: Sequence[Query]) -> None:
    """Write down what the run is of: its pool and queries. What else of a fleet counts, each step writes down itself.

    Raises:
        ZooterError: the run was begun with another pool or other queries.
    """
    run.state.setdefault("fleet", str(ensemble.fleet.folder))
    run.state.setdefault("versions", runs.versions())
    run.begin("start", start_settings(ensemble, queries))
    if not run.sealed("start"):
        records = {query.id: asdict(query) for query in queries}
        known = run.done(QUERIES, records, check=same_check(records))
        run.append(QUERIES, [record for id, record in records.items() if (id,) not in known])
        run.seal("start", QUERIES)


def collect(
    run: Run,
    ensemble: Ensemble,
    generation: GenerationConfig,
    progress: Progress = quiet,
    samples: int = 1,
    tell: Callable[[str], None] = lambda note: None,
) -> None:
    """Each candidate's responses to each query, `samples` of them.

    Work goes by candidate in fixed batches of queries of one data set and like length; what a batch samples depends on
    its own seed alone. A batch of which anything is missing is done again whole, so a run that was killed ends with
    the same responses as one that was not. Candidates that do not fit into memory together are loaded once each, in
    turn; `tell` is told. A query that a candidate refuses, as it is too long for it, gets a record with the error; its
    query is set aside when it is scored.

    Raises:
        WorkError: a candidate cannot work, or refuses all that it is asked; what has come is kept.
    """
    check_samples(samples)
    for candidate in ensemble.fleet.candidates:  # one that is broken shows now, not after the others have worked
        ensemble.backends[candidate.backend].load(candidate)
    run.begin("collect", collect_settings(ensemble, generation, samples))
    if run.sealed("collect"):
        return
    _needs(run, "start")
    queries = sorted(runs.queries(run), key=lambda query: (query.dataset or "", len(query.text), query.id))
    check = response_check(ensemble.fleet.pool, samples)
    done = run.done(RESPONSES, {query.id for query in queries}, "candidate", "sample", check=check)
    able = {record["candidate"] for record in run.records(RESPONSES) if record.get("error") is None}
    total = len(queries) * len(ensemble.fleet.pool) * samples
    size = max(1, BATCH // samples)
    for number, candidate in enumerate(ensemble.fleet.candidates):
        name = candidate.name
        for first in range(0, len(queries), size):
            wanted = [(query, sample) for query in queries[first : first + size] for sample in range(samples)]
            missing = {(query.id, name, sample) for query, sample in wanted} - done
            if not missing:
                continue
            seed = generation.seed * 1_000_003 + number * len(queries) + first
            asked = [
                (query, sample, seed + n)
                for n, (query, sample) in enumerate(wanted)
                if (query.id, name, sample) in missing or not ensemble.independent(name)
            ]
            requests = [Request(candidate, (Message("user", query.text),), own) for query, _, own in asked]
            came, failed = _responses(ensemble, requests, replace(generation, seed=seed), tell, name in able)
            able |= {name for response in came.values() if response.error is None}
            records = [{"id": asked[n][0].id, "sample": asked[n][1], **came[n].to_json()} for n in sorted(came)]
            run.append(RESPONSES, [r for r in records if (r["id"], name, r["sample"]) in missing])
            if failed:
                next_step = "Mend the candidate (`zooter check`) and start the step again; it goes on from here."
                raise WorkError.because(failed, f"a response of {name}", next_step)
            done |= missing
            progress("collect", len(done), total)
    run.seal("collect", RESPONSES)


def _responses(
    ensemble: Ensemble,
    requests: Sequence[Request],
    generation: GenerationConfig,
    tell: Callable[[str], None],
    able: bool,
) -> tuple[dict[int, Response], Failure | None]:
    """The responses to keep, by request number, those that are refused too; and the first error that ends the work.

    Args:
        able: whether the candidate has answered anything yet. Where it has not and refuses several, it is at fault.
    """
    came: dict[int, Response] = {}
    for piece in ensemble.stream(requests, threading.Event(), generation):
        if piece.response is not None:
            came[piece.index] = piece.response
        if piece.note:
            tell(piece.note)
    kept = {n: response for n, response in came.items() if response.error is None or response.finish == "refused"}
    errors = [response.error for response in came.values() if response.error and response.finish != "refused"]
    if not able and all(r.error for r in kept.values()) and len({requests[n].messages for n in kept}) >= ENOUGH:
        first = kept[min(kept)].error
        found = f"none of {len(kept)}; the first because: {first.reason if first else ''}"
        return {}, Failure(f"a response of {requests[0].candidate.name}", found)
    return kept, errors[0] if errors else None


def score(run: Run, ensemble: Ensemble, progress: Progress = quiet) -> None:
    """The rewards of every response, a line a query: each candidate's mean, and one by one as `samples`.

    A query that a candidate refused, or of which any response has no finite reward, is set aside: its line has the
    reason, no later step uses it.
    """
    run.begin("score", {"reward_sha256": ensemble.fleet.hash_of("reward")})
    if run.sealed("score"):
        return
    _needs(run, "collect")
    texts, refused = runs.responses(run), runs.refused(run)
    pool = _pool(run, ensemble)
    check = reward_check(pool, run.state["steps"].get("collect", {}).get("samples"))
    for batch, missing, count, total in _batches(run, REWARDS, check):
        lines = {query.id: {"id": query.id, "set_aside": refused[query.id]} for query in batch if query.id in refused}
        whole = [query for query in batch if query.id not in refused]
        asked = [(query.text, [text for name in pool for text in texts[query.id][name]]) for query in whole]
        scored = ensemble.rewards(asked, lambda done: progress("score", count - len(batch) + done, total))  # noqa: B023
        lines |= {query.id: found.line(query.id, pool) for query, found in zip(whole, scored, strict=True)}
        run.append(REWARDS, [lines[query.id] for query in batch if query.id in missing])
        progress("score", count, total)
    run.seal("score", REWARDS)


def tag(run: Run, ensemble: Ensemble, progress: Progress = quiet) -> None:
    """The tags of every query, by the fleet's tagger."""
    run.begin("tag", {"tagger_sha256": ensemble.fleet.hash_of("tagger")})
    if run.sealed("tag"):
        return
    _needs(run, "start")
    for batch, missing, count, total in _batches(run, TAGS, tag_check):
        found = ensemble.tagger.tag_all(batch)
        run.append(
            TAGS,
            [
                {"id": query.id, "tags": [asdict(tag) for tag in tags]}
                for query, tags in zip(batch, found, strict=True)
                if query.id in missing
            ],
        )
        progress("tag", count, total)
    run.seal("tag", TAGS)


def _batches(run: Run, file: str, check: Check) -> Iterator[tuple[list[Query], set[str], int, int]]:
    """Fixed batches of queries of which a file lacks some: the batch, the ids it lacks, the count after it, the total.

    A batch is always worked whole, because its figures depend in their last digits on what is worked together.
    """
    queries = runs.queries(run)
    done = run.done(file, {query.id for query in queries}, check=check)
    for first in range(0, len(queries), BATCH):
        batch = queries[first : first + BATCH]
        missing = {query.id for query in batch if (query.id,) not in done}
        if missing:
            yield batch, missing, first + len(batch), len(queries)


def label(run: Run, config: LabelConfig, progress: Progress = quiet) -> None:
    """Labels from rewards and tags, of every query that is not set aside."""
    _needs(run, "score")
    _needs(run, "tag")
    made = make_labels(runs.scores(run), runs.tags(run), config)  # before begin: wrong settings must not bind the run
    run.begin("label", asdict(config))
    if run.sealed("label"):
        return
    records = {record.id: record.to_json() for record in made}
    known = run.done(LABELS, records, check=same_check(records))
    for first in range(0, len(made), BATCH):
        batch = made[first : first + BATCH]
        run.append(LABELS, [records[record.id] for record in batch if (record.id,) not in known])
        progress("label", first + len(batch), len(made))
    run.seal("label", LABELS)


def make_labels(scores: Scores, tags: Sequence[Sequence[str]], config: LabelConfig) -> list[Label]:
    """The label of each query. Tag priors come from the training fold alone; held-back labels stay plain."""
    train = [row for row, query in enumerate(scores.queries) if not held_back(query.id, config)]
    table = labels.label(scores.scores, scores.datasets, tags, config, np.array(train, dtype=np.intp))
    learned = set(train)
    return [
        Label(
            query.id,
            "train" if row in learned else "held_back",
            tuple(table.plain[row].tolist()),
            tuple(table.enhanced[row].tolist()),
            float(labels.entropy(table.plain[row])),
        )
        for row, query in enumerate(scores.queries)
    ]


def distill(run: Run, ensemble: Ensemble, encoder: str, config: DistillConfig, progress: Progress = quiet) -> Report:
    """Train a router on the training fold's labels into `router/`, and write `report.json` about the held-back fold.

    Both are written aside and renamed into place when they are complete. Returns the report, also of a finished step.
    """
    run.begin("distill", distill_settings(encoder, config))
    if run.sealed("distill"):
        return load_report(run.folder / REPORT)
    _needs(run, "label")
    _pool(run, ensemble)
    labelled = {record["id"]: runs.label(record) for record in run.records(LABELS)}
    scores = runs.scores(run).tagged(runs.tags(run))
    made = [labelled[query.id] for query in scores.queries]
    sampled = Sampled(runs.samples(run), runs.dollars(run, ensemble.fleet))
    work = run.folder / f"{ROUTER}.partial"
    with writing(run.folder):
        remove(work)  # of a start that was killed
        work.mkdir()
    report = fit_router(
        scores, made, work, ensemble.encoders(encoder), config, progress, sampled, runs.set_aside(run)
    )  # fmt: skip
    with writing(run.folder):
        if config.kind == DEFAULT:  # the others learn from the rewards
            keep_label_settings(work / ROUTER, run.state["steps"]["label"])
        move_contents(work, run.folder)
    run.seal("distill", REPORT, ROUTER)
    return report


def _needs(run: Run, step: str) -> None:
    if not run.sealed(step):
        command = "collect --run DIR --queries FILE" if step == "start" else f"{step} --run DIR"
        raise ZooterError(f"the step {step} of this run to be finished", "it is not", f"Run `zooter {command}`.")


def _pool(run: Run, ensemble: Ensemble) -> tuple[str, ...]:
    """The run's pool, which must be the fleet's.

    Raises:
        ZooterError: it is not.
    """
    pool = tuple(run.setting("start", "pool"))
    if pool != ensemble.fleet.pool:
        raise ZooterError(
            f"a fleet of the run's candidates {', '.join(pool)}",
            f"one of {', '.join(ensemble.fleet.pool)}",
            "Give the fleet of this run with --fleet, or start a new run.",
        )
    return pool
