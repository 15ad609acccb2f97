"""What can be known of a run before its first request, which may cost money: all of it is checked here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from zooter_core import pipeline
from zooter_core.config.candidates import RECORDED
from zooter_core.config.fleet import GenerationConfig
from zooter_core.config.labelling import CheckpointConfig
from zooter_core.data.runs import RUN_FILES, Run, Settings
from zooter_core.ensemble import Ensemble, missing_table
from zooter_core.errors import ZooterError
from zooter_core.evaluation.evaluate import check_names
from zooter_core.files import check_file
from zooter_core.method import labels
from zooter_core.method.labels import LabelConfig, held_back
from zooter_core.records import Query
from zooter_core.router import finetune
from zooter_core.router.kinds import DistillConfig

STEPS = ("start", "collect", "score", "tag", "label", "distill")


@dataclass(frozen=True)
class Plan:
    """What is to be done with a run.

    Attributes:
        steps: those of STEPS that are to be taken. `start` has `queries`, `collect` has `generation` and `samples`,
            `label` has `labels`, `distill` has `encoder` and `training`.
        scores: a score file to write at the end.
    """

    steps: Sequence[str]
    queries: Sequence[Query] = ()
    generation: GenerationConfig | None = None
    samples: int = 1
    labels: LabelConfig | None = None
    encoder: str = ""
    training: DistillConfig | None = None
    scores: Path | None = None


def check(run: Run, plan: Plan, ensemble: Ensemble | None = None) -> None:
    """Refuse a plan that would fail later; the run stays as it is.

    A step that is finished needs nothing any more, so that what it worked with may be gone.

    Args:
        ensemble: needed for every step but `label`.

    Raises:
        ZooterError: a setting makes no sense or differs from those with which the run began, the fleet lacks a part, or
            a file cannot be written.
        WorkError: a model or server does not work, or a finished file of the run was changed.
    """
    _check_settings(plan)
    if plan.scores:
        _check_scores(run, plan.scores)
    open_steps = [step for step in plan.steps if not run.sealed(step)]
    if ensemble is not None:
        _check_parts(ensemble, open_steps)
    for step, settings in _settings(plan, ensemble).items():
        run.agree(step, settings)
    if ensemble is not None:
        _check_models(run, plan, ensemble, open_steps)


def _check_settings(plan: Plan) -> None:
    pipeline.check_samples(plan.samples)
    if plan.labels:
        one = plan.labels
        labels.label(np.zeros((1, 2)), ["all"], [()], one)
        if plan.queries and all(held_back(query.id, one) for query in plan.queries):
            found = f"all {len(plan.queries)} held back by --holdout {one.holdout:g}"
            raise ZooterError("at least one query to learn from", found, "Lower --holdout, or give more queries.")
    if plan.training and plan.training.finetune != "none":
        finetune.check_settings(plan.training)


def _check_samples(plan: Plan, ensemble: Ensemble) -> None:
    """Refuse samples that would all be the same. Recorded ones are what they are."""
    drawn = any(candidate.backend != RECORDED for candidate in ensemble.fleet.candidates)
    if plan.generation and plan.samples > 1 and plan.generation.temperature == 0 and drawn:
        raise ZooterError(
            f"a temperature above 0 for {plan.samples} samples",
            "0, at which all samples of a query are the same",
            "Use --samples 1, or for instance --temperature 0.7.",
        )


def _check_scores(run: Run, path: Path) -> None:
    """Refuse a score file that cannot be written, or that would take the place of one of the run's own files."""
    inside = path.resolve().is_relative_to(run.folder.resolve())
    if inside and path.resolve().relative_to(run.folder.resolve()).parts[:1] in [(name,) for name in RUN_FILES]:
        raise ZooterError(
            "--scores as a file of its own", f"{path}, which is the run's", f"Name it {run.folder / 'scores.jsonl'}."
        )
    check_file(path)


def _check_parts(ensemble: Ensemble, steps: Sequence[str]) -> None:
    """Refuse a fleet without a table that a step needs, or whose report could not be written."""
    for step, table in (("score", "reward"), ("tag", "tagger")):
        if step in steps and getattr(ensemble.fleet, table) is None:
            raise missing_table(ensemble.fleet, table)
    if "distill" in steps:
        check_names(ensemble.fleet.pool)


def _settings(plan: Plan, ensemble: Ensemble | None) -> dict[str, Settings]:
    """What each step of the plan would write down when it begins."""
    found: dict[str, Settings] = {}
    if ensemble is not None:
        hashes = ensemble.fleet.fingerprint()
        found["start"] = pipeline.start_settings(ensemble, plan.queries)
        if plan.generation:
            found["collect"] = pipeline.collect_settings(ensemble, plan.generation, plan.samples)
        found["score"] = {"reward_sha256": hashes["reward"]}
        found["tag"] = {"tagger_sha256": hashes["tagger"]}
    if plan.labels:
        found["label"] = asdict(plan.labels)
    if plan.training:
        found["distill"] = pipeline.distill_settings(plan.encoder, plan.training)
    return {step: settings for step, settings in found.items() if step in plan.steps}


def _check_models(run: Run, plan: Plan, ensemble: Ensemble, steps: Sequence[str]) -> None:
    """Load what is small, and look at the files and servers of what is not. `collect` itself loads the candidates."""
    if "collect" in steps and "collect" not in run.state["steps"]:
        _check_samples(plan, ensemble)
    fleet = ensemble.fleet
    if "score" in steps:
        if isinstance(fleet.reward, CheckpointConfig):  # its weights take long to load
            from zooter_core.labelling.rewards.architectures import check_files

            check_files(fleet.reward)
        else:
            _ = ensemble.reward_model
    if "tag" in steps:
        tagger = ensemble.tagger
        if fleet.tagger and fleet.tagger.kind == "given":
            tagger.tag_all(plan.queries or run.queries())
    if "distill" in steps:
        ensemble.encoders(plan.encoder)
