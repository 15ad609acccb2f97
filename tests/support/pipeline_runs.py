"""What the tests of the pipeline share: a run of every step, its files, and ways to take some of them back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zooter_core import pipeline
from zooter_core.data.runs import Run
from zooter_core.errors import ZooterError
from zooter_core.method.labels import LabelConfig
from zooter_core.router.kinds import DistillConfig

POOL = ("base", "one", "two")
FILES = {"collect": "responses.jsonl", "score": "rewards.jsonl", "tag": "tags.jsonl", "label": "labels.jsonl"}
DISTILL = DistillConfig(epochs=2)


def work(folder, ensemble, queries, progress=pipeline.quiet, label=LabelConfig()) -> None:  # noqa: B008
    """Every step of the pipeline."""
    with Run(folder, create=True) as run:
        pipeline.start(run, ensemble, queries)
        pipeline.collect(run, ensemble, ensemble.fleet.generation, progress)
        pipeline.score(run, ensemble, progress)
        pipeline.tag(run, ensemble, progress)
        pipeline.label(run, label, progress)
        pipeline.distill_run(run, ensemble, ensemble.fleet.tagger.encoder, DISTILL, progress)


def records(folder, file) -> list[dict]:
    return [json.loads(line) for line in (folder / file).read_text(encoding="utf-8").splitlines()]


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def unfinish(folder: Path, step: str) -> None:
    """A run as it was before a step was finished: no seal from there on, no later file."""
    state = json.loads((folder / "run.json").read_text())
    for later in list(FILES)[list(FILES).index(step) :]:
        del state["seals"][later]
        if later != step:
            (folder / FILES[later]).unlink()
    (folder / "run.json").write_text(json.dumps(state))


def forget_distill(folder: Path) -> None:
    """A run as it was before the step distill began."""
    state = json.loads((folder / "run.json").read_text())
    del state["steps"]["distill"], state["seals"]["distill"]
    (folder / "run.json").write_text(json.dumps(state))


def refusal(folder, step) -> str:
    with Run(folder) as run, pytest.raises(ZooterError) as caught:
        step(run)
    assert caught.value.exit_code == 2
    return str(caught.value)
