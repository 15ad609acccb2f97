"""`zooter extend`: a router's pool with one candidate more or less."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.files import check_folder
from zooter_core.cli import options
from zooter_core.cli.consoles import bars, err, print_figures
from zooter_core.cli.options import option
from zooter_core.router.config import LABEL_SETTINGS
from zooter_core.router.kinds import LEARN_LABELS

if TYPE_CHECKING:
    from zooter_core.data.scores import Scores
    from zooter_core.method.labels import LabelConfig, Mask
    from zooter_core.router.clusters import Vectors
    from zooter_core.router.distilled import DistilledRouter, RouterHead

USAGE = "--candidate NAME with --scores FILE..., or --without NAME"
DEFAULT_LABELS = "(default: as for the router's first labels)."


def extend(
    context: typer.Context,
    router: options.RouterDir,
    out: Annotated[Path, option("--out", "DIR", "Folder of the new router.")],
    candidate: Annotated[
        str | None, option("--candidate", "NAME", "Candidate to add; --scores has its scores and those of the others.")
    ] = None,
    without: Annotated[str | None, option("--without", "NAME", "Candidate to remove; needs no scores.")] = None,
    scores: Annotated[list[Path] | None, option("--scores", "FILE...", "Score files.")] = None,
    fleet: options.FleetDir = None,
    tagger: options.Tagger = "auto",
    beta: Annotated[float | None, option("--beta", "X", f"Weight of the plain label {DEFAULT_LABELS}")] = None,
    tau: Annotated[float | None, option("--tau", "X", f"Softmax temperature of rewards {DEFAULT_LABELS}")] = None,
    normalise: Annotated[
        str | None, option("--normalise", "NAME", f"Normalisation of rewards {DEFAULT_LABELS}")
    ] = None,
    seed: options.Seed = 0,
    strict: options.Strict = False,
    json: options.Json = False,
) -> None:
    if without:
        others = ("candidate", "scores", "fleet", "tagger", "beta", "tau", "normalise", "seed", "strict")
        options.check_unused(context, "with --without", *others)
    if out.resolve() == router.resolve():
        raise ZooterError("--out as another folder than --router", str(out), "Give a new folder; the old router stays.")
    check_folder(out)
    from zooter_core.router import extend as engine
    from zooter_core.router.distilled import DistilledRouter
    from zooter_core.router.encoder import Encoders
    from zooter_core.router.neighbours import learned_texts

    head: RouterHead
    figures: dict[str, Any]
    learned = learned_texts(router)
    if without:
        old = DistilledRouter.open(router, Encoders())
        head, figures = engine.without(old.head, without), {"removed": without}
    elif candidate and scores:
        old = DistilledRouter.open(router, Encoders())
        settings = options.named(beta=beta, tau=tau, normalise=normalise)
        options.check_learns_from_labels(old.head.config.kind, settings, tagger)
        labels = _labels(old, settings)
        table = engine.matched(options.open_scores(scores, strict), old.candidates, candidate)
        tags = partial(options.tags_of, table, tagger, fleet=fleet, seed=seed)
        head, figures = _add(old, table, labels, tags, seed, engine.familiar_rows(table, learned))
        learned = engine.joined(table, learned)
    else:
        missing = "only one of the two" if candidate or scores else "neither"
        raise ZooterError(USAGE, missing, "Try `zooter extend --help`.")
    figures = {"router": str(out), "candidates": head.config.candidates} | figures
    engine.save(DistilledRouter(head, old.encoder), out, figures, learned)
    print_figures(figures, json, _print)


def _add(
    router: DistilledRouter,
    scores: Scores,
    labels: LabelConfig,
    tags: Callable[[Vectors], Sequence[Sequence[str]]],
    seed: int,
    familiar: Mask | None,
) -> tuple[RouterHead, dict[str, Any]]:
    """A head with the last candidate of the scores added, and the figures of that."""
    from zooter_core.method.tags import TagIndex
    from zooter_core.router import extend as engine

    texts = [query.text for query in scores.queries]
    with bars() as progress:
        vectors = router.encoder.embed_all(texts, lambda done: progress("embed", done, len(texts)))
        examples = engine.Examples(scores, vectors, TagIndex.of(tags(vectors)), labels, familiar)
        extension = engine.extend(router.head, examples, seed)
    config = router.head.config
    return extension.head, {
        "added": scores.candidates[-1],
        "n": len(texts),
        "kind": config.kind,
        "labels": {name: vars(labels)[name] for name in LABEL_SETTINGS} if config.kind in LEARN_LABELS else None,
        "penalty": extension.penalty,
        "temperature": extension.head.config.calibration_temperature,
        "old_temperature": config.calibration_temperature,
    }


def _labels(router: DistilledRouter, settings: dict[str, Any]) -> LabelConfig:
    """The label settings that the router names, or else those of `zooter distill --scores`, with the call's instead."""
    from zooter_core.pipeline.train import SCORE_LABELS

    config = router.head.config
    labels = options.labels_of(replace(SCORE_LABELS, **config.labels), settings)
    if config.kind in LEARN_LABELS and not config.labels and len(settings) < len(LABEL_SETTINGS):
        used = f"normalise {labels.normalise}, tau {labels.tau:g}, beta {labels.beta:g}"
        err.print(f"The router does not name its label settings; the new labels use {used}.")
    return labels


def _print(figures: dict[str, Any]) -> None:
    if "added" in figures:
        settings = figures["labels"] and listed(f"{name} {value}" for name, value in figures["labels"].items())
        labels = f"labels: {settings}; " if settings else ""
        temperature = f"temperature {figures['old_temperature']:.2f} -> {figures['temperature']:.2f}"
        err.print(f"Added {figures['added']} from {figures['n']} queries; {labels}{temperature}.")
    err.print(f"A router for {listed(figures['candidates'])} is in {figures['router']}.")
