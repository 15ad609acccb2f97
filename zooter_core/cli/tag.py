"""`zooter tag`: the tags of a run's queries."""

from __future__ import annotations

from zooter_core.cli.fleets import run_step
from zooter_core.cli.options import FleetDir, RunDir


def tag(run: RunDir, fleet: FleetDir = None) -> None:
    with run_step(run, fleet) as (folder, ensemble, progress):
        from zooter_core import pipeline
        from zooter_core.pipeline.plan import Plan, check

        check(folder, Plan(("tag",)), ensemble)
        pipeline.tag(folder, ensemble, progress)
