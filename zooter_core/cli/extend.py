"""`zooter extend`: a candidate more, or one less, in a router's pool."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.table import Table

from zooter_core.cli.options import err, given_labels, label_of, numbers_of, out, print_json, progress_bars
from zooter_core.cli.pipeline import tags_for
from zooter_core.data.scores import read_scores
from zooter_core.errors import ZooterError, listed
from zooter_core.evaluation.learning_curve import learning_curve, sizes_of
from zooter_core.files import check_folder
from zooter_core.method.labels import LabelConfig
from zooter_core.pipeline.train import SCORE_LABELS
from zooter_core.router import extend as engine
from zooter_core.router.config import LABEL_SETTINGS
from zooter_core.router.encoder import Encoders
from zooter_core.router.kinds import DEFAULT
from zooter_core.router.router import Router
from zooter_core.weights import quiet_libraries


def extend(call: Namespace) -> None:
    """A router's folder with a candidate added to its pool, or without one of them."""
    adding = bool(call.candidate and call.scores)
    if adding == bool(call.without) or (call.without and (call.candidate or call.scores)):
        raise ZooterError(
            "--candidate NAME with --scores FILE..., or --without NAME",
            "neither or both",
            "Try `zooter extend --help`.",
        )
    if Path(call.out).resolve() == Path(call.router).resolve():
        raise ZooterError("--out as another folder than --router", call.out, "The old router is kept; give a new one.")
    check_folder(Path(call.out))
    quiet_libraries()
    router = Router.load(call.router, Encoders())
    figures = _add(call, router) if adding else _take_out(call, router)
    if call.json:
        print_json(figures)
    else:
        _print(figures)


def _take_out(call: Namespace, router: Router) -> dict[str, Any]:
    head = engine.without(router.head, call.without)
    figures = {"router": call.out, "candidates": head.config.candidates, "removed": call.without}
    engine.save(Router(head, router.encoder), Path(call.out), figures)
    return figures


def _add(call: Namespace, router: Router) -> dict[str, Any]:
    kind = router.head.config.kind
    config = _labels(call, router)
    scores = engine.matched(read_scores(call.scores), router.candidates, call.candidate)
    asked = tuple(int(number) for number in numbers_of(call, "curve")) if call.curve else None
    sizes = sizes_of(len(scores.queries), asked)
    texts = [query.text for query in scores.queries]
    with progress_bars() as progress:
        vectors = router.encoder.embed_all(texts, lambda done: progress("embed", done, len(texts)))
        examples = engine.Examples(scores, vectors, tags_for(call, scores, vectors), config)
        made = engine.extend(router.head, examples, call.seed)
        curve = learning_curve(router.head, examples, sizes, call.seed, progress) if sizes else None
    figures = {
        "router": call.out,
        "candidates": made.head.config.candidates,
        "added": call.candidate,
        "n": len(texts),
        "kind": kind,
        "labels": {name: vars(config)[name] for name in LABEL_SETTINGS} if kind == DEFAULT else None,
        "penalty": made.penalty,
        "temperature": made.head.config.calibration_temperature,
        "old_temperature": router.head.config.calibration_temperature,
        "curve": curve,
    }
    engine.save(Router(made.head, router.encoder), Path(call.out), figures)
    return figures


def _labels(call: Namespace, router: Router) -> LabelConfig:
    """The settings that the router's own labels were made with, else those of `zooter distill --scores`."""
    known, kind, given = router.head.config.labels, router.head.config.kind, given_labels(call)
    if kind != DEFAULT and (given or call.tagger == "fleet"):
        raise ZooterError(
            f"no label settings for the router kind {kind}, which learns from the scores",
            listed([f"--{name}" for name in given] or ["--tagger fleet"]),
            "Leave them out.",
        )
    config = label_of(call, replace(SCORE_LABELS, **known))
    if kind == DEFAULT and not known and len(given) < 3:
        said = f"normalise {config.normalise}, tau {config.tau:g}, beta {config.beta:g}"
        err.print(f"The router does not say how its labels were made; the new ones are made with {said}.")
    return config


def _print(figures: dict[str, Any]) -> None:
    if figures.get("curve"):
        _print_curve(figures["curve"], figures["added"])
    if "added" in figures:
        scale = figures["labels"] and listed(f"{name} {value}" for name, value in figures["labels"].items())
        err.print(f"{figures['added']} from {figures['n']} queries; {f'labels: {scale}; ' if scale else ''}"
                       f"temperature {figures['old_temperature']:.2f} -> {figures['temperature']:.2f}.")  # fmt: skip
    err.print(f"A router for {listed(figures['candidates'])} is in {figures['router']}.")


def _print_curve(curve: dict[str, Any], name: str) -> None:
    title = f"mean score on {curve['judged']} queries kept, {curve['seeds']} seeds; {name} added"
    columns = ("queries", "extended", "minus old, 95%", "new one chosen", "from scratch")
    table = Table(*columns, title=title, title_justify="left")
    for row in curve["rows"]:
        low, high = row["extended_minus_old"]
        cells = (f"{row['extended']:.4f}", f"{low:.4f} to {high:.4f}", f"{row['chosen']:.0%}", f"{row['scratch']:.4f}")
        table.add_row(str(row["n"]), *cells)
    out.print(table)
    beside = f"the old router {curve['old']:.4f}, best single {curve['single']:.4f}, oracle {curve['oracle']:.4f}"
    out.print(f"{beside}; from scratch with all {curve['learned']} others {curve['all']:.4f}")
