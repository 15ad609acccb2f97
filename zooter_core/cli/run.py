"""`zooter run`: runs the pipeline in a run folder, completely or up to a step."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Literal

from zooter_core.base.files import check_apart
from zooter_core.cli.bars import bars
from zooter_core.cli.consoles import (
    err,
    print_agreement,
    print_cost,
    print_missing,
    print_note,
    print_router,
    print_set_aside,
)
from zooter_core.cli.fleets import open_ensemble
from zooter_core.cli.options import BUDGET_USD, FLEET, MAX_NEW_TOKENS, TEMPERATURE, choose_generation, flag, option
from zooter_core.cli.tables import print_report
from zooter_core.cli.training import TrainingOptions, with_training
from zooter_core.data.run_folder import REPORT, ROUTER, STEPS
from zooter_core.data.runs import Run
from zooter_core.data.scores import read_queries
from zooter_core.method.labels import LabelConfig


@with_training
def run(
    queries: Path = option("FILE", "Queries file.", default=...),
    out: Path = option(
        "DIR", "Folder of the run. A stopped run continues; if models were added, only they answer.", default=...
    ),
    fleet: Path | None = FLEET,
    until: Literal["collect", "score", "tag", "label"] | None = option(
        help="Stop after this step. A later call continues the run, with its own options."
    ),
    scores: Path | None = option("FILE", "Also write rewards and responses as a score file."),
    temperature: float | None = TEMPERATURE,
    max_new_tokens: int | None = MAX_NEW_TOKENS,
    samples: int = option("N", "Responses per candidate and query; their mean reward is used.", default=1),
    allow_missing: bool = flag(
        "--allow-missing", "Finish even if a model keeps failing; the next start requests its missing responses."
    ),
    budget_usd: float | None = BUDGET_USD,
    engine: Literal["local", "ray"] = option(
        help="Run local models, reward model and tagger on this machine or on Ray (a cluster: $RAY_ADDRESS).",
        default="local",
    ),
    *,
    training: TrainingOptions,
) -> None:
    if scores:
        check_apart(scores, [queries])
    questions, ensemble = read_queries(queries, err.print), open_ensemble(fleet)
    generation = choose_generation(ensemble.fleet.generation, temperature, max_new_tokens, training.seed)
    labels, distilling = training.label_config(LabelConfig()), training.distill_config()
    encoder = ensemble.fleet.encoder
    from zooter_core import pipeline
    from zooter_core.pipeline.collect import Collecting
    from zooter_core.pipeline.on_ray import ray_workers
    from zooter_core.pipeline.plan import Plan, check

    steps = STEPS[: STEPS.index(until) + 1] if until else STEPS
    with Run(out, create=True) as folder, bars() as progress:
        check(folder, Plan(steps, questions, generation, samples, labels, encoder, distilling, scores), ensemble)
        pipeline.start(folder, ensemble, questions)
        with ray_workers(ensemble) if engine == "ray" else nullcontext() as workers:
            how = Collecting(allow_missing, budget_usd, print_note, progress.watch)
            missing = pipeline.collect(folder, ensemble, generation, progress, samples, how, workers)
            print_missing(missing)
            if "score" in steps:
                print_cost(ensemble, samples)
                pipeline.score(folder, ensemble, progress, workers)
                print_agreement(ensemble)
                print_set_aside(folder.set_aside())
            else:
                print_set_aside(folder.refused(), "responses")
            if "tag" in steps:
                pipeline.tag(folder, ensemble, progress, workers)
        if "label" in steps:
            pipeline.label(folder, labels, progress)
        if scores and "score" in steps:
            folder.export_scores(scores)
        if until:
            err.print(f"{out} is complete up to the step {until}. To continue, leave out --until.")
            return
        report = pipeline.distill_run(folder, ensemble, encoder, distilling, progress)
    print_report(report)
    print_router(ensemble.fleet.pool, out / ROUTER, out / REPORT, fleet)
