"""The engine `ray`: models in memory, the reward model and the tagger run in actors of Ray Data. Endpoints are used by
threads of this process, as in every run.

The functions are the same as in a run on one machine (`answer_batch`, `score_lines`, `tag_lines`). Each row of a data
set is one job with its number. A worker returns the number and the result, and this process writes the results.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from zooter_core.base.errors import NotInstalledError, WorkError, ZooterError, first_line, shortened
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble

Job = TypeVar("Job")
Result = TypeVar("Result")
RESTARTS = 3  # of an actor, and of its job, so that an actor that always dies does not loop
ADDRESS = "RAY_ADDRESS"  # Ray's environment variable for the cluster


class RayWorkers:
    """Runs jobs in actors of Ray. Each actor opens the fleet."""

    def __init__(self, ensemble: Ensemble) -> None:
        self._fleet = str(ensemble.fleet.folder)

    def map(
        self, function: Callable[[Ensemble, Job], Result], jobs: Sequence[Job], whose: str, most: int, models: int = 1
    ) -> Iterator[tuple[int, Result]]:
        """Call a function with each job. Yields the job's number and the result when the job is done.

        Args:
            whose: the name of the work, for messages.
            most: the most processes of this call.
            models: the number of models that run at the same time, each in its own call of `map`.

        Raises:
            WorkError: a worker raised an error, or died repeatedly.
        """
        import ray
        import ray.data

        if not jobs:
            return
        rows = [{"number": number, "payload": pickle.dumps(job)} for number, job in enumerate(jobs)]
        with warnings.catch_warnings(action="ignore"):  # Ray 2.64 will rename both limits
            data = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
                Actor,
                batch_size=1,
                concurrency=(1, min(most, len(rows))),
                num_cpus=1,
                num_gpus=gpus_of_actor(ray.cluster_resources().get("GPU", 0), models),
                fn_constructor_kwargs={"fleet": self._fleet, "function": pickle.dumps(function)},
                max_restarts=RESTARTS,
                max_task_retries=RESTARTS,
            )
        try:
            for row in data.iter_rows():
                yield int(row["number"]), pickle.loads(row["result"])
        except ray.exceptions.RayError as problem:
            reason = shortened(first_line(getattr(problem, "cause", None) or problem), 400)
            raise WorkError(
                f"the workers of {whose} to finish",
                reason,
                "See the logs of Ray on that machine. Start the command again; it continues from here.",
            ) from problem


def gpus_of_actor(gpus: float, models: int) -> float:
    """The number of GPUs per actor if this many models run at the same time.

    It is 1, a fraction if there are more models than GPUs in the cluster, or 0 without GPUs.
    """
    return 1 / max(1, math.ceil(models / gpus)) if gpus else 0.0


class Actor:
    """An actor, which loads its model once and calls one function of the pipeline with each job."""

    def __init__(self, fleet: str, function: bytes) -> None:
        self.ensemble, self.function = Ensemble(load_fleet(Path(fleet))), pickle.loads(function)

    def __call__(self, row: Any) -> dict[str, Any]:
        (payload,) = row["payload"]
        return {"number": row["number"], "result": [pickle.dumps(self.function(self.ensemble, pickle.loads(payload)))]}


@contextmanager
def ray_workers(ensemble: Ensemble) -> Iterator[RayWorkers]:
    """Connect to the cluster at $RAY_ADDRESS, or start one on this machine that ends with the block.

    Raises:
        ZooterError: Ray is not installed, or there is no cluster or no worker.
    """
    if importlib.util.find_spec("ray") is None:
        raise NotInstalledError("ray", "--engine ray", "pip install 'zooter[ray]'")
    import ray
    from ray.data import DataContext

    address = os.environ.get(ADDRESS)
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # errors are raised as exceptions
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry from a cluster that starts here
    options = {} if address else {"address": "local", "include_dashboard": False}  # Ray reads RAY_ADDRESS itself
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except Exception as problem:  # ConnectionError, RuntimeError, ValueError or Ray's own errors
        where = f"a Ray cluster at {address}" if address else "a Ray cluster on this machine"
        step = f"Start it (`ray start --head`), or fix {ADDRESS}. Head and driver need the same Ray and Python."
        raise ZooterError(where, shortened(first_line(problem), 400), step) from problem
    try:
        if not any(node["Alive"] and node["Resources"].get("CPU", 0) >= 1 for node in ray.nodes()):
            step = "Add one: ray start --address=HEAD:6379 on another machine, or without --num-cpus=0 on the head."
            raise ZooterError.saying("No machine of the Ray cluster has a processor for workers.", step)
        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.execution_options.preserve_order = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        yield RayWorkers(ensemble)
    finally:
        ray.shutdown()
