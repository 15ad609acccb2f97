"""A clock that is set back makes no duration negative and changes no result: few modules ask for the time of day."""

from __future__ import annotations

import ast
from pathlib import Path

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
