"""Empty options, files that would be written over and stdin that is not text are mistakes of the call (exit code 2)."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from support import tiny_models
from support.command_files import write_lines
from zooter_core.base.records import Decision
from zooter_core.cli.main import main


@pytest.fixture
def scores(tmp_path) -> Path:
    lines = [{"query": text, "scores": dict.fromkeys(tiny_models.POOL, 1)} for text in tiny_models.QUERIES[:4]]
    return write_lines(tmp_path / "scores.jsonl", lines)


@pytest.fixture
def refused(capsys, tiny_fleet, scores, tmp_path, monkeypatch):
    """A call that must be refused before any work; FLEET, SCORES and NEW stand for valid places."""
    monkeypatch.chdir(tmp_path)
    places = {"FLEET": tiny_fleet, "ROUTER": tiny_fleet / "router", "SCORES": scores, "NEW": tmp_path / "new"}

    def call(*arguments: str) -> str:
        capsys.readouterr()
        before = sorted(tmp_path.rglob("*"))
        code = main([str(places.get(argument, argument)) for argument in arguments])
        out, err = capsys.readouterr()
        assert (code, out) == (2, ""), err[:500]
        assert "Traceback" not in err
        assert len(err) < 1000
        assert sorted(tmp_path.rglob("*")) == before
        return err

    return call


CALLS = [
    ("route", "q", "--fleet"),
    ("ask", "q", "--fleet"),
    ("compare", "q", "--fleet"),
    ("check", "--fleet"),
    ("demo", "--fleet"),
    ("run", "--fleet", "FLEET", "--out", "NEW", "--queries"),
    ("run", "--fleet", "FLEET", "--queries", "SCORES", "--out"),
    ("run", "--fleet", "FLEET", "--queries", "SCORES", "--out", "NEW", "--scores"),
    ("score", "--run"),
    ("score", "--fleet", "FLEET", "--out", "NEW", "--responses"),
    ("score", "--fleet", "FLEET", "--responses", "SCORES", "--out"),
    ("distill", "--fleet", "FLEET", "--scores", "SCORES", "--out"),
    ("distill", "--fleet", "FLEET", "--out", "NEW", "--scores"),
    ("distill", "--scores", "SCORES", "--out", "NEW", "--encoder"),
    ("evaluate", "--router", "ROUTER", "--scores"),
    ("evaluate", "--scores", "SCORES", "--router"),
    ("evaluate", "--fleet", "FLEET", "--scores", "SCORES", "--learned-from"),
    ("evaluate", "--fleet", "FLEET", "--scores", "SCORES", "--plot"),
    ("evaluate", "--fleet", "FLEET", "--sweep", "beta=1", "--scores"),
    ("queries", "--limit", "3", "--out", "NEW", "--from"),
    ("queries", "--limit", "3", "--from", "SCORES", "--out"),
    ("queries", "--limit", "3", "--from", "SCORES", "--out", "NEW", "--exclude"),
    ("bench", "gsm8k", "--out", "NEW", "--from"),
    ("bench", "gsm8k", "--from", "SCORES", "--out"),
]


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_an_empty_path(refused, call):
    """As of a variable of the shell that is not set."""
    assert "is empty" in refused(*call, "")


def test_an_empty_option(refused):
    assert "is empty" in refused("ask", "q", "--fleet", "FLEET", "--candidate", "")
    assert "is empty" in refused("distill", "--scores", "SCORES", "--out", "NEW", "--router-set", "")


@pytest.mark.parametrize(
    "call",
    [
        ("run", "--fleet", "FLEET", "--out", "NEW", "--queries", "SCORES", "--scores"),
        ("score", "--fleet", "FLEET", "--responses", "SCORES", "--out"),
        ("queries", "--limit", "3", "--from", "SCORES", "--out"),
        ("bench", "gsm8k", "--from", "SCORES", "--out"),
    ],
    ids=" ".join,
)
def test_what_is_read_is_not_written_over(refused, scores, tmp_path, call):
    lines = [json.dumps(json.loads(line) | {"responses": {"one": "x"}}) for line in scores.read_text().splitlines()]
    scores.write_text("\n".join(lines))  # so that each of them would go on
    assert "a file to write beside those that are read" in refused(*call, "SCORES")
    assert scores.read_text() == "\n".join(lines)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"\xff\xfe\x00\x01", "line 1 of stdin"),
        (b"fine\n" * 5000 + b"caf\xe9\n", "line 5001 of stdin"),
        (b"fine\n" + b'{"query": ' * 100_000, "line 2 of stdin"),
        (b"x" * (1 << 24), "line 1 of stdin"),
    ],
)
def test_stdin_that_is_not_text(capsys, tiny_fleet, monkeypatch, content, named):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))

    def decide(ensemble, query, willingness):
        return Decision.of(query, {"a": 1.0})

    monkeypatch.setattr("zooter_core.fleet.ensemble.Ensemble.route", decide)
    assert main(["route", "-", "--json", "--fleet", str(tiny_fleet)]) == 2
    err = capsys.readouterr().err
    assert named in err
    assert len(err) < 1000
