"""`zooter score`: computes rewards of a run's responses, or of responses in a file."""

from __future__ import annotations

from pathlib import Path

import typer

from zooter_core.base.errors import ZooterError
from zooter_core.cli.bars import bars
from zooter_core.cli.consoles import err, print_agreement, print_cost, print_set_aside
from zooter_core.cli.fleets import open_ensemble, run_step
from zooter_core.cli.options import FLEET, check_unused, option


def score(
    context: typer.Context,
    run: Path | None = option("DIR", "Folder of the run."),
    responses: Path | None = option("FILE", "A score file without `scores`, or a table with the models' responses."),
    out: Path | None = option("FILE", "With --responses: the score file to write."),
    fleet: Path | None = FLEET,
) -> None:
    if run:
        check_unused(context, "with --run", "responses", "out")
        with run_step(run, fleet) as (folder, ensemble, progress):
            from zooter_core import pipeline
            from zooter_core.data.run_folder import REWARDS
            from zooter_core.pipeline.plan import Plan, check

            check(folder, Plan(("score",)), ensemble)
            print_cost(ensemble, folder.setting("collect", "samples"))
            pipeline.score(folder, ensemble, progress)
            err.print(f"The rewards are in {run / REWARDS}.")
            print_agreement(ensemble)
            print_set_aside(folder.set_aside())
    elif responses and out:
        ensemble = open_ensemble(fleet)
        from zooter_core.pipeline import score_responses

        print_cost(ensemble)
        with bars() as progress:
            count, reasons = score_responses(responses, out, ensemble, progress)
        err.print(f"{count} line{'' if count == 1 else 's'} in {out}")
        print_set_aside(reasons)
    else:
        missing = "only one of the two" if responses or out else "neither"
        raise ZooterError("--run DIR, or --responses FILE with --out FILE", missing, "Try `zooter score --help`.")
