"""Progress callbacks and batches of queries for the pipeline's steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from zooter_core.base.progress import Progress
from zooter_core.data.run_folder import FILE_OF
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline.on_ray import Job, RayWorkers

Line = dict[str, Any]  # the line of a query in the file of a step
BATCH = 64
MOST_ROWS = 512  # in collect: the most responses in a batch of a model in memory
WORKER_BATCHES = 4  # in score and tag: batches per worker, since fewer take less time than loading the worker
FEWEST_BATCHES = 16  # in collect: the least number of batches to share among workers, each of BATCH responses or more


def batch_size(responses: int) -> int:
    """The number of a candidate's responses in a batch of the step collect."""
    return min(MOST_ROWS, max(BATCH, responses // FEWEST_BATCHES))


def fill(
    run: Run,
    ensemble: Ensemble,
    step: str,
    rows: Sequence[Job],
    compute: Callable[..., list[Line]],
    progress: Progress,
    workers: RayWorkers | None = None,
) -> None:
    """Compute and append the missing lines of a step's file, one line per query and one batch after another.

    A batch is always computed as a whole, because the last digits of its figures depend on its contents.

    Args:
        rows: the step's input for each query, in the order of the queries file.
        compute: computes the lines of a batch from the ensemble and the batch's rows. In this process, it gets a third
            argument, a callback that it calls with the number of queries of the batch that are done.
        workers: the workers that compute the batches. If None, this process computes them.
    """
    file, ids = FILE_OF[step], [query.id for query in run.queries()]
    done = {record["id"] for record in run.records(file)}
    places = [slice(first, first + BATCH) for first in range(0, len(ids), BATCH)]
    jobs = [rows[place] for place in places if not done.issuperset(ids[place])]
    finished = len(ids) - sum(map(len, jobs))

    def show(in_batch: int = 0) -> None:
        progress(step, finished + in_batch, len(ids))

    if workers is not None:
        results = workers.map(compute, jobs, step, math.ceil(len(jobs) / WORKER_BATCHES))
    else:
        results = ((number, compute(ensemble, job, show)) for number, job in enumerate(jobs))
    for number, lines in results:
        run.append(file, [line for line in lines if line["id"] not in done])
        finished += len(jobs[number])
        show()
