from __future__ import annotations

import json
import subprocess

import pytest

from support.command_files import POOL, SEA, NoReward, check_decision, interrupted


def test_responses_are_in_rank_order(zooter):
    code, out, _ = zooter("compare", SEA, "--json")
    shape = json.loads(out)
    assert (code, set(shape), shape["query"]) == (0, {"query", "responses", "route"}, SEA)
    check_decision(shape["route"], SEA)
    responses = shape["responses"]
    assert {r["candidate"] for r in responses} == set(POOL)
    assert all({"text", "reward", "rank", "seconds", "tokens", "error"} <= set(response) for response in responses)
    assert [(r["rank"], r["tokens"], r["error"]) for r in responses] == [(rank, 8, None) for rank in (1, 2, 3)]
    rewards = [r["reward"] for r in responses]
    assert rewards == sorted(rewards, reverse=True)


SUM = "What is 12 + 30?"


def test_without_a_reward_model_the_responses_are_shown_and_verified(zooter, stdin, fleet_copy):
    text = (fleet_copy / "fleet.toml").read_text()
    start = text.index("[reward]")
    (fleet_copy / "fleet.toml").write_text(text[:start] + text[text.index("\n[", start) + 1 :])
    stdin(json.dumps({"query": SEA, "answer": "no model says this"}))
    code, out, err = zooter("compare", "-", "--json", fleet=fleet_copy)
    responses = json.loads(out)["responses"]
    assert code == 0
    assert [(item["rank"], item["reward"], item["right"]) for item in responses] == [(None, None, False)] * 3
    assert "no [reward] table" in err


def test_lines_of_stdin_are_compared_one_after_the_other(zooter, stdin):
    lines = (SEA, "", json.dumps({"id": 7, "query": SUM, "answer": "no model says this"}))
    stdin("\n".join(lines))
    code, out, err = zooter("compare", "-", "--json")
    assert (code, err) == (0, "")
    first, second = map(json.loads, out.splitlines())
    alone = json.loads(zooter("compare", SEA, "--json")[1])
    for shape, query in ((first, SEA), (second, SUM)):
        assert (set(shape), shape["query"]) == (set(alone), query)
    assert first["route"] == alone["route"]
    texts = [{response["candidate"]: response["text"] for response in shape["responses"]} for shape in (first, alone)]
    assert texts[0] == texts[1]
    assert [response.get("right") for response in first["responses"]] == [None] * 3
    assert [response["right"] for response in second["responses"]] == [False] * 3
    assert all(response["reason"] for response in second["responses"])
    stdin("\n".join(lines))
    code, out, _ = zooter("compare", "-")
    shown = [line for line in out.splitlines() if line in (SEA, SUM) or "(reward " in line or "(wrong, reward" in line]
    assert (code, out.count("the router's choice")) == (0, 2)
    assert [line if line in (SEA, SUM) else line.split()[0] for line in shown] == [
        SEA, "1.", "2.", "3.", SUM, "1.", "2.", "3."
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"query": "x", "answer": {"nummer": 4}}', '"answer" as a number, a text'),
        ("x" * 30_000, "In line 3 of stdin: The query has 30,000 characters"),
    ],
)
def test_a_wrong_line_is_named_and_those_before_it_are_printed(zooter, stdin, line, message):
    stdin(f"{SEA}\n\n{line}\n{SUM}\n")
    code, out, err = zooter("compare", "-", "--json")
    assert code == 2
    assert [json.loads(line)["query"] for line in out.splitlines()] == [SEA]
    assert message in err
    assert "line 3 of stdin" in err
    assert len(err.splitlines()) == 1


def test_a_query_that_fails_leaves_the_others_and_is_exit_1(zooter, stdin, monkeypatch):
    texts = [item["text"] for item in json.loads(zooter("compare", SEA, "--json")[1])["responses"]]
    monkeypatch.setattr("zooter_core.fleet.ensemble.Ensemble.reward_model", NoReward(*texts))
    stdin(f"{SEA}\n{SUM}\n")
    code, out, err = zooter("compare", "-", "--json")
    first, second = map(json.loads, out.splitlines())
    assert code == 1
    assert [item["rank"] for item in first["responses"]] == [None] * 3
    assert [item["rank"] for item in second["responses"]] == [1, 2, 2]
    assert "a reward for the responses" in err
    assert err.splitlines()[-1] == "1 of 2 queries failed."
    code, out, _ = zooter("compare", SEA)
    assert (code, out.count("no reward")) == (1, 3)


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_printed(tiny_fleet):
    lines: list[str] = []

    def meanwhile(child: subprocess.Popen[str]) -> None:
        child.stdin.write("".join(f"What is {number} + 1?\n" for number in range(500)))
        child.stdin.flush()
        lines.extend(child.stdout.readline() for _ in range(2))  # then it is in the middle of a later query

    call = ("compare", "-", "--json", "--max-new-tokens", 64, "--fleet", tiny_fleet)
    code, rest, err = interrupted(*call, meanwhile=meanwhile)
    assert code == 130, err
    queries = [json.loads(line)["query"] for line in [*lines, *rest.splitlines()]]
    assert queries == [f"What is {number} + 1?" for number in range(len(queries))]
    assert 2 <= len(queries) < 500
