"""The documentation is true: links and anchors resolve, documented sessions print what the pages show, examples of
kinds work, and the site builds without a warning.

A ```console block runs in a shell, a ```python block with `>>>` as a doctest. `...` stands for any text, numbers may
differ in their last digits, and seconds are not compared. A comment such as `<!-- not run: needs a server -->` above a
block skips it. Sessions use the cache that `make setup` has filled, because converting the weights anew takes a minute.
"""

from __future__ import annotations

import doctest
import json
import math
import os
import re
import runpy
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import zooter_core
from zooter_core import Ensemble, distill, load_fleet
from zooter_core.router.kinds import configure

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *(page for room in ("docs", "models", "benchmarks") for page in (ROOT / room).rglob("*.md"))]
)
BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>[^>]+) -->\n)?```console\n(?P<session>.*?)\n```", re.DOTALL)
NUMBER = re.compile(r"-?\d+\.\d+(?:e-\d+)?")
SECONDS = re.compile(r"\d+(?:\.\d+)?(?= s\b)")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose_of(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"(?ms)^ *(```|~~~).*?^ *\1", "", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    prose = prose_of(page)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"(?m)^#+ (.+)$", prose)}


def test_relative_links_and_anchors_resolve() -> None:
    wrong = []
    for page in PAGES:
        for link in re.findall(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"", prose_of(page)):
            target, _, anchor = "".join(link).partition("#")
            path = (page.parent / target).resolve() if target else page
            if "://" not in target and not (path.exists() and (not anchor or anchor in anchors(path))):
                wrong.append(f"{name_of(page)}: {target}#{anchor}")
    assert wrong == []


def sessions() -> list:
    """Every console block as a parameter: its commands with their output, or the reason why it is not run."""
    return [
        pytest.param(
            re.findall(r"(?m)^\$ (.+)\n?((?:(?!\$ ).*\n?)*)", block["session"]),
            id=f"{name_of(page)}-{number}",
            marks=[pytest.mark.skip(reason=f"not run: {block['reason']}")] if block["reason"] else [],
        )
        for page in PAGES
        for number, block in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8")), 1)
    ]


