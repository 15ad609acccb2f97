"""A whole run to damage, and the command line as a user meets it: every fault ends with one clear message."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from support import run_folders, tiny_models
from support.command_files import write_lines
from zooter_core.cli.main import main

QUERIES = tiny_models.QUERIES[:28]  # seven batches of each step
Called = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module", autouse=True)
def small_batches() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        run_folders.small_batches(patch)
        yield


@pytest.fixture(scope="session")
def queries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = [{"id": f"q{n:02d}", "query": text, "dataset": "xy"[n % 2]} for n, text in enumerate(QUERIES)]
    return write_lines(tmp_path_factory.mktemp("queries") / "queries.jsonl", lines)


@pytest.fixture(scope="session")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = [
        {"query": text, "scores": {"base": n % 3, "one": n % 4, "two": 1.5}, "tags": ["ab"[n % 2]]}
        for n, text in enumerate(QUERIES)
    ]
    return write_lines(tmp_path_factory.mktemp("scores") / "scores.jsonl", lines)


@pytest.fixture(scope="session")
def responses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Responses to be scored."""
    lines = [{"id": str(n), "query": q, "responses": {"a": q, "b": f"No {n}."}} for n, q in enumerate(QUERIES)]
    return write_lines(tmp_path_factory.mktemp("responses") / "responses.jsonl", lines)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, tiny_fleet: Path, queries: Path) -> Path:
    """The folder of a run that nothing interrupted; not to be changed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    torch.set_num_threads(1)  # as in the tests: the last digits hang on it, and this comes before a test's own fixtures
    with pytest.MonkeyPatch.context() as patch:
        run_folders.small_batches(patch)
        call = ["run", "--queries", queries, "--out", folder, "--router-set", "epochs=2", "--fleet", tiny_fleet]
        assert main(list(map(str, call))) == 0
    return folder


@pytest.fixture
def run_copy(finished_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


@pytest.fixture
def step_of(queries: Path, tiny_fleet: Path) -> Callable[[str, Path], list[object]]:
    """A call that ends with a step of the finished run."""

    def call(step: str, folder: Path) -> list[object]:
        if step in ("score", "distill"):
            return [step, "--run", folder, *(["--router-set", "epochs=2"] if step == "distill" else [])]
        return ["run", "--queries", queries, "--out", folder, "--fleet", tiny_fleet, "--until", step]

    return call


@pytest.fixture
def called(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Called:
    """Calls the command line: its exit code and, where it failed, its message, which must be the only one."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        code = main(list(map(str, arguments)))
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        messages = [line for line in err.splitlines() if line.startswith("zooter: ")]
        assert len(messages) == (code != 0), err
        assert not code or messages[0].startswith("zooter: "), messages
        return code, messages[0] if messages else ""

    return call
