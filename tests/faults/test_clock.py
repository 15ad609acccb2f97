"""A clock that is set back: nothing is lost, no duration is negative, and no result depends on it."""

from __future__ import annotations

import ast
import itertools
import json
import time
from pathlib import Path

import pytest

from support.run_folders import same_end

ROOT = Path(__file__).resolve().parents[2]
# Who may ask for the time of day: to note when something was said or judged, to show dates, to say what is newer than a
# week, and to read those in logs; and what the endpoint writes down or sends.
ASKING = {
    "cli/learn.py", "cli/report.py", "cli/serve.py", "cli/serve_keys.py",
    "cli/learn_forget.py",
    "data/json_records.py",
    "learn/changes.py", "learn/imports.py", "learn/judging.py", "learn/versions.py",
    "serve/app.py", "serve/chat.py", "serve/keys.py", "serve/storage.py", "serve/targets.py", "serve/traffic_log.py",
    "ui/chat/controls.py", "ui/history.py", "ui/traffic/source.py", "ui/charts.py",
}  # fmt: skip


@pytest.fixture
def backwards(monkeypatch):
    """Each look at the clock finds it an hour earlier."""
    now = itertools.count(time.time(), -3600)
    monkeypatch.setattr(time, "time", lambda: next(now))


def test_a_whole_run_on_a_clock_that_goes_backwards(called, backwards, finished_run, step_of, tmp_path):
    folder = tmp_path / "run"
    for step in ("collect", "score", "tag", "label", "distill"):
        assert called(*step_of(step, folder))[0] == 0
    assert same_end(folder, finished_run)
    for line in (folder / "responses.jsonl").read_text(encoding="utf-8").splitlines():
        assert 0 < json.loads(line)["first_token_seconds"] <= json.loads(line)["seconds"] < 3600


def test_nothing_else_asks_for_the_time_of_day():
    """Durations come from clocks that only go forward."""
    modules = set()
    for path in (ROOT / "zooter_core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            of = node.value.id if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) else ""
            if name == "datetime" or (of == "time" and name in ("time", "time_ns", "localtime", "gmtime")):
                modules.add(path.relative_to(ROOT / "zooter_core").as_posix())
    assert modules == ASKING
