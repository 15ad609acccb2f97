"""Empty options, files that would be written over and stdin that is not text are mistakes of the call (exit code 2)."""

from __future__ import annotations

import io

import pytest

from zooter_core.base.records import Decision


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (("route", "q", "--fleet", ""), "--fleet"),
        (("route", "q", "--fleet="), "--fleet"),
        (("evaluate", "--scores", "a.jsonl", ""), "--scores"),
        (("ask", ""), "an argument"),
    ],
)
def test_an_empty_value_is_named(refused, call, name):
    """As of a variable of the shell that is not set. As a path, it would be this folder."""
    assert f"The value of {name} is empty" in refused(2, *call, fleet=None)


@pytest.mark.parametrize(
    "call",
    [
        ("run", "--out", "NEW", "--queries", "FILE", "--scores", "FILE"),
        ("score", "--responses", "FILE", "--out", "FILE"),
        ("queries", "--limit", "3", "--from", "FILE", "--out", "FILE"),
        ("bench", "gsm8k", "--from", "FILE", "--out", "FILE"),
    ],
    ids=lambda call: call[0],
)
def test_what_is_read_is_not_written_over(refused, answered, tmp_path, call):
    before = answered.read_bytes()
    places = {"FILE": answered, "NEW": tmp_path / "new"}
    message = refused(2, *(places.get(word, word) for word in call))
    assert "a file to write beside those that are read" in message
    assert (answered.read_bytes(), list(tmp_path.iterdir())) == (before, [answered])


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"\xff\xfe\x00\x01", "line 1 of stdin"),
        (b"fine\n" * 5000 + b"caf\xe9\n", "line 5001 of stdin"),
    ],
    ids=["at once", "late"],
)
def test_stdin_that_is_not_text(zooter, monkeypatch, content, named):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    monkeypatch.setattr(
        "zooter_core.fleet.ensemble.Ensemble.route", lambda self, query, willingness: Decision.of(query, {"a": 1.0})
    )
    code, _, err = zooter("route", "-", "--json")
    assert (code, named in err) == (2, True)
    assert len(err) < 1000
