"""Run folders that are damaged: one message, and what is there is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.run_folders import FILES, content, same_end, texts, unfinish


def lines_of(folder: Path, name: str) -> object:
    """What a step has written of its queries, whatever the order of its lines and however long each response took."""
    return texts(folder) if name == "responses.jsonl" else sorted((folder / name).read_bytes().splitlines())


@pytest.mark.parametrize(("step", "later"), [("score", "label"), ("tag", "label"), ("label", "distill")])
def test_no_later_step_builds_on_a_finished_file_that_was_cut(called, run_copy, step_of, step, later):
    unfinish(run_copy, later, 0.5)
    file = run_copy / FILES[step]
    file.write_bytes(file.read_bytes()[:-40])
    code, message = called(*step_of(later, run_copy))
    assert code == 1
    assert f"a line of each query in {file}" in message


@pytest.mark.parametrize(
    ("step", "wrong", "fault"),
    [
        ("tag", b'{"id": "q02", "tags": [{"name": "x", "score": -Infinity}]}', "(-Infinity is not a finite number)"),
        ("score", b'{"id": 3', ""),  # torn: a line was added after it
    ],
)
def test_a_wrong_line_of_an_unfinished_step_is_named_and_taken_out(
    called, run_copy, finished_run, step_of, step, wrong, fault
):
    unfinish(run_copy, step, 0.5)
    file = run_copy / FILES[step]
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], wrong + b"\n", *lines[2:]]))
    code, message = called(*step_of(step, run_copy))
    assert code == 1
    assert f"line 3 of {file}" in message
    assert fault in message
    assert "Remove that line and start again" in message
    file.write_bytes(b"".join(lines))  # as the message says
    assert called(*step_of(step, run_copy))[0] == 0
    assert lines_of(run_copy, file.name) == lines_of(finished_run, file.name)


def test_a_run_json_that_cannot_be_read_costs_no_record(called, run_copy, finished_run, queries, tiny_fleet):
    unfinish(run_copy, "score", 0.4)
    file = run_copy / "run.json"
    file.write_bytes(file.read_bytes()[:100])
    before = content(run_copy)
    code, message = called("score", "--run", run_copy)
    assert code == 2
    assert f"a readable {file}" in message
    assert "delete it and start again with the same settings" in message
    assert content(run_copy) == before
    file.unlink()  # as the message says
    call = ["run", "--queries", queries, "--out", run_copy, "--router-set", "epochs=2", "--fleet", tiny_fleet]
    assert called(*call)[0] == 0
    assert (run_copy / "responses.jsonl").read_bytes() == before["responses.jsonl"]
    assert (run_copy / "rewards.jsonl").read_bytes().startswith(before["rewards.jsonl"])
    assert same_end(run_copy, finished_run)
