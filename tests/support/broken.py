"""Runs that were cut short, a disk that is full, and models whose weights hold what no training gives."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from zooter_core.pipeline import batches

BATCH = 4
FILES = {"collect": "responses.jsonl", "score": "rewards.jsonl", "tag": "tags.jsonl", "label": "labels.jsonl"}


def small(patch: pytest.MonkeyPatch) -> None:
    """Batches so small that every step has several."""
    patch.setattr(batches, "BATCH", BATCH)


def unfinish(folder: Path, step: str, share: float) -> bytes:
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


def texts(folder: Path) -> dict[tuple[str, str], str]:
    lines = (folder / "responses.jsonl").read_text(encoding="utf-8").splitlines()
    return {(record["id"], record["candidate"]): record["text"] for record in map(json.loads, lines)}


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file can grow beyond so many bytes; the error differs from that of a full disk in its number alone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def put_number(folder: Path, number: float, weight: str = "") -> Path:
    """Make a number of a model's weights another one: the first of those whose name holds `weight`."""
    file = folder / "model.safetensors"
    weights = load_file(file)
    name = next(name for name in weights if weight in name and weights[name].is_floating_point())
    weights[name].view(-1)[0] = number
    save_file(weights, file, {"format": "pt"})
    return folder


def change_config(folder: Path, **changes: object) -> Path:
    """Put other fields into a folder's config.json; NaN is written as such."""
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")
    return folder
