"""`zooter bench` from the command line to a score file that `evaluate` reads."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from support.command_files import interrupted, write_lines
from support.patience import wait_until
from zooter_core.config.edit import add_candidates
from zooter_core.data.scores import read_scores
from zooter_core.evaluation.sandbox import runner

SUMS = [{"question": f"What is {n} + {n}?", "answer": f"{n} + {n}\n#### {2 * n}"} for n in range(1, 13)]


@pytest.fixture
def server(scripted):
    scripted.replies = {
        "right": lambda query: f"The answer is {2 * int(query.split()[2])}." if "What is" in query else "Fine.",
        "wrong": lambda query: "I do not know.",
        "judge": lambda prompt: "Rating: [[9]]" if "Fine." in prompt else "Rating: [[2]]",
    }
    return scripted


@pytest.fixture
def fleet(tmp_path, server):
    """A fleet over scripted endpoints: candidate -> model."""

    def save(**models: str) -> Path:
        folder, keys = tmp_path / "-".join(models), {"backend": "openai", "base_url": server.url, "retries": 0}
        if not folder.exists():
            add_candidates(folder, [keys | {"name": name, "model": model} for name, model in models.items()])
        return folder

    return save


@pytest.fixture
def sums(tmp_path) -> Path:
    return write_lines(tmp_path / "sums.jsonl", SUMS)


@pytest.fixture
def zooter(called, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    return called


def bench(fleet: Path, suite: str, path: Path, out: Path, *more: object) -> list[object]:
    return ["bench", suite, "--fleet", fleet, "--from", path, "--out", out, *more]


def test_a_suite_becomes_a_score_file_with_responses(zooter, fleet, server, sums, tmp_path):
    out = tmp_path / "made" / "gsm8k.jsonl.gz"
    code, shown, err = zooter(*bench(fleet(a="right", b="wrong"), "gsm8k", sums, out))
    assert code == 0, err
    assert "share of right final numbers; n = 12 (all)" in shown
    assert "12 lines in" in err
    scores = read_scores([out])
    assert scores.candidates == ("a", "b")
    assert scores.scores.tolist() == [[1, 0]] * 12
    assert set(scores.datasets) == {"gsm8k"}
    assert {body["temperature"] for body in server.bodies} == {0}
    assert len(server.bodies) == 24
    again = zooter(*bench(fleet(a="right", b="wrong"), "gsm8k", sums, out, "--json"))
    assert len(server.bodies) == 24  # nothing is asked twice
    figures = json.loads(again[1])
    assert (figures["n"], figures["of"], figures["candidates"]["a"]["score"]) == (12, 12, 1.0)
    assert figures["candidates"]["a"]["interval"] == pytest.approx([0.757, 1.0], abs=1e-3)  # Wilson's of 12 of 12
    assert "│ b         │ 0.000 │ 0.000 to 0.243 │" in shown
    call = bench(fleet(a="right", b="wrong"), "gsm8k", sums, tmp_path / "few.jsonl", "--limit", 5, "--seed", 3)
    assert "n = 5 (a sample of 5 of 12, seed 3)" in zooter(*call)[1]


def test_a_query_that_one_candidate_lacks_is_set_aside_and_counted(zooter, tmp_path, sums):
    """Recorded responses of two candidates, one of which left a query out."""
    lines = [{"query": line["question"], "responses": {"a": "2", "b": "2"}} for line in SUMS]
    del lines[4]["responses"]["b"]
    write_lines(tmp_path / "said.jsonl", lines)
    table = '[[candidate]]\nname = "{}"\nbackend = "recorded"\nmodel = "said.jsonl"\n'
    (tmp_path / "fleet.toml").write_text(table.format("a") + table.format("b"))
    code, shown, err = zooter(*bench(tmp_path, "gsm8k", sums, tmp_path / "s.jsonl"))
    assert code == 0, err
    assert "n = 11 (all)" in shown
    assert "1 query is set aside" in err
    assert "sums/00005: no score of b: " in err
    assert [query.id for query in read_scores([tmp_path / "s.jsonl"]).queries][3:5] == ["sums/00004", "sums/00006"]


def test_mt_bench_with_a_judge_of_the_fleet_and_of_another(zooter, fleet, server, tmp_path):
    turns = [{"question_id": n, "category": "c", "turns": [f"Say {n}.", "Again."]} for n in range(3)]
    path = write_lines(tmp_path / "question.jsonl", turns)
    folder, out = fleet(a="right", b="wrong", j="judge"), tmp_path / "s.jsonl"
    code, _, err = zooter(*bench(folder, "mt-bench", path, out, "--judge", "j"))
    assert code == 0, err
    assert read_scores([out]).scores.tolist() == [[9, 2, 2]] * 3
    second = [body["messages"] for body in server.bodies if body["model"] == "right" and len(body["messages"]) > 1]
    contents = sorted([message["content"] for message in messages] for messages in second)  # they arrive in any order
    assert contents == [[f"Say {n}.", "Fine.", "Again."] for n in range(3)]
    call = bench(fleet(a="right"), "mt-bench", path, tmp_path / "t.jsonl", "--judge")
    code, _, err = zooter(*call, folder)
    assert code == 2
    assert f"a [reward] of kind judge, or one candidate, in {folder}, but found 3 candidates" in err
    code, _, err = zooter(*call, fleet(j="judge"))
    assert code == 0, err
    assert read_scores([tmp_path / "t.jsonl"]).scores.tolist() == [[9]] * 3


HUMAN_EVAL = {"task_id": "T/0", "prompt": "def add(a, b):\n", "entry_point": "add"}
HUMAN_EVAL |= {"test": "def check(candidate):\n    assert candidate(1, 2) == 3\n"}


def test_code_runs_in_a_sandbox_and_where_there_is_none_nothing_is_asked(zooter, fleet, server, tmp_path, monkeypatch):
    outside, out = tmp_path / "outside", tmp_path / "s.jsonl"
    server.replies["right"] = lambda query: "    return a + b"
    server.replies["wrong"] = lambda query: f"def add(a, b):\n    open({str(outside)!r}, 'w')\n    return a + b"
    path = write_lines(tmp_path / "suite.jsonl", [HUMAN_EVAL])
    call = bench(fleet(a="right", b="wrong"), "human-eval", path, out, "--run-code")
    with monkeypatch.context() as patch:
        patch.setattr(runner, "missing", lambda: "no namespaces")
        code, shown, err = zooter(*call)
    assert (code, shown, server.bodies) == (2, "", [])
    assert "Expected a sandbox for the code of --run-code, but found none: no namespaces" in err
    figures = json.loads(zooter(*call, "--json")[1])
    assert {name: row["score"] for name, row in figures["candidates"].items()} == {"a": 1.0, "b": 0.0}
    assert figures["sandbox"] is json.loads(out.read_text())["sandbox"] is True
    assert not outside.exists()


@pytest.mark.parametrize(
    ("suite", "arguments", "message"),
    [
        ("human-eval", [], "--run-code with human-eval, which runs Python that the candidates write"),
        ("gsm8k", ["--judge", "a"], "no --judge with gsm8k"),
        ("flask", [], "a judge for flask"),
        ("flask", ["--judge", "z"], "a candidate of the fleet"),
        ("gsm8", [], 'Did you mean "gsm8k"'),
        ("gsm8k", ["--out", "s.csv"], "--out as a file that ends in .jsonl"),
    ],
)
def test_what_cannot_be_is_exit_2_before_any_work(zooter, fleet, server, sums, tmp_path, suite, arguments, message):
    if suite == "flask":
        sums = write_lines(sums, [{"text": "q", "metrics": ["Readability"]}])
    code, shown, err = zooter(*bench(fleet(a="right"), suite, sums, tmp_path / "s.jsonl", *arguments))
    assert (code, shown) == (2, "")
    assert message in err
    assert not server.bodies
    assert not (tmp_path / "s.jsonl").exists()


@pytest.mark.slow
def test_ctrl_c_keeps_what_came_and_the_same_command_goes_on(fleet, server, sums, tmp_path, zooter):
    folder, out = fleet(a="right", b="slow"), tmp_path / "s.jsonl"
    answers, call = Path(f"{out}.run") / "responses.jsonl", bench(folder, "gsm8k", sums, out)

    def meanwhile(child: subprocess.Popen[str]) -> None:
        wait_until(lambda: child.poll() is not None or (server.count("slow") and has_answered()))

    def has_answered() -> bool:
        return answers.exists() and answers.read_bytes().count(b"\n") == 12

    code, _, err = interrupted(*call, meanwhile=meanwhile)
    assert code == 130, err
    assert "run the command again to continue" in err
    candidates = [json.loads(line)["candidate"] for line in answers.open()]
    assert candidates == ["a"] * 12
    server.replies["slow"] = lambda query: "4"
    code, _, err = zooter(*call)
    assert code == 0, err
    assert server.count("right") == 12
    assert read_scores([out]).scores.sum(axis=0).tolist() == [12, 1]
