"""`zooter run`, its steps, `evaluate` and `sweep`: from queries or score files to a router and its figures."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from zooter_core import from_scores, pipeline, runs
from zooter_core.commands.options import (
    betas_of,
    distill_of,
    encoder_of,
    ensemble_of,
    err,
    fleet_of,
    generation_of,
    given_labels,
    label_of,
    progress_bars,
    run_ensemble,
)
from zooter_core.commands.tables import print_evaluation, print_report, print_sweep
from zooter_core.encoder import Encoder, Encoders
from zooter_core.errors import ZooterError
from zooter_core.evaluate import evaluate as figures_of
from zooter_core.heads import DEFAULT, DistillConfig
from zooter_core.router import Router
from zooter_core.runs import Run
from zooter_core.scores import read_queries, read_scores
from zooter_core.sweep import SweepConfig
from zooter_core.sweep import sweep as sweep_of


def run(call: Namespace) -> None:
    """The whole pipeline into a run folder."""
    queries = read_queries(call.queries)
    ensemble = ensemble_of(call)
    training = distill_of(call)  # a mistake in it shows before the work
    generation = generation_of(call, ensemble.fleet, seed=call.seed)
    with Run(call.out, create=True) as folder, progress_bars() as progress:
        pipeline.start(folder, ensemble, queries)
        pipeline.collect(folder, ensemble, generation, progress, call.samples)
        pipeline.score(folder, ensemble, progress)
        pipeline.tag(folder, ensemble, progress)
        pipeline.label(folder, label_of(call), progress)
        pipeline.distill(folder, ensemble, encoder_of(ensemble.fleet), training, progress)
        if call.scores:
            runs.export_scores(folder, Path(call.scores))
    print_report(Path(call.out) / "report.json")


def step(call: Namespace) -> None:
    """One step of a run: collect, tag or label."""
    new = call.command == "collect" and call.queries is not None
    with Run(call.run, create=new) as folder, progress_bars() as progress:
        if call.command == "label":
            pipeline.label(folder, label_of(call), progress)
            return
        ensemble = run_ensemble(call, folder)
        if new:
            pipeline.start(folder, ensemble, read_queries(call.queries))
        if call.command == "collect":
            pipeline.collect(folder, ensemble, generation_of(call, ensemble.fleet), progress, call.samples)
        elif call.command == "tag":
            pipeline.tag(folder, ensemble, progress)
        else:
            pipeline.score(folder, ensemble, progress)


def score(call: Namespace) -> None:
    """Rewards of a run's responses, or of responses that exist already."""
    if call.run:
        return step(call)
    if not (call.responses and call.out):
        raise ZooterError("--run DIR, or --responses FILE with --out FILE", "neither", "Try `zooter score --help`.")

    ensemble = ensemble_of(call)
    with progress_bars() as progress:
        count = from_scores.score_responses(Path(call.responses), Path(call.out), ensemble, progress)
    err.print(f"{count} lines in {call.out}")
    return None


def distill(call: Namespace) -> None:
    """A router from a run, or from score files alone."""
    if call.run:
        if given := given_labels(call):
            raise ZooterError(
                "label settings at the step label of a run", ", ".join(f"--{name}" for name in given), "Leave them out."
            )
        with Run(call.run) as folder, progress_bars() as progress:
            ensemble = run_ensemble(call, folder)
            pipeline.distill(folder, ensemble, call.encoder or encoder_of(ensemble.fleet), distill_of(call), progress)
        return print_report(Path(call.run) / "report.json")
    if not (call.scores and call.out):
        raise ZooterError("--run DIR, or --scores FILE... with --out DIR", "neither", "Try `zooter distill --help`.")

    config = distill_of(call)
    unused = [f"--{name}" for name in given_labels(call) if name != "holdout"]
    if config.kind != DEFAULT and (unused or call.tagger == "fleet"):
        raise ZooterError(
            f"no label settings for the router kind {config.kind}, which learns from the scores",
            ", ".join(unused or ["--tagger fleet"]),
            "Leave them out.",
        )
    scores = read_scores(call.scores)
    if call.tagger == "none":
        scores = replace(scores, queries=tuple(replace(query, tags=()) for query in scores.queries))
    tagger = ensemble_of(call).tagger if call.tagger == "fleet" else None
    encoder = Encoder(call.encoder or encoder_of(fleet_of(call)))
    settings = (label_of(call, holdout=0.0), config)
    with progress_bars() as progress:
        from_scores.distill_scores(scores, Path(call.out), settings, encoder, tagger, progress)
    err.print(f"A router for {', '.join(scores.candidates)} is in {call.out}.")
    return None


def evaluate(call: Namespace) -> None:
    """A router against score files."""
    scores = read_scores(call.scores)
    figures = figures_of(Router.load(call.router, Encoders()), scores)
    if call.json:
        print(json.dumps(figures))
    else:
        print_evaluation(figures)


def sweep(call: Namespace) -> None:
    """Routers over a range of beta, on score files."""
    scores = read_scores(call.scores)
    given = {name: getattr(call, name) for name in ("tau", "normalise") if getattr(call, name) is not None}
    config = SweepConfig(betas=betas_of(call), folds=call.folds, seeds=call.seeds, **given)
    tags: Sequence[Sequence[str]] = [query.tags for query in scores.queries]
    ensemble = ensemble_of(call)
    if call.tagger == "fleet":
        found = ensemble.tagger.tag([query.text for query in scores.queries])
        tags = [tuple(tag.name for tag in row) for row in found]
    encoder = ensemble.encoders(encoder_of(ensemble.fleet))
    with progress_bars() as progress:
        figures = sweep_of(scores, tags, encoder, config, DistillConfig(), progress)
    if call.json:
        print(json.dumps(figures))
    else:
        print_sweep(figures)
