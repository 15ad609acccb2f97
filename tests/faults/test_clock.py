"""A clock that is set back: nothing is lost, no duration is negative, and no result depends on it."""

from __future__ import annotations

import ast
import itertools
import json
import time
from pathlib import Path

import pytest

from support.run_folders import same_end
from zooter_core.ui.history import Entry, History

ROOT = Path(__file__).resolve().parents[2]
# Who may ask for the time of day: to note when something was said or judged, to show dates, to say what is newer than a
# week, and to read a server's date to wait for, or those in logs; and what the endpoint writes down or sends.
ASKING = {
    "backends/endpoint/retry.py", "cli/learn.py", "cli/report.py", "cli/serve.py", "cli/serve_keys.py",
    "cli/learn_forget.py",
    "data/json_records.py",
    "learn/changes.py", "learn/imports.py", "learn/judging.py", "learn/versions.py", "serve/chat.py", "serve/keys.py",
    "serve/storage.py", "serve/targets.py", "serve/traffic_log.py",
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


def test_a_history_stays_in_the_order_in_which_it_was_made(backwards, tmp_path):
    history = History(tmp_path / "history.db")
    for id in ("a", "b", "c", "a"):
        history.keep(Entry(id, id, "fleet", 0.0), 0, {})
        history.vote(id, "fleet", {"of": id})
    assert [entry.id for entry in history.entries()] == ["a", "c", "b"]
    assert [vote["of"] for vote in history.votes("fleet")] == ["b", "c", "a"]
    assert history.problem is None


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
