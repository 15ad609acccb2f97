"""Checks everything that can be checked before a run's first request, which may cost money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from zooter_core.base.errors import ZooterError
from zooter_core.base.files import check_file
from zooter_core.base.records import Query
from zooter_core.base.weights import has_torch
from zooter_core.config.candidates import RECORDED
from zooter_core.config.fleet import GenerationConfig
from zooter_core.config.labelling import CheckpointConfig
from zooter_core.data.evident_keys import derive_key
from zooter_core.data.run_folder import RUN_FILES, STEPS, Settings
from zooter_core.data.runs import Run
from zooter_core.evaluation.figures import check_names
from zooter_core.evaluation.verified import check_verifiable
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method import labels
from zooter_core.method.labels import LabelConfig
from zooter_core.pipeline.collect import OF_POOL, collect_settings, has_another_pool, start_settings
from zooter_core.pipeline.label import draw_held_back
from zooter_core.router.kinds import DistillConfig


@dataclass(frozen=True)
class Plan:
    """The steps to do in a run, and their settings."""

    # Some of `run_folder.STEPS`. `start` needs `queries`, `collect` needs `generation` and `samples`, `label` needs
    # `labels`, and `distill` needs `encoder` and `training`.
    steps: Sequence[str]
    queries: Sequence[Query] = ()
    generation: GenerationConfig | None = None
    samples: int = 1
    labels: LabelConfig | None = None
    encoder: str = ""
    training: DistillConfig | None = None
    scores: Path | None = None  # a score file to write at the end


def check(run: Run, plan: Plan, ensemble: Ensemble) -> None:
    """Check that a plan will not fail later. The run is not changed.

    Models and servers of finished steps are not checked, since they are no longer needed.

    Raises:
        ZooterError: the step before the plan's first one is not finished, a setting is invalid or differs from the
            run's, the fleet lacks a part, or a file cannot be written.
        WorkError: a model or server does not work.
    """
    if plan.steps[0] != "start":
        run.require(STEPS[STEPS.index(plan.steps[0]) - 1])
    _check_settings(plan)
    if plan.scores:
        _check_scores(run, plan.scores)
    again = OF_POOL if has_another_pool(run, ensemble.fleet) else ()
    open_steps = [step for step in plan.steps if not run.is_finished(step) or step in again]
    for step, table in (("score", "reward"), ("tag", "tagger")):
        if step in open_steps and getattr(ensemble.fleet, table) is None:
            raise ensemble.fleet.missing(table)
    if "distill" in open_steps:
        check_names(ensemble.fleet.pool)
    for step, settings in _settings(run, plan, ensemble).items():
        run.agree(step, settings)
    _check_models(run, plan, ensemble, open_steps)


def _check_settings(plan: Plan) -> None:
    if plan.samples < 1:
        raise ZooterError("one response or more per candidate and query", f"{plan.samples}", "Use --samples 1 or more.")
    if config := plan.labels:
        labels.label(np.zeros((1, 2)), ["all"], [()], config)
        if plan.queries and draw_held_back(plan.queries, config).all():
            sentence = f"--holdout {config.holdout:g} holds back all {len(plan.queries)} queries."
            raise ZooterError.saying(sentence, "Lower --holdout, or give more queries.")
    if plan.training and plan.training.finetune != "none":
        from zooter_core.router import finetune

        finetune.check_finetuning(plan.training)


def _check_scores(run: Run, path: Path) -> None:
    """Check that a score file can be written, and that it would not overwrite one of the run's own files."""
    inside = path.resolve().is_relative_to(run.folder.resolve())
    if inside and path.resolve().relative_to(run.folder.resolve()).parts[:1] in [(name,) for name in RUN_FILES]:
        raise ZooterError.saying(
            f"--scores is {path}, one of the run's own files.", f"Name it {run.folder / 'scores.jsonl'}."
        )
    check_file(path)


def _settings(run: Run, plan: Plan, ensemble: Ensemble) -> dict[str, Settings]:
    """The settings that each step of the plan records when it begins."""
    fleet = ensemble.fleet
    settings: dict[str, Settings] = {
        "start": start_settings(ensemble, plan.queries),
        "score": {"reward_sha256": fleet.hash_part("reward")},
        "tag": {"tagger_sha256": fleet.hash_part("tagger")},
    }
    if plan.generation:
        settings["collect"] = collect_settings(run, ensemble, plan.generation, plan.samples, plan.queries)
    if plan.labels:
        settings["label"] = asdict(plan.labels)
    if plan.training:
        settings["distill"] = distill_settings(plan.encoder, plan.training)
    return {step: values for step, values in settings.items() if step in plan.steps}


def distill_settings(encoder: str, config: DistillConfig) -> Settings:
    """The settings that a run records for the step distill."""
    values = asdict(config)
    extra = values.pop("extra")
    return {"encoder": encoder, **values, "own": extra}  # so that errors name a changed kind before its settings


def _check_models(run: Run, plan: Plan, ensemble: Ensemble, steps: Sequence[str]) -> None:
    """Load small models, and check the files and servers of large models. Candidates are loaded by `collect`."""
    fleet, begins = ensemble.fleet, "collect" in steps and "collect" not in run.state["steps"]
    alike = plan.generation is not None and plan.generation.temperature == 0 and plan.samples > 1
    if begins and alike and any(candidate.backend != RECORDED for candidate in fleet.candidates):
        raise ZooterError(
            f"a temperature above 0 for {plan.samples} samples",
            "0, at which all samples of a query are the same",
            "Use --samples 1, or for instance --temperature 0.7.",
        )
    if "score" in steps:
        queries = plan.queries or (run.queries() if run.is_finished("start") else ())
        check_verifiable(key for query in queries if (key := derive_key(query)))
        if isinstance(fleet.reward, CheckpointConfig) and has_torch():  # whose weights take long to load
            from zooter_core.labelling.rewards.architectures import check_files

            check_files(fleet.reward)
        else:
            _ = ensemble.reward_model
    if "tag" in steps:
        _ = ensemble.tagger
        from_file = fleet.tagger and fleet.tagger.kind == "given"
        if from_file and not any(query.tags for query in plan.queries or run.queries()):
            step = "Add them, or name another tagger."
            raise ZooterError('queries with "tags", for the tagger kind "given"', "none with any", step)
    if "distill" in steps:
        ensemble.encoders(plan.encoder)
