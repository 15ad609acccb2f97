"""However many names there are, and however long they are: an error message stays one that can be read."""

from __future__ import annotations

import pytest

from support import tiny_models
from support.command_files import write_lines
from zooter_core.cli.main import main

MANY = [f"a-model-of-some-{n}-names" for n in range(3000)]
MOST = 2500  # characters of any message


def message(capsys, *arguments: object) -> str:
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    err = capsys.readouterr().err
    assert code == 2, err[:2000]
    assert "Traceback" not in err
    assert "the work failed" not in err
    assert len(err) < MOST, f"{len(err):,} characters"
    return err


@pytest.mark.parametrize(
    "line",
    [
        {"query": "q", "scores": {"n" * 100_000: "x" * 100_000}},
        {"query": "q", "scores": dict.fromkeys(MANY, 1)},
        {"i" * 100_000: 1},
        "l" * 100_000,
    ],
)
def test_wrong_lines(capsys, tmp_path, tiny_fleet, line):
    path = write_lines(tmp_path / "wrong.jsonl", [line])
    message(capsys, "evaluate", "--router", tiny_fleet / "router", "--scores", path)


def test_options(capsys, tiny_fleet, tmp_path):
    odd = "o" * 100_000
    lines = [{"query": text, "scores": {"a": n % 3, "b": 1}} for n, text in enumerate(tiny_models.QUERIES[:4])]
    scores = write_lines(tmp_path / "scores.jsonl", lines)
    for call in (
        ("evaluate", "--scores", scores, "--sweep", f"beta={odd}"),
        ("evaluate", "--scores", scores, "--sweep", f"normalise={odd}"),
        ("distill", "--scores", scores, "--out", "never", "--router-kind", odd),
        ("distill", "--scores", scores, "--out", "never", "--router-set", odd),
        ("route", "q", "--willingness", odd),
        ("ask", "q", "--candidate", odd, "--fleet", tiny_fleet),
        (odd,),
        ("route", "q", f"--{odd}"),
        ("route", "q", *MANY),
    ):
        message(capsys, *call)
