"""What tests of the command line share: files to call it with, and what to expect of its answers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.patience import PATIENCE

POOL = ("base", "one", "two")
ROOT = Path(__file__).resolve().parents[2]
SEA = "What is the sea?"
ADAPTER = "adapters/one/adapter_model.safetensors"


def write_lines(path: Path, lines: Iterable[object]) -> Path:
    """A file of JSON lines."""
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def replace_text(file: Path, old: str, new: str) -> None:
    """Edit a file by hand; it must hold the old text."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def damage(folder: Path, *names: str) -> Path:
    """Spoil files in a folder."""
    for name in names:
        (folder / name).write_bytes(b"broken")
    return folder


def check_decision(shape: dict[str, Any], query: str) -> None:
    """The shape of `zooter route --json`, and that its figures agree with each other."""
    assert {"query", "probabilities", "tags", "candidate", "margin", "certainty"} <= set(shape)
    ordered = sorted(shape["probabilities"].values(), reverse=True)
    assert shape["query"] == query
    assert tuple(shape["probabilities"]) == POOL
    assert sum(ordered) == pytest.approx(1, abs=1e-5)
    assert shape["probabilities"][shape["candidate"]] == ordered[0]
    assert shape["margin"] == pytest.approx(ordered[0] - ordered[1], abs=2e-6)
    assert all({"name", "score"} <= set(tag) for tag in shape["tags"])


def interrupted(*call: object, meanwhile: Callable[[subprocess.Popen[str]], None]) -> tuple[int, str, str]:
    """A call in a process of its own that Ctrl-C ends after `meanwhile`: its exit code, and what it printed since."""
    with subprocess.Popen(
        [sys.executable, "-m", "zooter_core.cli", *map(str, call)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a job in the background would ignore it
    ) as child:  # fmt: skip
        meanwhile(child)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=PATIENCE)
    assert "Traceback" not in err
    return child.returncode, out, err


class NoReward:
    """A reward model that has no number for some texts, or for any where none are named."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts

    def score(self, pairs: Iterable[tuple[str, str]]) -> list[float]:
        return [float("nan") if text in self.texts or not self.texts else float(len(text)) for _, text in pairs]
