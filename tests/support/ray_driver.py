"""A driver to kill: python -m support.ray_driver FLEET QUERIES FOLDER collects a run on a local Ray of two workers."""

from __future__ import annotations

import sys
from pathlib import Path

from zooter_core import pipeline
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.data.runs import Run
from zooter_core.data.scores import read_queries
from zooter_core.ensemble import Ensemble
from zooter_core.pipeline import on_ray

SETTINGS = GenerationConfig(max_new_tokens=24, temperature=0.7)
PART = 64


def collect(fleet: Path, queries: Path, folder: Path) -> None:
    """Start or continue the run."""
    on_ray.PART_QUERIES = PART
    ensemble = Ensemble(load_fleet(fleet))
    with Run(folder, create=True) as run:
        pipeline.start(run, ensemble, read_queries(queries))
        with on_ray.ray_engine(ensemble, folder) as engine:
            pipeline.collect(run, ensemble, SETTINGS, elsewhere=engine)


if __name__ == "__main__":
    collect(*map(Path, sys.argv[1:]))
