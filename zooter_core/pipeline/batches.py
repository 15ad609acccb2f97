"""What the steps of the pipeline share: progress, the steps before them, and batches of queries."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Query
from zooter_core.data.run_folder import FILE_OF
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline.on_ray import Job, RayWorkers

Progress = Callable[[str, int, int], None]  # step, done, of how many
Lines = dict[str, dict[str, Any]]  # of a batch: query id -> line
BATCH = 64
MOST_ROWS = 512  # of the step collect: a model in memory generates a part of them at the same time
WORKER_BATCHES = 4  # of the steps score and tag, for a worker of its own: it takes longer to load than to compute a few
FEWEST_BATCHES = 16  # of the step collect, unless they would be smaller than BATCH: workers divide them


def quiet(step: str, done: int, of: int) -> None:
    """A progress callback that shows nothing."""


def check_pool(run: Run, ensemble: Ensemble) -> tuple[str, ...]:
    """The run's pool. Refuses a fleet with another one."""
    pool = tuple(run.setting("start", "pool"))
    if pool != ensemble.fleet.pool:
        raise ZooterError(
            f"a fleet of the run's candidates {', '.join(pool)}",
            f"one of {', '.join(ensemble.fleet.pool)}",
            "Give the fleet of this run with --fleet. Or call `zooter run` again, which takes up a changed pool.",
        )
    return pool


def batch_size(responses: int) -> int:
    """How many of a candidate's responses make a batch of the step collect."""
    return min(MOST_ROWS, max(BATCH, responses // FEWEST_BATCHES))


def fill(
    run: Run,
    ensemble: Ensemble,
    step: str,
    job_of: Callable[[Sequence[Query]], Job],
    compute: Callable[..., Lines],
    progress: Progress,
    workers: RayWorkers | None = None,
) -> None:
    """Write the lines that the file of a step lacks, one for each query, as the batches end.

    A batch is always computed as a whole, because the last digits of its figures depend on what it contains.

    Args:
        job_of: what a batch of queries needs to be computed.
        compute: the lines of a job, from the ensemble and the job. Here it has a third argument, to be called with how
            many queries of the batch are done.
        workers: they do the jobs, if not this process.
    """
    file, queries = FILE_OF[step], run.queries()
    done = {record["id"] for record in run.records(file)}
    batches = [queries[first : first + BATCH] for first in range(0, len(queries), BATCH)]
    lacking = [(batch, {query.id for query in batch if query.id not in done}) for batch in batches]
    lacking = [(batch, ids) for batch, ids in lacking if ids]
    finished = len(queries) - sum(len(batch) for batch, _ in lacking)
    jobs = (job_of(batch) for batch, _ in lacking)

    def in_batch(done: int) -> None:
        progress(step, finished + done, len(queries))

    if workers is not None:
        results = workers.map(compute, list(jobs), step, math.ceil(len(lacking) / WORKER_BATCHES))
    else:
        results = ((number, compute(ensemble, job, in_batch)) for number, job in enumerate(jobs))
    for number, lines in results:
        batch, ids = lacking[number]
        run.append(file, [lines[query.id] for query in batch if query.id in ids])
        finished += len(batch)
        progress(step, finished, len(queries))
