"""Options as the settings that the rooms below take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.files import check_file
from zooter_core.cli.arguments import FinetunedPart, TagSource
from zooter_core.cli.consoles import err
from zooter_core.cli.fleets import open_ensemble
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data.run_folder import Shard
from zooter_core.method.labels import LabelConfig
from zooter_core.router.kinds import DEFAULT, DistillConfig, settings_of

if TYPE_CHECKING:
    from zooter_core.data.scores import Scores
    from zooter_core.fleet.ensemble import Ensemble
    from zooter_core.pipeline.collect import Collecting
    from zooter_core.pipeline.on_ray import RayEngine
    from zooter_core.router.clusters import Vectors


def named(**options: Any) -> dict[str, Any]:
    """The options that a call names."""
    return {name: value for name, value in options.items() if value is not None}


def generation_of(
    defaults: GenerationConfig, temperature: float | None, max_new_tokens: int | None, seed: int | None = None
) -> GenerationConfig:
    """The fleet's generation settings with what the call names instead."""
    return replace(defaults, **named(temperature=temperature, max_new_tokens=max_new_tokens, seed=seed))


def collecting_of(allow_missing: bool, budget_usd: float | None, shard: str | None = None) -> Collecting:
    """How to collect.

    Raises:
        ZooterError: the budget is not a number above 0, or there is no such shard.
    """
    from zooter_core.pipeline.collect import Collecting

    if budget_usd is not None and not 0 < budget_usd < math.inf:
        raise ZooterError("--budget-usd above 0", str(budget_usd), "For instance --budget-usd 20.")
    return Collecting(allow_missing, budget_usd, Shard.parse(shard) if shard else None)


def engine_of(
    name: str, ensemble: Ensemble, out: Path, address: str | None, gpus: Sequence[str] | None
) -> AbstractContextManager[RayEngine | None]:
    """The engine of a run, for a `with` block; None for this process.

    Raises:
        ZooterError: an option of Ray without it, or a share of a GPU that is none.
    """
    if name == "local":
        if address or gpus:
            raise ZooterError("--engine ray with --address or --gpus", "--engine local", "Add --engine ray.")
        return nullcontext()
    from zooter_core.pipeline.on_ray import ray_engine

    shares: dict[str, float] = {}
    for pair in gpus or ():
        candidate, _, share = pair.rpartition("=")
        try:
            shares[candidate] = float(share)
        except ValueError:
            shares[candidate] = -1.0
        if not candidate or not 0 <= shares[candidate] < math.inf:
            raise ZooterError("--gpus as NAME=SHARE", repr(pair), "For instance --gpus math=0.5.")
    return ray_engine(ensemble, out, address, shares)


def labels_of(defaults: LabelConfig, options: dict[str, Any]) -> LabelConfig:
    """Label settings with what the call names instead (`named`).

    Raises:
        ZooterError: --holdout is out of range.
    """
    config = replace(defaults, **options)
    if not 0 <= config.holdout < 1:
        raise ZooterError("--holdout from 0 to below 1", str(config.holdout), "Choose another share.")
    return config


def check_learns_from_labels(kind: str, options: dict[str, Any], tagger: TagSource) -> None:
    """Refuse label settings for a kind of router that learns from the scores themselves."""
    unused = [f"--{name}" for name in options if name != "holdout"] or ["--tagger fleet"] * (tagger == "fleet")
    if kind != DEFAULT and unused:
        raise ZooterError(
            f"no label settings for the router kind {kind}, which learns from the scores",
            listed(unused),
            "Leave them out.",
        )


def training_of(
    kind: str,
    settings: Sequence[str] | None,
    epochs: int | None,
    seed: int | None,
    finetune: FinetunedPart,
    keep_texts: bool,
) -> DistillConfig:
    """How a router is trained.

    Args:
        settings: the values of --router-set, each `NAME=NUMBER`.

    Raises:
        ZooterError: a setting is not a number, or not one of this kind.
    """
    numbers: dict[str, float] = {}
    for pair in settings or ():
        name, _, value = pair.partition("=")
        try:
            numbers[name] = float(value)
        except ValueError as problem:
            raise ZooterError("--router-set as NAME=NUMBER", repr(pair), "For instance --router-set k=50.") from problem
    config = settings_of(kind, numbers | named(epochs=epochs), seed=seed or 0)
    return replace(config, keep_texts=keep_texts, finetune=finetune)


def numbers_of(option: str, text: str) -> tuple[float, ...]:
    """The value of an option that is a list like 0,0.3,1.

    Raises:
        ZooterError: a part of it is not a number.
    """
    try:
        return tuple(dict.fromkeys(float(part) for part in text.split(",")))
    except ValueError as problem:
        raise ZooterError(
            f"{option} as numbers with commas", repr(text), f"For instance {option} 0.1,0.3,1."
        ) from problem


def check_plot(path: Path | None) -> None:
    """Refuse a --plot that is not a page or cannot be written, before the work."""
    if path is None:
        return
    if path.suffix != ".html":
        raise ZooterError("--plot as a file that ends in .html", str(path), "Rename it.")
    check_file(path)


def open_scores(paths: Sequence[Path], strict: bool) -> Scores:
    """Score files, with a note of the scores that they lack."""
    from zooter_core.data.scores import read_scores

    scores = read_scores(paths, strict=strict)
    total = len(scores.queries)
    if scores.missing:
        lacking = listed(f"{name} on {count:,}" for name, count in scores.missing.items())
        err.print(f"Scores are missing, of {total:,} queries: {lacking}. Their labels come from similar queries.")
    if scores.left_out:
        err.print(f"Left out: {scores.left_out:,} queries with scores of fewer than two candidates.")
    return scores


def tags_of(
    scores: Scores, source: TagSource, vectors: Vectors, fleet: Path | None, seed: int = 0
) -> Sequence[Sequence[str]]:
    """The tags of each query of a score file, from where --tagger says.

    Args:
        vectors: of the queries, shape (n, width).
    """
    if source != "fleet":
        from zooter_core.pipeline import train

        return train.tags_of(scores, source, vectors, seed)
    tagged = open_ensemble(fleet).tagger.tag_all(scores.queries)
    return [tuple(tag.name for tag in tags) for tags in tagged]
