"""`zooter run`, its steps and `sweep`: from queries or score files to a router."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from zooter_core import pipeline
from zooter_core.cli.options import (
    check_plot,
    distill_of,
    encoder_of,
    ensemble_of,
    err,
    fleet_of,
    generation_of,
    given_labels,
    label_of,
    numbers_of,
    print_json,
    progress_bars,
    run_ensemble,
    tell_cost,
    tell_note,
    tell_set_aside,
)
from zooter_core.cli.tables import print_report, print_sweep, save_sweep_plot
from zooter_core.data.runs import Run
from zooter_core.data.scores import Scores, read_queries, read_scores
from zooter_core.errors import ZooterError, listed
from zooter_core.evaluation.sweep import SweepConfig
from zooter_core.evaluation.sweep import sweep as sweep_of
from zooter_core.files import check_file, check_folder, open_atomic
from zooter_core.pipeline import from_scores
from zooter_core.pipeline.plan import STEPS, Plan, check
from zooter_core.router.encoder import Encoder
from zooter_core.router.kinds import DEFAULT, DistillConfig
from zooter_core.strict_json import dump_json
from zooter_core.weights import quiet_libraries


def run(call: Namespace) -> None:
    """The whole pipeline into a run folder."""
    queries = read_queries(call.queries)
    ensemble = ensemble_of(call)
    generation = generation_of(call, ensemble.fleet, seed=call.seed)
    labels, training, encoder = label_of(call), distill_of(call), encoder_of(ensemble.fleet)
    scores = Path(call.scores) if call.scores else None
    whole = Plan(STEPS, queries, generation, call.samples, labels, encoder, training, scores)
    with Run(call.out, create=True) as folder, progress_bars() as progress:
        check(folder, whole, ensemble)
        pipeline.start(folder, ensemble, queries)
        pipeline.collect(folder, ensemble, generation, progress, call.samples, tell_note)
        tell_cost(ensemble, call.samples)
        pipeline.score(folder, ensemble, progress)
        tell_set_aside(folder.set_aside())
        pipeline.tag(folder, ensemble, progress)
        pipeline.label(folder, labels, progress)
        report = pipeline.distill(folder, ensemble, encoder, training, progress)
        if scores:
            folder.export_scores(scores)
    print_report(report)


def step(call: Namespace) -> None:
    """One step of a run: collect, score, tag or label."""
    new = call.command == "collect" and call.queries is not None
    with Run(call.run, create=new) as folder, progress_bars() as progress:
        if call.command == "label":
            labels = label_of(call)
            check(folder, Plan(("label",), labels=labels))
            pipeline.label(folder, labels, progress)
            return
        ensemble = run_ensemble(call, folder)
        if call.command == "collect":
            generation = generation_of(call, ensemble.fleet)
            queries = read_queries(call.queries) if new else ()
            steps = ("start", "collect") if new else ("collect",)
            check(folder, Plan(steps, queries, generation, call.samples), ensemble)
            if new:
                pipeline.start(folder, ensemble, queries)
            pipeline.collect(folder, ensemble, generation, progress, call.samples, tell_note)
            tell_set_aside(folder.refused(), "responses")
        elif call.command == "tag":
            check(folder, Plan(("tag",)), ensemble)
            pipeline.tag(folder, ensemble, progress)
        else:
            check(folder, Plan(("score",)), ensemble)
            tell_cost(ensemble, folder.setting("collect", "samples"))
            pipeline.score(folder, ensemble, progress)
            tell_set_aside(folder.set_aside())


def score(call: Namespace) -> None:
    """Rewards of a run's responses, or of responses that exist already."""
    if call.run:
        return step(call)
    if not (call.responses and call.out):
        found = "only one of the two" if call.responses or call.out else "neither"
        raise ZooterError("--run DIR, or --responses FILE with --out FILE", found, "Try `zooter score --help`.")

    ensemble = ensemble_of(call)
    tell_cost(ensemble)
    with progress_bars() as progress:
        count, aside = from_scores.score_responses(Path(call.responses), Path(call.out), ensemble, progress)
    err.print(f"{count} lines in {call.out}")
    tell_set_aside(aside)
    return None


