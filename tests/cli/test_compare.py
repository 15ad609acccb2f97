from __future__ import annotations

import json

from support.command_files import ADAPTER, POOL, SEA, NoReward, check_decision, damage


def test_responses_are_in_rank_order(zooter):
    code, out, _ = zooter("compare", SEA, "--json")
    shape = json.loads(out)
    assert code == 0
    assert set(shape) == {"query", "responses", "route"}
    assert shape["query"] == SEA
    check_decision(shape["route"], SEA)
    responses = shape["responses"]
    assert {r["candidate"] for r in responses} == set(POOL)
    for response in responses:
        assert {"candidate", "text", "reward", "rank", "seconds", "tokens", "error"} <= set(response)
        assert (response["error"], response["tokens"]) == (None, 8)
    assert [r["rank"] for r in responses] == [1, 2, 3]
    rewards = [r["reward"] for r in responses]
    assert rewards == sorted(rewards, reverse=True)
    code, out, _ = zooter("compare", SEA)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines() if "(reward " in line] == ["1.", "2.", "3."]
    assert out.count("the router's choice") == 1


def test_a_failed_candidate_has_no_rank(zooter, fleet_copy):
    code, out, _ = zooter("compare", SEA, "--json", fleet=damage(fleet_copy, ADAPTER))
    *ranked, failed = json.loads(out)["responses"]
    assert code == 0
    assert [r["rank"] for r in ranked] == [1, 2]
    assert (failed["candidate"], failed["rank"], failed["reward"]) == ("one", None, None)
    assert "a LoRA adapter for one" in failed["error"]


def test_no_candidate_that_works_is_exit_1(zooter, fleet_copy):
    code, out, _ = zooter("compare", SEA, "--json", fleet=damage(fleet_copy, "base/model.safetensors"))
    assert code == 1
    assert [r["rank"] for r in json.loads(out)["responses"]] == [None] * 3


def test_responses_without_a_reward_are_shown(zooter, monkeypatch):
    monkeypatch.setattr("zooter_core.fleet.ensemble.Ensemble.reward_model", NoReward())
    code, out, err = zooter("compare", SEA, "--json")
    responses = json.loads(out)["responses"]
    assert code == 1
    assert [(item["rank"], item["reward"]) for item in responses] == [(None, None)] * 3
    assert all(item["text"] for item in responses)
    assert "a reward for the responses" in err
    assert zooter("compare", SEA)[1].count("no reward") == 3


def test_without_a_reward_model_the_responses_are_shown_and_verified(zooter, fleet_copy):
    text = (fleet_copy / "fleet.toml").read_text()
    start = text.index("[reward]")
    (fleet_copy / "fleet.toml").write_text(text[:start] + text[text.index("\n[", start) + 1 :])
    code, out, err = zooter("compare", SEA, "--json", "--answer", "no model says this", fleet=fleet_copy)
    responses = json.loads(out)["responses"]
    assert code == 0
    assert [(item["rank"], item["reward"], item["right"]) for item in responses] == [(None, None, False)] * 3
    assert "no [reward] table" in err


def test_a_right_answer_verifies_the_responses(zooter):
    code, out, _ = zooter("compare", SEA, "--json", "--answer", "no model says this")
    responses = json.loads(out)["responses"]
    assert code == 0
    assert [response["right"] for response in responses] == [False] * len(responses)
    assert all(response["reason"] for response in responses)
    assert zooter("compare", SEA, "--answer", "no model says this")[1].count("(wrong, reward") == len(responses)
