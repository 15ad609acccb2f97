"""The steps start and collect: record a run's queries and pool, and collect each candidate's responses."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from zooter_core.base.errors import Failure, WorkError, ZooterError, listed
from zooter_core.base.progress import Progress, Tell, quiet, silent
from zooter_core.base.records import Query
from zooter_core.base.strict_json import dump_json
from zooter_core.config.fleet import Fleet, GenerationConfig
from zooter_core.data.prices import price_list
from zooter_core.data.run_folder import QUERIES, RESPONSES, Settings
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline import batches
from zooter_core.pipeline.lanes import CollectJob, ResponseKey, in_order
from zooter_core.pipeline.on_ray import RayWorkers
from zooter_core.pipeline.tally import Budget, Tally

OF_POOL = ("collect", "score", "label", "distill")  # the steps to repeat if the pool changes


def start_settings(ensemble: Ensemble, queries: Sequence[Query]) -> Settings:
    """The settings that a run records for the step start: its pool and its queries."""
    digest = hashlib.sha256(dump_json([query.to_json() for query in queries]).encode()).hexdigest()
    return {"pool": list(ensemble.fleet.pool), "queries": len(queries), "queries_sha256": digest}


def collect_settings(
    run: Run, ensemble: Ensemble, generation: GenerationConfig, samples: int, queries: Sequence[Query] = ()
) -> Settings:
    """The settings that a run records for the step collect. `queries` are needed if the run has not begun."""
    count = len(queries) or run.state["steps"].get("start", {}).get("queries", 0)
    hashes, batch = candidate_hashes(run, ensemble.fleet, "collect"), batches.batch_size(count * samples)
    return {**asdict(generation), "samples": samples, "batch": batch, "candidates_sha256": hashes}


def has_another_pool(run: Run, fleet: Fleet) -> bool:
    """Whether a run has begun with another pool than the fleet's."""
    return bool(run.state["steps"].get("start", {}).get("pool", list(fleet.pool)) != list(fleet.pool))


def candidate_hashes(run: Run, fleet: Fleet, step: str) -> dict[str, str]:
    """A hash of each candidate that a step has asked so far, followed by those of new candidates of the fleet.

    A candidate without responses may have become another model, for example because its address or name was corrected.

    Raises:
        ZooterError: a candidate's responses in the run came from another model, or with other settings.
    """
    hashes: dict[str, str] = dict(run.state["steps"].get(step, {}).get("candidates_sha256", {}))
    for candidate in fleet.candidates:
        digest = replace(fleet, candidates=(candidate,)).hash_part("candidates")
        former = hashes.setdefault(candidate.name, digest)
        hashes[candidate.name] = digest
        if former != digest and any(record["candidate"] == candidate.name for record in run.records(RESPONSES)):
            raise ZooterError.saying(
                f"The responses of {candidate.name} in the run {run.folder} came from another model, or with other "
                "settings, than fleet.toml has now.",
                "Give the candidate another name in fleet.toml, or start in another folder; of an exam, delete its "
                "folder.",
            )
    return hashes


def start(run: Run, ensemble: Ensemble, queries: Sequence[Query]) -> None:
    """Record the pool and the queries of a run. Each later step records the other settings that it depends on.

    A run continues with the present candidates of the fleet. New candidates answer the queries, and responses of
    removed candidates stay in the file. Rewards, labels and router are computed for the new pool.

    Raises:
        ZooterError: the run began with other queries.
    """
    run.state.setdefault("fleet", str(ensemble.fleet.folder))
    run.state.setdefault("versions", versions())
    if has_another_pool(run, ensemble.fleet):
        run.reopen(*OF_POOL)
    run.begin("start", start_settings(ensemble, queries))
    if not run.is_finished("start"):
        run.replace(QUERIES, (query.to_json() for query in queries))
        run.finish("start")


def versions() -> dict[str, str]:
    """Versions of Python and of the installed libraries that affect a run, for run.json."""
    libraries = {"python": platform.python_version()}
    for name in ("zooter", "torch", "transformers", "peft", "xllamacpp", "numpy"):
        with suppress(importlib.metadata.PackageNotFoundError):  # an extra that is not installed, or Zooter itself
            libraries[name] = importlib.metadata.version(name)
    return libraries


