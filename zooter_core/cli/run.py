"""`zooter run`: the whole pipeline into a run folder, or its first steps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from zooter_core.base.errors import listed
from zooter_core.base.files import check_apart
from zooter_core.cli import options
from zooter_core.cli.consoles import bars, err, print_agreement, print_cost, print_missing, print_note, print_set_aside
from zooter_core.cli.fleets import open_ensemble
from zooter_core.cli.options import collecting_of, engine_of, generation_of, labels_of, named, option, training_of
from zooter_core.cli.tables import print_report
from zooter_core.data.run_folder import ROUTER, STEPS
from zooter_core.data.runs import Run
from zooter_core.data.scores import read_queries
from zooter_core.method.labels import LabelConfig


def run(
    queries: Annotated[Path, option("--queries", "FILE", "Queries file.")],
    out: Annotated[
        Path,
        option("--out", "DIR", "Folder of the run. One that was stopped goes on; of new models, each answers alone."),
    ],
    fleet: options.FleetDir = None,
    until: Annotated[
        Literal["collect", "score", "tag", "label"] | None,
        option("--until", help="Stop after this step. A later call goes on; its options count then."),
    ] = None,
    scores: Annotated[
        Path | None, option("--scores", "FILE", "Also write rewards and responses as a score file.")
    ] = None,
    temperature: options.Temperature = None,
    max_new_tokens: options.MaxNewTokens = None,
    samples: options.Samples = 1,
    allow_missing: options.AllowMissing = False,
    budget_usd: options.BudgetUsd = None,
    beta: options.Beta = None,
    tau: options.Tau = None,
    normalise: options.Normalise = None,
    holdout: options.Holdout = None,
    seed: options.TrainingSeed = None,
    router_kind: options.RouterKind = None,
    finetune: options.Finetune = "none",
    router_set: options.RouterSettings = None,
    engine: options.Engine = "local",
) -> None:
    how = collecting_of(allow_missing, budget_usd)
    if scores:
        check_apart(scores, [queries])
    questions, ensemble = read_queries(queries, err.print), open_ensemble(fleet, answering=True)
    generation = generation_of(ensemble.fleet.generation, temperature, max_new_tokens, seed)
    labels = labels_of(LabelConfig(), named(beta=beta, tau=tau, normalise=normalise, holdout=holdout))
    training = training_of(router_kind, router_set, seed, finetune)
    encoder = ensemble.fleet.encoder
    from zooter_core import pipeline
    from zooter_core.pipeline.plan import Plan, check

    steps = STEPS[: STEPS.index(until) + 1] if until else STEPS
    with Run(out, create=True) as folder, bars() as progress:
        check(folder, Plan(steps, questions, generation, samples, labels, encoder, training, scores), ensemble)
        pipeline.start(folder, ensemble, questions)
        with engine_of(engine, ensemble, out) as elsewhere:
            missing = pipeline.collect(
                folder, ensemble, generation, progress, samples, print_note, how, progress.watch, elsewhere
            )
            print_missing(missing)
            holes = bool(missing)
            if "score" in steps:
                print_cost(ensemble, samples)
                pipeline.score(folder, ensemble, progress, elsewhere, holes)
                print_agreement(ensemble)
                print_set_aside(folder.set_aside())
            else:
                print_set_aside(folder.refused(), "responses")
            if "tag" in steps:
                pipeline.tag(folder, ensemble, progress, elsewhere)
        if "label" in steps:
            pipeline.label(folder, labels, progress, holes)
        if scores and "score" in steps:
            folder.export_scores(scores)
        if until:
            err.print(f"{out} has the step {until}. The same call without --until goes on from there.")
            return
        report = pipeline.distill_run(folder, ensemble, encoder, training, progress, holes)
    print_report(report)
    err.print(f"A router for {listed(ensemble.fleet.pool)} is in {out / ROUTER}.")
