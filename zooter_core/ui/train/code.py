"""The Train page's choices as a command, as Python and as the README of a saved fleet."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields

from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.base.strict_json import dump_json
from zooter_core.config.fleet import Fleet
from zooter_core.data.scores import Scores, score_line
from zooter_core.evaluation import verdicts
from zooter_core.evaluation.figures import Report
from zooter_core.evaluation.sweep import SweepConfig
from zooter_core.method.labels import LabelConfig
from zooter_core.router.kinds import AUTO, LEARN_LABELS, DistillConfig

TRAINING = DistillConfig()


@dataclass(frozen=True)
class LoadedScores:
    """The scores of one source, or of `only` these candidates and of `most` queries of it.

    Attributes:
        source: identifies the source.
        name: the source in words.
        file: the name of a score file that holds the scores.
        config: the label settings to start with.
        note: about the source, as Markdown.
    """

    source: str
    name: str
    file: str
    scores: Scores
    config: LabelConfig
    note: str = ""
    only: tuple[str, ...] | None = None
    most: int | None = None

    @property
    def key(self) -> str:
        return f"{self.source} {self.only} {self.most}"


@dataclass(frozen=True)
class TrainingData:
    """Scores, tags and label settings for a router.

    Attributes:
        tags: of each query; `tagger` names their source.
    """

    loaded: LoadedScores
    tags: Sequence[Sequence[str]]
    tagger: str
    config: LabelConfig

    @property
    def scores(self) -> Scores:
        return self.loaded.scores


def as_file(scores: Scores) -> bytes:
    lines = (score_line(query, scores.scores_of(row)) for row, query in enumerate(scores.queries))
    return "".join(dump_json(line, ensure_ascii=False) + "\n" for line in lines).encode()


def distill_command(data: TrainingData, training: DistillConfig, fleet: Fleet, out: str) -> str:
    """The command that trains the same router on the complete file."""
    parts = ["zooter", "distill", "--scores", data.loaded.file, "--out", out]
    if training.kind != AUTO:
        parts += ["--router-kind", training.kind]
    if training.kind in LEARN_LABELS:  # the others take no label settings
        parts += _labels(data, fleet)
        parts += ["--beta", f"{data.config.beta:g}", "--tau", f"{data.config.tau:g}", "--epochs", str(training.epochs)]
    else:
        parts += _fleet(fleet)
    return _wrapped([*parts, "--holdout", f"{data.config.holdout:g}"] + ["--keep-texts"] * training.keep_texts)


def sweep_command(data: TrainingData, config: SweepConfig, fleet: Fleet) -> str:
    """The command that makes the same table from the complete file."""
    parts = ["zooter", "sweep", "--scores", data.loaded.file, *_labels(data, fleet)]
    parts += ["--beta", ",".join(f"{beta:g}" for beta in config.betas)]
    parts += ["--tau", ",".join(f"{tau:g}" for tau in config.taus)]
    return _wrapped([*parts, "--folds", str(config.folds), "--seeds", str(config.seeds)])


def _labels(data: TrainingData, fleet: Fleet) -> list[str]:
    return ["--normalise", data.config.normalise, "--tagger", data.tagger, *_fleet(fleet)]


def _fleet(fleet: Fleet) -> list[str]:
    return [] if fleet.folder == EMBEDDED_FLEET else ["--fleet", str(fleet.folder)]


def _wrapped(parts: Sequence[str]) -> str:
    """A command on several short lines, broken before options."""
    lines = [""]
    for part in parts:
        quoted = shlex.quote(part)
        if part.startswith("--") and len(lines[-1]) > 60:
            lines.append("   ")
        lines[-1] += (" " if lines[-1] else "") + quoted
    return " \\\n".join(lines)


def distill_code(data: TrainingData, training: DistillConfig, fleet: Fleet, out: str) -> str:
    """Python code that trains the same router."""
    config, loaded = data.config, data.loaded
    tags = _quoted(data.tagger) if data.tagger != "fleet" else "tags"
    labels = (
        f"beta={config.beta:g}, tau={config.tau:g}, normalise={_quoted(config.normalise)}, holdout={config.holdout:g}"
    )
    changed = {one.name: getattr(training, one.name) for one in fields(training)}
    changed = {name: value for name, value in changed.items() if value != getattr(TRAINING, name)}
    settings = ", ".join(f"{name}={value!r}" for name, value in changed.items())
    lines = [f"scores = read_scores([{_quoted(loaded.file)}])"]
    if loaded.only is not None:
        lines.append(f"scores = scores.only([{', '.join(map(_quoted, loaded.only))}])")
    if loaded.most is not None:
        lines.append(f"scores = scores.sample({loaded.most})")
    if data.tagger == "fleet":
        folder = "models/embedded" if fleet.folder == EMBEDDED_FLEET else str(fleet.folder)
        lines += [
            f"tagger = Ensemble(load_fleet({_quoted(folder)})).tagger",
            "tags = [tuple(tag.name for tag in row) for row in tagger.tag_all(scores.queries)]",
        ]
    lines += [
        f"labels = LabelConfig({labels})",
        f"training = DistillConfig({settings})",
        f"encoder = {_quoted(fleet.encoder)}",
        f"distill(scores, {_quoted(out)}, labels=labels, training=training, encoder=encoder, tags={tags})",
    ]
    imports = {
        "zooter_core.pipeline": "distill",
        "zooter_core.router.kinds": "DistillConfig",
        "zooter_core.method.labels": "LabelConfig",
        "zooter_core.data.scores": "read_scores",
    }
    if data.tagger == "fleet":
        imports |= {"zooter_core.fleet.ensemble": "Ensemble", "zooter_core.config.fleet": "load_fleet"}
    head = [f"from {module} import {name}" for module, name in sorted(imports.items())]
    return "\n".join([*head, "", *lines])


def _quoted(text: str) -> str:
    """A Python string; a JSON string is one."""
    return dump_json(text, ensure_ascii=False)


def readme(name: str, data: TrainingData, training: DistillConfig, report: Report, fleet: Fleet) -> str:
    """The README of a saved folder: how the router was trained, on what, and how good it is."""
    pool = ", ".join(data.scores.candidates)
    lines = [
        f"# {name}",
        "",
        f"A router for {_plain(pool)},",
        f"distilled on the Train page of the demo from {len(data.tags):,} queries of {_plain(data.loaded.name)}.",
        "",
        f"- Labels: beta {data.config.beta:g}, tau {data.config.tau:g}, normalise {data.config.normalise}, "
        f"tags {data.tagger}; {data.config.holdout:.0%} of the queries held back.",
        f"- Training: kind {training.kind}, at most {training.epochs} epochs, encoder `{fleet.encoder}`.",
    ]
    if held_back := report.held_back:
        mean = held_back.mean
        others = f"best single model {mean.regret_best_single:.3f}, random choice {mean.regret_random:.3f}"
        lines.append(f"- Regret on {held_back.n} held-back queries: {mean.regret:.3f}; {others}.")
    if verdict := verdicts.of_report(report):
        lines.append(f"- {verdicts.headline(verdict.but(against=_plain(verdict.against)))}")
    lines += [
        "",
        "fleet.toml names the candidates, reward model and tagger, with their licences; they must stay where they are.",
        "The router trained on the scores named above, whose terms apply to it.",
    ]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """The name of a file or a model without markup."""
    return re.sub(r"[^\w .,:/-]", "?", text)
