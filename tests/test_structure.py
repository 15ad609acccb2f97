"""Who may import whom. A module imports from lower levels only; this table is the whole rule."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# From the ground up. A package (backends, heads, rewards, taggers, ui) stands for all of its modules.
LEVELS = (
    ("errors", "records", "redaction", "surrogates"),
    ("quiet", "strict_json"),
    ("disk", "toml"),
    (
        *(
            "calculator",
            "calibration",
            "clusters",
            "edits",
            "endpoint",
            "hosts",
            "labellers",
            "labels",
            "metrics",
            "plugins",
            "processor",
            "sandbox",
        ),
        *("projection", "selection", "terminal", "weights"),
    ),
    ("benchmark", "candidates", "graph", "learned", "run_lines", "run_state", "scores"),
    ("fleet", "int8"),
    ("curate", "encoder", "imports", "prices"),
    ("backends", "heads"),
    ("rewards", "router_config", "taggers"),
    ("neighbours", "router"),
    ("explain", "takeover"),
    ("runs", "distill", "ensemble", "exports"),
    ("baselines", "finetune", "robustness", "sources"),
    ("evaluate", "sweep"),
    ("fit",),
    ("bench", "pipeline"),
    ("from_scores", "plan"),
    ("extend",),
    ("growth", "new_fleet"),
    ("commands", "ui"),
    ("cli",),
)
LEVEL = {name: height for height, names in enumerate(LEVELS) for name in names}
PURE = ("calibration", "labels", "learned", "metrics", "projection", "selection")
LIGHT = (
    *("calculator", "disk", "errors", "records", "calibration", "labels", "metrics", "fleet", "scores", "runs"),
    *("plugins", "weights", "heads", "curate", "selection", "prices", "learned", "projection", "benchmark", "endpoint"),
    *("hosts", "imports", "cli", "router_config", "sandbox", "strict_json"),
)
HEAVY = ("torch", "transformers", "streamlit", "plotly")


def modules() -> dict[str, Path]:
    """Every module of zooter_core by its dotted name without the package; `backends` is its __init__."""
    core = ROOT / "zooter_core"
    found = {}
    for path in sorted(core.rglob("*.py")):
        parts = path.relative_to(core).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(path: Path) -> set[str]:
    """The full names that a file imports, wherever in it: `from a import b` is `a.b`."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively in line {node.lineno}"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def rooms(path: Path) -> set[str]:
    """The modules and packages right under zooter_core that a file imports."""
    parts = [name.split(".") for name in imports(path)]
    return {part[1] for part in parts if part[0] == "zooter_core" and part[1] in LEVEL}


def test_every_module_has_a_level():
    assert {name.split(".")[0] for name in MODULES if name} == set(LEVEL)


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_imports_point_down(name):
    room = name.split(".")[0]
    up = {other for other in rooms(MODULES[name]) if other != room and LEVEL[other] >= LEVEL[room]}
    assert not up, f"zooter_core.{name} (level {LEVEL[room]}) imports {', '.join(sorted(up))} from its level or above"


def test_the_package_itself_imports_nothing_of_its_own():
    assert not [name for name in imports(MODULES[""]) if name.startswith("zooter_core")]


def test_imports_are_seen_where_they_are():
    assert {"backends", "encoder", "errors", "router"} <= rooms(MODULES["ensemble"])  # both forms, at the top
    assert "torch" in imports(MODULES["weights"])  # inside a function


def test_only_app_pages_and_ui_know_streamlit():
    folders = ("zooter_core", "pages", "recipes")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")] + [ROOT / "app.py"]
    knowing = {path for path in files if any(name.split(".")[0] == "streamlit" for name in imports(path))}
    allowed = ("app.py", "pages/", "zooter_core/ui/")
    others = [name for path in knowing if not (name := path.relative_to(ROOT).as_posix()).startswith(allowed)]
    assert not others


@pytest.mark.parametrize("name", PURE)
def test_the_mathematics_knows_numpy_alone(name):
    known = {imported.split(".")[0] for imported in imports(MODULES[name])}
    assert known <= {"__future__", "collections", "dataclasses", "math", "numpy", "typing", "zooter_core"}
    called = {node.id for node in ast.walk(ast.parse(MODULES[name].read_text())) if isinstance(node, ast.Name)}
    assert not called & {"open", "print", "input", "exec", "eval", "__import__"}


def test_light_modules_load_nothing_heavy():
    code = "\n".join(
        [
            "import importlib, sys",
            f"for name in {LIGHT!r}: importlib.import_module('zooter_core.' + name)",
            f"print([name for name in {HEAVY!r} if name in sys.modules])",
        ]
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ended.stdout.strip() == "[]"
