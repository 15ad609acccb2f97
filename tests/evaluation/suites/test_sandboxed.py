"""`zooter bench human-eval` in the sandbox, and where the system has none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zooter_core.cli.main import main
from zooter_core.evaluation.sandbox import runner

LINE = {
    "task_id": "T/0",
    "prompt": "def add(a, b):\n",
    "entry_point": "add",
    "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
}


@pytest.fixture
def folder(tmp_path):
    """A fleet of two recorded candidates, one right and one that leaves a file where it should not, and the suite."""
    outside = tmp_path / "outside"
    bad = f"def add(a, b):\n    open({str(outside)!r}, 'w')\n    return a + b"
    query = (
        "Complete this Python function. Give the whole function in one block of code.\n\n```python\ndef add(a, b):\n```"
    )
    responses = {"good": "    return a + b", "bad": bad}
    (tmp_path / "said.jsonl").write_text(json.dumps({"query": query, "responses": responses}) + "\n")
    table = '[[candidate]]\nname = "{}"\nbackend = "recorded"\nmodel = "said.jsonl"\n'
    (tmp_path / "fleet.toml").write_text("".join(table.format(name) for name in responses))
    (tmp_path / "suite.jsonl").write_text(json.dumps(LINE) + "\n")
    return tmp_path


def call(folder: Path, *more: str) -> list[str]:
    paths = ["--fleet", str(folder), "--from", str(folder / "suite.jsonl"), "--out", str(folder / "out.jsonl")]
    return ["bench", "human-eval", "--run-code", *paths, *more]


def test_with_a_sandbox_nothing_gets_out(folder, capsys):
    assert main(call(folder, "--json")) == 0
    figures = json.loads(capsys.readouterr().out)
    assert {name: row["score"] for name, row in figures["candidates"].items()} == {"good": 1.0, "bad": 0.0}
    assert figures["sandbox"] is True
    assert json.loads((folder / "out.jsonl").read_text())["sandbox"] is True
    assert not (folder / "outside").exists()


def test_where_there_is_none_it_says_so_before_any_answer(folder, capsys, monkeypatch):
    monkeypatch.setattr(runner, "missing", lambda: "no namespaces")
    assert main(call(folder)) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert "Expected a sandbox for the code of --run-code, but found none: no namespaces" in output.err
    assert not (folder / "out.jsonl.run").exists()
