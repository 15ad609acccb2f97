"""`zooter collect`: the responses of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from zooter_core.cli import options
from zooter_core.cli.consoles import err, print_missing, print_note, print_set_aside
from zooter_core.cli.fleets import run_step
from zooter_core.cli.options import option
from zooter_core.data.scores import read_queries


def collect(
    run: options.RunDir,
    queries: Annotated[Path | None, option("--queries", "FILE", "Queries file; required for a new run.")] = None,
    fleet: options.FleetDir = None,
    temperature: options.Temperature = None,
    max_new_tokens: options.MaxNewTokens = None,
    samples: options.Samples = 1,
    allow_missing: options.AllowMissing = False,
    budget_usd: options.BudgetUsd = None,
    shard: Annotated[
        str | None, option("--shard", "I/N", "Collect one of N parts of the queries; `zooter merge` joins them.")
    ] = None,
) -> None:
    how = options.collecting_of(allow_missing, budget_usd, shard)
    with run_step(run, fleet, answering=True, create=queries is not None) as (folder, ensemble, progress):
        from zooter_core import pipeline
        from zooter_core.pipeline.plan import Plan, check

        generation = options.generation_of(ensemble.fleet.generation, temperature, max_new_tokens)
        questions = read_queries(queries, err.print) if queries else []
        steps = ("start", "collect") if queries else ("collect",)
        check(folder, Plan(steps, questions, generation, samples, how.shard), ensemble)
        if queries:
            pipeline.start(folder, ensemble, questions)
        missing = pipeline.collect(folder, ensemble, generation, progress, samples, print_note, how, progress.watch)
        print_missing(missing)
        print_set_aside(folder.refused(), "responses")
