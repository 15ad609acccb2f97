"""What the pipeline's steps share: progress, and batches of queries."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from zooter_core.base.progress import Progress
from zooter_core.data.run_folder import FILE_OF
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline.on_ray import Job, RayWorkers

Line = dict[str, Any]  # of a query, in the file of a step
BATCH = 64
MOST_ROWS = 512  # for the step collect: a model in memory generates some of them at the same time
WORKER_BATCHES = 4  # for the steps score and tag: with fewer, a worker takes longer to load than to compute
FEWEST_BATCHES = 16  # for the step collect, unless they would be smaller than BATCH, so that workers can share them


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
    """Write the lines that a step's file lacks, one per query, whenever a batch ends.

    A batch is always computed as a whole, because the last digits of its figures depend on its contents.

    Args:
        rows: what is known of each query, in the order of the queries file.
        compute: the lines of a batch, from the ensemble and the batch's rows. Here it has a third argument, to be
            called with how many queries of the batch are done.
        workers: they compute the batches, if not this process.
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
