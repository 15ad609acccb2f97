"""`zooter tag`: the tags of a run's queries."""

from __future__ import annotations

from zooter_core.cli.arguments import FleetDir, RunDir
from zooter_core.cli.fleets import open_run_ensemble
from zooter_core.cli.progress import bars
from zooter_core.data.runs import Run


def tag(run: RunDir, fleet: FleetDir = None) -> None:
    with Run(run) as folder, bars() as progress:
        ensemble = open_run_ensemble(folder, fleet)
        from zooter_core import pipeline
        from zooter_core.pipeline.plan import Plan, check

        check(folder, Plan(("tag",)), ensemble)
        pipeline.tag(folder, ensemble, progress)
