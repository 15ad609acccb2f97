"""`zooter exam`: trains a router for a fleet in minutes, on the answers of its models to the starter set."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

from zooter_core.base.errors import listed
from zooter_core.cli.bars import bars, waiting
from zooter_core.cli.consoles import err, out, print_agreement, print_missing, print_note
from zooter_core.cli.fleets import open_fleet
from zooter_core.cli.options import BUDGET_USD, flag, option
from zooter_core.cli.tables import print_report


def exam(
    fleet: Path = option("DIR", "Folder of the fleet.", default=...),
    quick: bool = flag("--quick", "Use 120 queries instead of 600."),
    use: Literal["better", "anyway"] = option(
        help="Use the new router if it is better than the fleet's current one, or anyway.", default="better"
    ),
    budget_usd: float | None = BUDGET_USD,
) -> None:
    open_fleet(fleet)  # asks for permission to send keys
    from zooter_core.evaluation import verdicts
    from zooter_core.fleet.ensemble import Ensemble
    from zooter_core.fleet.skills import starter_queries
    from zooter_core.pipeline import exam
    from zooter_core.pipeline.collect import Collecting

    folder, parts = exam.exam_folder(fleet, quick), exam.prepare_fleet(fleet)
    ensemble, queries = Ensemble(parts), exam.answerable(starter_queries(quick), print_note)
    new = exam.newcomers(parts, folder)
    if new.candidates:
        with waiting("Trying every model ..." if new.pool == parts.pool else "Trying the new models ..."):
            seconds = exam.estimate_seconds(Ensemble(new, ensemble.backends), len(queries))
        cost = exam.describe_cost(new, len(queries))
        time = f", about {seconds:.0f} seconds" if seconds < 90 else f", about {seconds / 60:.0f} minutes"
        whose = "" if new.pool == parts.pool else f" of {listed(new.pool)}; the other answers are kept"
        begun = f"{len(queries) * len(new.pool):,} answers{whose}{time if seconds else ''}{f', {cost}' if cost else ''}"
        err.print(f"{begun}. Ctrl-C stops; run the command again to continue.")
    with bars() as progress:
        how = Collecting(allow_missing=True, budget_usd=budget_usd, tell=print_note, watch=progress.watch)
        report, missing = exam.sit(ensemble, folder, queries, progress, how)
    print_missing(missing)
    print_agreement(ensemble)
    print_report(report)
    taken = exam.settle(fleet, folder, ensemble, use == "anyway")
    if rival := exam.load_rival(folder):
        for sentence in verdicts.settled(report, rival, taken):
            out.print(sentence)
    place = f"--fleet {shlex.quote(str(fleet))}"
    if taken:
        out.print(f"{fleet / 'fleet.toml'} now uses the new router. Try it: zooter demo {place}")
        return
    if quick:
        out.print(f"For a more precise comparison:  zooter exam {place}")
    out.print(f"To use the new router anyway:  zooter exam {'--quick ' * quick}--use anyway {place}")