def distill(call: Namespace) -> None:
    """A router from a run, or from score files alone."""
    if call.run:
        if given := given_labels(call):
            raise ZooterError(
                "label settings at the step label of a run", listed(f"--{name}" for name in given), "Leave them out."
            )
        with Run(call.run) as folder, progress_bars() as progress:
            ensemble, training = run_ensemble(call, folder), distill_of(call)
            encoder = call.encoder or encoder_of(ensemble.fleet)
            check(folder, Plan(("distill",), encoder=encoder, training=training), ensemble)
            report = pipeline.distill(folder, ensemble, encoder, training, progress)
        return print_report(report)
    if not (call.scores and call.out):
        found = "only one of the two" if call.scores or call.out else "neither"
        raise ZooterError("--run DIR, or --scores FILE... with --out DIR", found, "Try `zooter distill --help`.")

    check_folder(Path(call.out))
    config = distill_of(call)
    unused = [f"--{name}" for name in given_labels(call) if name != "holdout"]
    if config.kind != DEFAULT and (unused or call.tagger == "fleet"):
        raise ZooterError(
            f"no label settings for the router kind {config.kind}, which learns from the scores",
            listed(unused or ["--tagger fleet"]),
            "Leave them out.",
        )
    scores = read_scores(call.scores)
    labels = label_of(call, from_scores.LABELS)
    quiet_libraries()
    encoder = Encoder(call.encoder or encoder_of(fleet_of(call)))
    with progress_bars() as progress:
        encoder.embed_all([q.text for q in scores.queries], lambda done: progress("embed", done, len(scores.queries)))
        tags = tags_for(call, scores, encoder)
        from_scores.distill_scores(scores, Path(call.out), (labels, config), encoder, tags, progress)
    err.print(f"A router for {listed(scores.candidates)} is in {call.out}.")
    if config.kind == DEFAULT:
        scale = f"normalise {labels.normalise}, tau {labels.tau:g}, beta {labels.beta:g}"
        err.print(f"Labels: {scale}; {len({tag for row in tags for tag in row})} tags ({call.tagger}).")
    return None


def tags_for(call: Namespace, scores: Scores, encoder: Encoder) -> Sequence[Sequence[str]]:
    """Tags of a score file's queries, from where --tagger says."""
    if call.tagger != "fleet":
        return from_scores.tags_of(scores, call.tagger, encoder, getattr(call, "seed", 0) or 0)
    found = ensemble_of(call).tagger.tag_all(scores.queries)
    return [tuple(tag.name for tag in row) for row in found]


def sweep(call: Namespace) -> None:
    """Routers over a range of beta and tau, on score files."""
    check_plot(call)
    if call.out:
        check_file(Path(call.out))
    scores = read_scores(call.scores)
    defaults = from_scores.LABELS
    config = SweepConfig(
        betas=numbers_of(call, "beta"),
        taus=numbers_of(call, "tau") if call.tau else (defaults.tau,),
        normalise=call.normalise or defaults.normalise,
        folds=call.folds,
        seeds=call.seeds,
    )
    quiet_libraries()
    encoder = Encoder(encoder_of(fleet_of(call)))
    tags = tags_for(call, scores, encoder)
    with progress_bars() as progress:
        figures = sweep_of(scores, tags, encoder, config, DistillConfig(), progress)
    if call.plot:
        save_sweep_plot(figures, Path(call.plot))
    if call.out:
        with open_atomic(Path(call.out)) as file:
            file.write(dump_json(figures, indent=2) + "\n")
    if call.json:
        print_json(figures)
    else:
        print_sweep(figures)
