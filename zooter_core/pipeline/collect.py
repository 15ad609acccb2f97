"""The steps start and collect: the queries and the pool of a run, and every candidate's responses."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from zooter_core.backends import Request, iter_responses
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data.run_folder import QUERIES, RESPONSES, Settings, versions
from zooter_core.data.run_lines import response_check, same_check
from zooter_core.data.runs import Run
from zooter_core.ensemble import Ensemble
from zooter_core.errors import Failure, WorkError, ZooterError
from zooter_core.pipeline import batches
from zooter_core.pipeline.batches import Progress, quiet, require
from zooter_core.records import Message, Query, Response
from zooter_core.strict_json import dump_json

ENOUGH = 4  # queries that a candidate refuses before it counts as broken, if it has answered none


def start_settings(ensemble: Ensemble, queries: Sequence[Query]) -> Settings:
    """What a run records of its pool and queries."""
    digest = hashlib.sha256(dump_json([asdict(query) for query in queries]).encode()).hexdigest()
    return {"pool": list(ensemble.fleet.pool), "queries": len(queries), "queries_sha256": digest}


def collect_settings(ensemble: Ensemble, generation: GenerationConfig, samples: int) -> Settings:
    """What a run records of its step collect."""
    fleet = ensemble.fleet.hash_of("candidates")
    return {**asdict(generation), "samples": samples, "batch": batches.BATCH, "candidates_sha256": fleet}


def check_samples(samples: int) -> None:
    """Refuse to collect nothing.

    Raises:
        ZooterError: the number of samples is below 1.
    """
    if samples < 1:
        raise ZooterError("at least one response a candidate and query", str(samples), "Use --samples 1 or more.")


def start(run: Run, ensemble: Ensemble, queries: Sequence[Query]) -> None:
    """Record the pool and the queries of a run. Each later step records what else of the fleet it depends on.

    Raises:
        ZooterError: the run began with another pool or other queries.
    """
    run.state.setdefault("fleet", str(ensemble.fleet.folder))
    run.state.setdefault("versions", versions())
    run.begin("start", start_settings(ensemble, queries))
    if not run.sealed("start"):
        records = {query.id: asdict(query) for query in queries}
        done = run.done(QUERIES, records, check=same_check(records))
        run.append(QUERIES, [record for id, record in records.items() if (id,) not in done])
        run.seal("start", QUERIES)


def collect(
    run: Run,
    ensemble: Ensemble,
    generation: GenerationConfig,
    progress: Progress = quiet,
    samples: int = 1,
    tell: Callable[[str], None] = lambda note: None,
) -> None:
    """Collect each candidate's responses to each query.

    The work goes candidate by candidate, in fixed batches of queries of one data set and similar length; the samples
    of a batch depend on its own seed alone. A batch with a missing response is generated again as a whole, so a run
    that was killed ends with the same responses as one that was not. Candidates that do not fit into memory together
    are loaded one after the other. A query that is too long for a candidate gets a record with the error, and the step
    score sets it aside.

    Args:
        samples: responses of each candidate to each query.
        tell: called with a note, such as that candidates take turns in memory.

    Raises:
        WorkError: a candidate cannot work, or refuses every query; the responses so far are saved.
    """
    check_samples(samples)
    for candidate in ensemble.fleet.candidates:  # a broken one shows now, not after the others have worked
        ensemble.backends[candidate.backend].load(candidate)
    run.begin("collect", collect_settings(ensemble, generation, samples))
    if run.sealed("collect"):
        return
    require(run, "start")
    queries = sorted(run.queries(), key=lambda query: (query.dataset or "", len(query.text), query.id))
    check = response_check(ensemble.fleet.pool, samples)
    done = run.done(RESPONSES, {query.id for query in queries}, "candidate", "sample", check=check)
    working = {record["candidate"] for record in run.records(RESPONSES) if record.get("error") is None}
    total = len(queries) * len(ensemble.fleet.pool) * samples
    size = max(1, batches.BATCH // samples)
    for number, candidate in enumerate(ensemble.fleet.candidates):
        name = candidate.name
        for first in range(0, len(queries), size):
            seed = generation.seed * 1_000_003 + number * len(queries) + first
            batch = [(query, sample) for query in queries[first : first + size] for sample in range(samples)]
            missing = {(query.id, name, sample) for query, sample in batch} - done
            if not missing:
                continue
            keys: dict[Request, tuple[str, str, int]] = {}
            for row, (query, sample) in enumerate(batch):
                if (query.id, name, sample) in missing or not ensemble.independent(name):
                    keys[Request(candidate, (Message("user", query.text),), seed + row)] = (query.id, name, sample)
            seeded = replace(generation, seed=seed)
            responses, failed = _responses(ensemble, list(keys), seeded, tell, name in working)
            working |= {name for response in responses.values() if response.error is None}
            new = [(keys[request], response) for request, response in responses.items() if keys[request] in missing]
            run.append(RESPONSES, [{"id": key[0], "sample": key[2], **response.to_json()} for key, response in new])
            if failed:
                next_step = "Fix the candidate (`zooter check`) and start the step again; it continues from here."
                raise WorkError.because(failed, f"a response of {name}", next_step)
            done |= missing
            progress("collect", len(done), total)
    run.seal("collect", RESPONSES)


def _responses(
    ensemble: Ensemble,
    requests: Sequence[Request],
    generation: GenerationConfig,
    tell: Callable[[str], None],
    working: bool,
) -> tuple[dict[Request, Response], Failure | None]:
    """The responses to save, refusals included, in the order of the requests, and the first error that ends the step.

    Args:
        working: whether the candidate has answered anything yet. One that has not and refuses several is broken.
    """
    responses = dict(iter_responses(ensemble.run_requests(requests, threading.Event(), generation), tell))
    errors = [r.error for r in responses.values() if r.error and r.finish != "refused"]
    usable = {q: responses[q] for q in requests if not responses[q].error or responses[q].finish == "refused"}
    refused = {request.messages for request, response in usable.items() if response.error}
    if not working and len(refused) >= ENOUGH and all(response.error for response in usable.values()):
        first = next(iter(usable.values())).error
        reason = f"none of {len(usable)}; the first because: {first.reason if first else ''}"
        return {}, Failure(f"a response of {requests[0].candidate.name}", reason)
    return usable, errors[0] if errors else None