def matches(expected: str, output: str) -> bool:
    """Whether `output` is what a page shows, apart from `...`, seconds and the last digits of numbers."""
    expected, output = (
        SECONDS.sub("N", "\n".join(map(str.rstrip, text.strip().splitlines()))) for text in (expected, output)
    )
    pattern = (
        re.escape(NUMBER.sub("<number>", expected)).replace("<number>", f"({NUMBER.pattern})").replace(r"\.\.\.", ".*?")
    )
    match = re.fullmatch(pattern, output, re.DOTALL)
    return match is not None and all(
        math.isclose(float(shown), float(printed), rel_tol=0.02, abs_tol=0.02)
        for shown, printed in zip(NUMBER.findall(expected), match.groups(), strict=True)
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a folder with the fleets."""
    (tmp_path / "models").symlink_to(ROOT / "models")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ZOOTER_CACHE")


@pytest.mark.models
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("session", sessions())
def test_console_session_prints_what_the_page_shows(session: list[tuple[str, str]], programs: Path) -> None:
    path = f"{programs}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "NO_COLOR": "1"}
    for command, expected in session:
        call = ["bash", "-c", f"exec 2>&1; {command}"]
        output = subprocess.run(call, env=environment, capture_output=True, text=True).stdout
        assert matches(expected, output), f"$ {command}\n{output}"


@pytest.mark.models
@pytest.mark.usefixtures("folder")
def test_python_session_prints_what_the_page_shows() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    session = "\n".join(re.findall(r"(?s)```python\n(>>> .*?)```", page))
    test = doctest.DocTestParser().get_doctest(session, {}, "docs/python.md", None, 0)
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
    assert results.attempted > 15
    assert results.failed == 0


def test_the_architecture_names_every_room_and_only_files_that_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    names = set(re.findall(r"[\w/.]+\.py\b|[\w/]+/(?=[\s`])", page))
    assert len(names) > 60
    assert [name for name in names if not (ROOT / name).exists() and not (ROOT / "zooter_core" / name).exists()] == []
    crossed = page.partition("A body crosses twelve files:")[2].partition("## ")[0]
    assert len(re.findall(r"(?m)^\d+\. `[\w/]+\.py`", crossed)) == 12
    diagram = page.partition("```text")[2].partition("```")[0]
    rooms = {path.stem for path in (ROOT / "zooter_core").iterdir() if path.suffix == ".py" or path.is_dir()}
    drawn = {Path(name).stem for name in re.findall(r"\w+(?:\.py|/)", diagram)}
    assert drawn == {"app", "pages", *rooms} - {"__init__", "__pycache__"}


def test_the_page_of_commands_says_what_the_parsers_say() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert page == runpy.run_path(str(ROOT / "docs" / "commands.py"))["page"](), "run: python docs/commands.py"
    assert "|  |" not in page, "an option without a word on what it does"


def test_the_examples_of_kinds_in_contributing_work(tmp_path: Path, monkeypatch, tiny_encoder) -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    examples = re.findall(r'(?s)```python\n# (\S+), "(\w+)": "(\S+)"\n(.*?)```', page)
    assert [kind for _, kind, _, _ in examples] == ["echo", "words", "average"]
    for path, kind, place, code in examples:
        name = place.partition(":")[0]
        assert path == f"{name.replace('.', '/')}.py"
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
        exec(code, vars(sys.modules[name]))
        monkeypatch.setitem(import_module(name.rpartition(".")[0]).KINDS, kind, place)
    candidates = "".join(f'[[candidate]]\nname = "{name}"\nbackend = "echo"\nmodel = "any"\n' for name in "ab")
    (tmp_path / "fleet.toml").write_text(f'[reward]\nkind = "words"\nfactor = 2\n{candidates}')
    ranking = Ensemble(load_fleet(tmp_path)).rank("Say it again")
    assert [(ranked.response.text, ranked.reward) for ranked in ranking] == [("Say it again", 2.0)] * 2
    rows = [{"id": str(n), "query": f"query {n}", "scores": {"a": n % 2, "b": 0.9}} for n in range(8)]
    (tmp_path / "scores.jsonl").write_text("\n".join(map(json.dumps, rows)))
    router = distill(tmp_path / "scores.jsonl", training=configure("average"), encoder=tiny_encoder)
    assert [decision.candidate for decision in router.route(["query 1", "query 2"])] == ["b", "b"]


def test_versions_hooks_and_workflow_agree_with_the_project() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^## \[(.+?)\]", changes)[:2] == ["Unreleased", zooter_core.__version__]
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == zooter_core.__version__
    (tools,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    for hook in tools["hooks"]:
        program = Path(hook["entry"].split()[0])
        assert program.parent == Path(".venv/bin")
        assert (Path(sys.executable).parent / program.name).exists()
    (job,) = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"].values()
    (script,) = [step["run"] for step in job["steps"] if "run" in step]
    assert os.access(ROOT / script, os.X_OK)


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_needs_no_network(tmp_path: Path) -> None:
    call = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", "--conf-dir", "docs"]
    built = subprocess.run([*call, "-d", tmp_path / "trees", ".", tmp_path / "site"], cwd=ROOT, capture_output=True)
    assert (built.returncode, built.stderr.decode()) == (0, "")
    pages = {path.resolve(): path.read_text(encoding="utf-8") for path in (tmp_path / "site").rglob("*.html")}
    for page, html in pages.items():
        loaded = re.findall(r'<(?:script|img|source|link)[^>]* (?:src|srcset|href)="([^"]+)"', html)
        assert [address for address in loaded if "//" in address] == []
        for link in re.findall(r' (?:href|src|srcset)="([^"#?:]+)[#?"]', html):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"
    documented = set(re.findall(r'id="zooter_core\.([\w.]+)"', pages[(tmp_path / "site/docs/api.html").resolve()]))
    assert {*zooter_core.__all__, "Ensemble.route", "backends.Backend.stream"} <= documented
    assert "docs/serve" in (tmp_path / "site/searchindex.js").read_text(encoding="utf-8")