@dataclass(frozen=True)
class Collecting:
    """Options for collecting that do not affect the responses."""

    # Whether to finish with the other candidates if one fails permanently. The step then stays open, and the next start
    # requests the missing responses.
    allow_missing: bool = False
    budget_usd: float | None = None  # the most that the endpoints' answers in this run may cost
    # Called with notes, for example that candidates take turns in memory, by the threads that collect.
    tell: Tell = silent
    # Called after each response with the tallies of all candidates, in pool order.
    watch: Callable[[Sequence[Tally]], None] = lambda tallies: None


def collect(
    run: Run,
    ensemble: Ensemble,
    generation: GenerationConfig,
    progress: Progress = quiet,
    samples: int = 1,
    how: Collecting = Collecting(),
    workers: RayWorkers | None = None,
) -> dict[str, Failure]:
    """Collect each candidate's responses to each query, and write each response when it is complete.

    All endpoints work in parallel, each at its own pace. At the same time, the models in memory run one after the
    other, in fixed batches of queries from the same data set and of similar length. If a response of a batch is
    missing, the whole batch is generated again, because its samples depend only on its seed. So a run that was killed
    ends with the same responses as an uninterrupted one. If a query is too long for a candidate, the error is recorded,
    and the step score sets the query aside.

    Args:
        samples: the number of responses per candidate and query.
        workers: the workers that run the models in memory. If None, this process runs them.

    Returns:
        With `allow_missing`, the candidates that lack responses, and the reasons; empty if the step is finished.

    Raises:
        ZooterError: there is a budget, but an endpoint has no price.
        WorkError: a candidate cannot work, or refuses all queries. All responses so far are saved.
    """
    settings = collect_settings(run, ensemble, generation, samples)
    run.agree("collect", settings)
    if run.is_finished("collect"):
        return {}
    run.require("start")
    job = _job(run, ensemble, generation, how, settings)
    tallies = job.tallies
    job.load(how.allow_missing, workers)
    run.begin("collect", settings)
    total = sum(tally.total for tally in tallies.values())

    def show() -> None:
        how.watch(list(tallies.values()))
        progress("collect", sum(tally.done for tally in tallies.values()), total)

    job.run(run.folder / RESPONSES, show, workers)
    problems = {
        name: tally.problem or Failure(f"the responses of {name}", f"that {tally.total - tally.done:,} are missing")
        for name, tally in tallies.items()
        if tally.problem or tally.done < tally.total
    }
    if problems:
        if how.allow_missing:
            return problems
        raise failed(problems)
    run.finish("collect")
    return {}


def _job(run: Run, ensemble: Ensemble, generation: GenerationConfig, how: Collecting, settings: Settings) -> CollectJob:
    """The job for the lanes, with the responses that the run already has.

    Raises:
        ZooterError: there is a budget, but an endpoint has no price.
    """
    candidates, queries = ensemble.fleet.candidates, in_order(run.queries())
    paid = [candidate.name for candidate in candidates if candidate.endpoint]
    if how.budget_usd is not None:
        price_list(ensemble.fleet, paid)
    tallies = {one.name: Tally(one.name, price=one.usd_per_million_tokens) for one in candidates}
    budget = Budget(how.budget_usd, lambda: sum(tallies[name].dollars for name in paid))
    numbers = {name: number for number, name in enumerate(settings["candidates_sha256"])}  # also of removed ones
    job = CollectJob(
        ensemble, generation, settings["samples"], queries, set(), tallies, budget, how.tell, numbers=numbers
    )
    for record in run.records(RESPONSES):
        job.done.add(ResponseKey.of(record))
        if record["candidate"] in tallies:
            tallies[record["candidate"]].count(record, new=False)
    job.count()
    return job


def failed(problems: Mapping[str, Failure]) -> WorkError:
    (name, failure), *others = problems.items()
    also = f"Responses of {listed(other for other, _ in others)} are missing too. " if others else ""
    fix = "" if failure.next_step else "Fix the candidate (`zooter check`). "
    next_step = f"{also}{fix}Then continue; finished work is kept."
    return WorkError.because(failure, f"a response of {name}", next_step)
