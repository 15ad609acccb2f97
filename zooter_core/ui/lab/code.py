"""What was chosen in the Lab as a command and as Python, and what a saved fleet's README says of it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from zooter_core.config.fleet import Fleet
from zooter_core.data.scores import Scores
from zooter_core.evaluation.report import Report
from zooter_core.evaluation.sweep import SweepConfig
from zooter_core.method.labels import LabelConfig
from zooter_core.paths import EMBEDDED_FLEET
from zooter_core.router.kinds import DistillConfig
from zooter_core.strict_json import dump_json


@dataclass(frozen=True)
class Subject:
    """Scores to learn from, and how rewards become labels.

    Attributes:
        key: tells it from others, label settings aside.
        name: where they come from, in words.
        file: the name of a score file that holds them.
        scores: as they are learned from; `only` and `most` say what was left out of the file.
        tags: of each query; `tagger` says from where.
    """

    key: str
    name: str
    file: str
    scores: Scores
    tags: Sequence[Sequence[str]]
    tagger: str
    config: LabelConfig
    only: tuple[str, ...] | None = None
    most: int | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing of the file was left out: a command takes all of it."""
        return self.only is None and self.most is None


def distill_command(subject: Subject, training: DistillConfig, fleet: Fleet, out: str) -> str:
    """The call that makes the same router from the whole file."""
    parts = ["zooter", "distill", "--scores", subject.file, "--out", out, *_labels(subject, fleet)]
    parts += ["--beta", f"{subject.config.beta:g}", "--tau", f"{subject.config.tau:g}"]
    parts += ["--holdout", f"{subject.config.holdout:g}", "--epochs", str(training.epochs)]
    return _wrapped(parts + ["--keep-texts"] * training.keep_texts)


def sweep_command(subject: Subject, config: SweepConfig, fleet: Fleet) -> str:
    """The call that makes the same table from the whole file."""
    parts = ["zooter", "sweep", "--scores", subject.file, *_labels(subject, fleet)]
    parts += ["--beta", ",".join(f"{beta:g}" for beta in config.betas)]
    parts += ["--tau", ",".join(f"{tau:g}" for tau in config.taus)]
    return _wrapped([*parts, "--folds", str(config.folds), "--seeds", str(config.seeds)])


def _labels(subject: Subject, fleet: Fleet) -> list[str]:
    parts = ["--normalise", subject.config.normalise, "--tagger", subject.tagger]
    return parts if _is_default(fleet) else [*parts, "--fleet", str(fleet.folder)]


def _is_default(fleet: Fleet) -> bool:
    return fleet.folder == EMBEDDED_FLEET


def _wrapped(parts: Sequence[str]) -> str:
    """A call on lines short enough to read: a new one where it gets long, before an option."""
    lines = [""]
    for part in parts:
        quoted = shlex.quote(part)
        if part.startswith("--") and len(lines[-1]) > 60:
            lines.append("   ")
        lines[-1] += (" " if lines[-1] else "") + quoted
    return " \\\n".join(lines)


def distill_code(subject: Subject, training: DistillConfig, fleet: Fleet, out: str) -> str:
    """The same in Python."""
    config = subject.config
    lines = [*_reading(subject), *_tagging(subject, fleet)]
    tags = _quoted(subject.tagger) if subject.tagger != "fleet" else "tags"
    labels = (
        f"beta={config.beta:g}, tau={config.tau:g}, normalise={_quoted(config.normalise)}, holdout={config.holdout:g}"
    )
    kept = ", keep_texts=True" if training.keep_texts else ""
    lines += [
        f"labels = LabelConfig({labels})",
        f"training = DistillConfig(epochs={training.epochs}{kept})",
        f"encoder = {_quoted(fleet.encoder)}",
        f"distill(scores, {_quoted(out)}, labels=labels, training=training, encoder=encoder, tags={tags})",
    ]
    imports = {
        "zooter_core.pipeline": ["distill"],
        "zooter_core.router.kinds": ["DistillConfig"],
        "zooter_core.method.labels": ["LabelConfig"],
        "zooter_core.data.scores": ["read_scores"],
    }
    if subject.tagger == "fleet":
        imports |= {"zooter_core.ensemble": ["Ensemble"], "zooter_core.config.fleet": ["load_fleet"]}
    head = [f"from {name} import {', '.join(imports[name])}" for name in sorted(imports)]
    return "\n".join([*head, "", *lines])


def _quoted(text: str) -> str:
    """As a Python string: JSON's is one, with the quotes that code here has."""
    return dump_json(text, ensure_ascii=False)


def _reading(subject: Subject) -> list[str]:
    lines = [f"scores = read_scores([{_quoted(subject.file)}])"]
    if subject.only is not None:
        lines.append(f"scores = scores.only([{', '.join(map(_quoted, subject.only))}])")
    if subject.most is not None:
        lines.append(f"scores = scores.sample({subject.most})")
    return lines


def _tagging(subject: Subject, fleet: Fleet) -> list[str]:
    if subject.tagger != "fleet":
        return []
    folder = "models/embedded" if _is_default(fleet) else str(fleet.folder)
    return [
        f"tagger = Ensemble(load_fleet({_quoted(folder)})).tagger",
        "found = tagger.tag_all(scores.queries)",
        "tags = [tuple(tag.name for tag in row) for row in found]",
    ]


def readme(name: str, subject: Subject, training: DistillConfig, report: Report, fleet: Fleet) -> str:
    """What a saved folder says of itself: how it was made, from what, and how good it is."""
    pool = ", ".join(subject.scores.candidates)
    lines = [
        f"# {name}",
        "",
        f"A router for {_plain(pool)},",
        f"distilled in the Lab page of the demo from {len(subject.tags):,} queries of {_plain(subject.name)}.",
        "",
        f"- Labels: beta {subject.config.beta:g}, tau {subject.config.tau:g}, normalise {subject.config.normalise}, "
        f"tags {subject.tagger}; {subject.config.holdout:.0%} of the queries held back.",
        f"- Training: at most {training.epochs} epochs, encoder `{fleet.encoder}`.",
    ]
    if found := report.held_back:
        mean, (low, high) = found["mean"], found["interval"]["regret"]
        others = f"best single candidate {mean['regret_best_single']:.3f}, random choice {mean['regret_random']:.3f}"
        lines.append(
            f"- Regret on {found['n']} held-back queries: {mean['regret']:.3f} (95% {low:.3f} to {high:.3f}); {others}."
        )
    lines += [
        "",
        "Candidates, reward model and tagger are named in fleet.toml, and must stay where they are; their licences are",
        "told there. The router learned from the scores named above, and their terms hold for it.",
    ]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """The name of a file or a model, which may be anything."""
    return re.sub(r"[^\w .,:/-]", "?", text)
