"""`zooter distill`: trains a router on the labels of a run, or on score files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.files import check_folder
from zooter_core.cli.bars import bars
from zooter_core.cli.consoles import err, print_router
from zooter_core.cli.fleets import open_fleet, run_step
from zooter_core.cli.options import FLEET, check_unused, open_scores, option
from zooter_core.cli.tables import print_report, print_verdict
from zooter_core.cli.training import TrainingOptions, with_training
from zooter_core.data.run_folder import REPORT, ROUTER
from zooter_core.evaluation import verdicts
from zooter_core.evaluation.figures import load_report
from zooter_core.router.kinds import AUTO_KIND, LEARN_LABELS, DistillConfig


@with_training
def distill(
    context: typer.Context,
    run: Path | None = option("DIR", "Folder of the run."),
    scores: list[Path] | None = option("FILE...", "Score files, instead of a run."),
    out: Path | None = option("DIR", "With --scores: the router's folder."),
    fleet: Path | None = FLEET,
    encoder: str | None = option("ID", "Sentence encoder: a model's name or folder (default: the fleet's)."),
    *,
    training: TrainingOptions,
) -> None:
    if not run and not (scores and out):
        missing = "only one of the two" if scores or out else "neither"
        raise ZooterError("--run DIR, or --scores FILE... with --out DIR", missing, "Try `zooter distill --help`.")
    if run and training.labels:
        misplaced = listed(f"--{name}" for name in training.labels)
        sentence = f"`zooter run` has made the labels, so `zooter distill --run` does not accept {misplaced}."
        raise ZooterError.saying(sentence, "Leave them out.")
    if run:
        check_unused(context, "with --run", "scores", "out")
    config = training.distill_config()
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:  # set by `accelerate launch` and torchrun
        step = "Leave out `accelerate launch`, or add --num_processes 1."
        raise ZooterError.saying("A router is trained in one process.", step)
    if run:
        _distill_run(run, fleet, encoder, config)
    elif scores and out:
        check_folder(out)
        _check_learns_from_labels(config.kind, training.labels)
        _distill_scores(scores, out, fleet, encoder, training, config)


def _check_learns_from_labels(kind: str, labels: dict[str, Any]) -> None:
    """Refuse label settings for a kind of router that learns from scores instead of labels."""
    unused = [f"--{name}" for name in labels if name != "holdout"]
    if kind not in LEARN_LABELS and unused:
        raise ZooterError(
            f"no label settings for the router kind {kind}, which learns from the scores",
            listed(unused),
            "Leave them out.",
        )


def _distill_run(run: Path, fleet: Path | None, encoder: str | None, training: DistillConfig) -> None:
    with run_step(run, fleet) as (folder, ensemble, progress):
        from zooter_core import pipeline
        from zooter_core.pipeline.plan import Plan, check

        encoder = encoder or ensemble.fleet.encoder
        check(folder, Plan(("distill",), encoder=encoder, training=training), ensemble)
        report = pipeline.distill_run(folder, ensemble, encoder, training, progress)
        pool = folder.setting("start", "pool")
    print_report(report)
    print_router(pool, run / ROUTER, run / REPORT, fleet)


def _distill_scores(
    files: list[Path],
    out: Path,
    fleet: Path | None,
    encoder: str | None,
    options: TrainingOptions,
    training: DistillConfig,
) -> None:
    scores = open_scores(files)
    from zooter_core.method.tags import TagIndex
    from zooter_core.pipeline.train import SCORE_LABELS, choose_tags
    from zooter_core.pipeline.train import distill as distill_scores
    from zooter_core.router.encoder import open_encoder
    from zooter_core.router.kinds.auto import AutoHead

    labels = options.label_config(SCORE_LABELS)
    model = open_encoder(encoder or open_fleet(fleet).encoder)
    texts = [query.text for query in scores.queries]
    with bars() as progress:
        vectors = model.embed_all(texts, lambda done: progress("embed", done, len(texts)))
        tags = choose_tags(scores, "auto", vectors, training.seed)
        router = distill_scores(
            scores, out, labels=labels, training=training, encoder=model, tags=tags, vectors=vectors, progress=progress
        )
    print_router(scores.candidates, out, out / REPORT, fleet)
    if training.kind == AUTO_KIND:
        body = router.head.body
        assert isinstance(body, AutoHead)
        err.print(body.summary())
    if training.kind in LEARN_LABELS:
        scale = f"normalise {labels.normalise}, tau {labels.tau:g}, beta {labels.beta:g}"
        count = (TagIndex.of(tags).counts > 0).sum()
        err.print(f"Labels: {scale}; {count} tag{'' if count == 1 else 's'}.")
    print_verdict(verdicts.of_report(load_report(out / REPORT)))
