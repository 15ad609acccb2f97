"""Pipelines that die: python -m support.killed_pipelines FLEET FOLDER STEP:COUNT ...

For each STEP:COUNT, a process that works at the run FOLDER/STEP and kills itself (SIGKILL) when the step has told its
progress COUNT times. The processes are forked from this one, which has imported what they need and run nothing.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

from support import tiny_models
from zooter_core import pipeline
from zooter_core.config.fleet import load_fleet
from zooter_core.data.runs import Run
from zooter_core.ensemble import Ensemble
from zooter_core.method.labels import LabelConfig
from zooter_core.pipeline import Progress, batches
from zooter_core.records import Query

QUERIES = [Query(f"q{n:02d}", text, "even" if n % 2 else "odd") for n, text in enumerate(tiny_models.QUERIES)]
BATCH = 4


def work(fleet: Path, folder: Path, progress: Progress) -> None:
    """The pipeline up to its labels."""
    ensemble = Ensemble(load_fleet(fleet))
    with Run(folder, create=True) as run:
        pipeline.start(run, ensemble, QUERIES)
        pipeline.collect(run, ensemble, ensemble.fleet.generation, progress)
        pipeline.score(run, ensemble, progress)
        pipeline.tag(run, ensemble, progress)
        pipeline.label(run, LabelConfig(), progress)


def die(fleet: Path, folder: Path, step: str, count: int) -> None:
    times = 0

    def progress(name: str, done: int, of: int) -> None:
        nonlocal times
        times += name == step
        if times == count:
            os.kill(os.getpid(), signal.SIGKILL)

    work(fleet, folder, progress)


if __name__ == "__main__":
    torch.set_num_threads(1)
    batches.BATCH = BATCH
    fleet, folder, *deaths = sys.argv[1:]
    for death in deaths:
        step, count = death.split(":")
        if child := os.fork():
            _, status = os.waitpid(child, 0)
            print(step, os.WTERMSIG(status) if os.WIFSIGNALED(status) else "lived")
        else:
            die(Path(fleet), Path(folder) / step, step, int(count))
            os._exit(0)
