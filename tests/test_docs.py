"""The documentation is true: links and anchors resolve, and documented sessions print what the pages show.

A ```console block runs in a shell, a ```python block with `>>>` as a doctest. `...` stands for any text, numbers may
differ in their last digits, and seconds are not compared. A comment such as `<!-- not run: needs a server -->` above a
block skips it. Sessions use the cache that `make setup` has filled, because converting the weights anew takes a minute.
"""

from __future__ import annotations

import doctest
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    [ROOT / "README.md", *(page for room in ("docs", "models", "benchmarks") for page in (ROOT / room).rglob("*.md"))]
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


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_and_anchors_resolve(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"", prose_of(page)):
        target, _, anchor = "".join(link).partition("#")
        if "://" in target:
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{target} does not exist"
        assert not anchor or anchor in anchors(path), f"{target} has no heading for #{anchor}"


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
