"""Run folders: a run of every step, what its files hold, and ways to take some of them back.

Nothing here needs a model: what does imports its libraries when it is called.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import tiny_models
from zooter_core import pipeline
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Query
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method import selection
from zooter_core.method.labels import LabelConfig
from zooter_core.pipeline import batches
from zooter_core.router.kinds import DistillConfig

POOL = ("base", "one", "two")
FILES = {"collect": "responses.jsonl", "score": "rewards.jsonl", "tag": "tags.jsonl", "label": "labels.jsonl"}
TEXTS = [text.replace("12 + 30 = ?", "12 and 30 pears") for text in tiny_models.QUERIES]  # a sum has an answer key
QUERIES = [Query(f"q{n:02d}", text, "even" if n % 2 else "odd") for n, text in enumerate(TEXTS)]
DISTILL = DistillConfig(epochs=2)
REAL_LIFTS = selection.lifts


def small_batches(patch: pytest.MonkeyPatch) -> None:
    """Batches so small that every step has several; and few draws for a report's intervals, which take long."""
    patch.setattr(batches, "BATCH", 4)
    few_draws(patch)


def few_draws(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(selection, "lifts", lambda *values: REAL_LIFTS(*values, draws=20))


def run_all_steps(
    folder: Path,
    ensemble: Ensemble,
    queries: list[Query],
    progress: pipeline.Progress = pipeline.quiet,
    label: LabelConfig = LabelConfig(),  # noqa: B008
    distill: bool = True,
) -> None:
    """Every step of the pipeline, or all but the last."""
    with Run(folder, create=True) as run:
        pipeline.start(run, ensemble, queries)
        pipeline.collect(run, ensemble, ensemble.fleet.generation, progress)
        pipeline.score(run, ensemble, progress)
        pipeline.tag(run, ensemble, progress)
        pipeline.label(run, label, progress)
        if distill:
            pipeline.distill_run(run, ensemble, ensemble.fleet.tagger.encoder, DISTILL, progress)


def records(folder: Path, file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / file).read_text(encoding="utf-8").splitlines()]


def texts(folder: Path) -> dict[tuple[str, str], str]:
    """The responses of a run by (query's id, candidate)."""
    return {(record["id"], record["candidate"]): record["text"] for record in records(folder, "responses.jsonl")}


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but the lock, which holds nothing."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def same_end(folder: Path, finished_run: Path) -> bool:
    """Whether a run ended as one that nothing interrupted: byte by byte, but for how long each response took."""
    one, other = content(folder), content(finished_run)
    assert set(one) == set(other)
    assert texts(folder) == texts(finished_run)
    for name in set(one) - {"responses.jsonl", "run.json"}:
        assert one[name] == other[name], name
    return True


def same_result(folder: Path, other: Path) -> bool:
    """Whether two runs, whose responses came in another order or of more candidates, have the same labels, router and
    figures, and finished the same steps."""
    for name in ("labels.jsonl", "tags.jsonl", "router/model.safetensors", "router/neighbours.json"):
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name
    one, two = (sorted((place / "rewards.jsonl").read_bytes().splitlines()) for place in (folder, other))
    assert one == two
    one, two = (json.loads((place / "report.json").read_text()) for place in (folder, other))
    assert one == two
    return finished_steps(folder) == finished_steps(other)


def finished_steps(folder: Path) -> set[str]:
    return set(json.loads((folder / "run.json").read_text())["seals"])


def unfinish(folder: Path, step: str, share: float = 1.0) -> bytes:
    """A run as it was when a step had done a share of its lines; what the step's file then holds."""
    state = json.loads((folder / "run.json").read_text())
    steps = [*FILES, "distill"]
    for later in steps[steps.index(step) :]:
        del state["seals"][later]
        if later in FILES and later != step:
            (folder / FILES[later]).unlink()
        if later != step:
            del state["steps"][later]
    (folder / "run.json").write_text(json.dumps(state, indent=2) + "\n")
    shutil.rmtree(folder / "router")
    (folder / "report.json").unlink()
    if step == "distill":
        return b""
    lines = (folder / FILES[step]).read_bytes().splitlines(keepends=True)
    start = b"".join(lines[: int(len(lines) * share)])
    (folder / FILES[step]).write_bytes(start)
    return start


def forget_steps(folder: Path, *steps: str) -> None:
    """A run folder whose run.json knows nothing of these steps, though their files are there."""
    state = json.loads((folder / "run.json").read_text())
    for step in steps:
        del state["steps"][step], state["seals"][step]
    (folder / "run.json").write_text(json.dumps(state))


def refusal(folder: Path, step: Callable[[Run], object]) -> str:
    """The message with which a step refuses a run folder."""
    with Run(folder) as run, pytest.raises(ZooterError) as caught:
        step(run)
    assert caught.value.exit_code == 2
    return str(caught.value)
