"""A fleet of endpoints as a user meets it: check, ask, and a run with faults."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import endpoint_fleet
from support.thinking_servers import ANSWER
from zooter_core.config.edit import change_candidate
from zooter_core.config.fleet import load_fleet


@pytest.fixture
def server(scripted):
    scripted.replies = {"long": lambda query: f"{query} That is a long story.", "short": lambda query: "No."}
    return scripted


@pytest.fixture
def fleet(fleet_copy, server):
    """The tiny fleet's reward model and tagger over scripted endpoints."""

    def save(router: bool = False, **models: str) -> Path:
        return endpoint_fleet.save(fleet_copy, server.url, models, router)

    return save


@pytest.fixture
def zooter(called, monkeypatch):
    monkeypatch.setenv("COLUMNS", "220")
    return called


def test_check_tells_health_and_speed(zooter, fleet):
    code, out, _ = zooter("check", "--json", "--fleet", fleet(a="long", b="short"))
    parts = json.loads(out)["parts"]
    names = ("a", "b", "scalar", "nearest", "starting")
    assert (code, {row["name"]: row["ok"] for row in parts}) == (0, dict.fromkeys(names, True))
    assert "starting router" in parts[4]["note"]
    assert parts[0]["first_token_seconds"] > 0
    assert parts[0]["memory_mb"] is None
    assert parts[2]["memory_mb"] >= 0
    assert parts[0]["advice"]["images"] is True


def test_check_names_the_prices_that_a_server_lists_and_the_fleet_lacks(zooter, fleet, scripted):
    folder = fleet(a="short", b="short")
    scripted.routes = {"/v1/models": {"data": [{"id": "short", "pricing": {"input": 1, "output": 2.5}}]}}
    change_candidate(folder, "b", {"usd_per_million_tokens": 2.0})
    rows = json.loads(zooter("check", "--json", "--fleet", folder)[1])["parts"]
    assert rows[0]["advice"]["usd_per_million_tokens"] == 2.5
    assert "usd_per_million_tokens" not in rows[1]["advice"]


def test_check_writes_who_thinks(zooter, fleet):
    folder = fleet(a="ollama 310", b="llama.cpp 40", c="short")
    change_candidate(folder, "b", {"thinking": False})
    code, out, _ = zooter("check", "--fleet", folder)
    assert code == 0
    text = " ".join(out.split())
    assert "c: set images = true, tools = true, json_mode = false in its [[candidate]]" in text
    assert text.count("elsewhere") == 3
    assert "thinks before it answers (about 310 tokens); answers after" in text
    assert 'a: fleet.toml now has thinking = "auto".' in text
    assert [one.thinking for one in load_fleet(folder).candidates] == ["auto", False, None]
    change_candidate(folder, "b", {"model": "openai 40"})
    rows = json.loads(zooter("check", "--json", "--fleet", folder)[1])["parts"]
    assert rows[1]["found"].startswith("thinks before it answers (about 40 tokens), although thinking = false;")
    assert "thinking" not in rows[0]  # it stands there


def test_check_of_a_candidate_that_fails_is_exit_1(zooter, fleet):
    code, out, _ = zooter("check", "--json", "--fleet", fleet(a="long", b="http-503", c="empty"))
    rows = {row["name"]: row for row in json.loads(out)["parts"]}
    assert code == 1
    assert (rows["a"]["ok"], rows["b"]["ok"], rows["c"]["ok"]) == (True, False, False)
    assert rows["b"]["found"].startswith("b at 127.0.0.1:")
    assert rows["b"]["found"].count("status 503") == 1
    assert "an empty one" in rows["c"]["found"]


def test_ask_keeps_what_has_come_and_tells_the_fault(zooter, fleet):
    folder = fleet(a="reset-in-the-middle", b="long", router=True)
    code, out, err = zooter("ask", "Hi", "--candidate", "a", "--fleet", folder)
    assert code == 1
    assert out == "Half of\n"
    assert "The answer of a is incomplete.\n" in err
    assert "the connection broke, after 7 characters" in err


def test_ask_into_a_pipe_has_no_thoughts_that_look_like_text_at_first(zooter, fleet):
    folder = fleet(a="vllm-without-parser 8")
    change_candidate(folder, "a", {"thinking": "auto"})
    assert zooter("ask", "Hi", "--candidate", "a", "--fleet", folder)[1] == f"{ANSWER}\n"


def test_an_answer_without_text_is_exit_1(zooter, fleet):
    code, out, err = zooter("ask", "Hi", "--candidate", "b", "--fleet", fleet(a="long", b="empty", router=True))
    assert (code, out) == (1, "")
    assert "an answer of b, but found an empty one" in err


def test_ask_goes_to_the_next_candidate_before_the_first_token(zooter, fleet_copy, server):
    models = ("refused", "http-503", "good")
    first, second, third = endpoint_fleet.save_by_order(fleet_copy, server.url, "Hi", models)
    code, out, err = zooter("ask", "Hi", "--fleet", fleet_copy)
    assert (code, out) == (0, "Hello, I am a scripted model.\n")
    assert f"->  {first}\n" in err
    assert f"{first} could not answer (no connection (refused)); {second} answers instead.\n" in err
    assert f'{second} could not answer (status 503, "scripted http-503"); {third} answers instead.\n' in err


@pytest.mark.slow
def test_a_run_with_missing_responses_goes_through_where_that_is_allowed(zooter, fleet, server, tmp_path):
    """The model `long` answers six queries, and then nothing. Once it is well again: tests/pipeline/test_missing.py."""
    queries_received = set()

    def long(query: str) -> str:
        queries_received.add(query)
        if len(queries_received) > 6:
            raise ConnectionResetError
        return f"{query} That is a long story."

    server.replies |= {"long": long, "plain": lambda query: "It is even."}
    folder, queries = fleet(a="long", b="short", c="plain"), tmp_path / "queries.txt"
    queries.write_text("\n".join(f"What is {n} + {n}?" for n in range(20)))
    call = ["run", "--fleet", folder, "--queries", queries, "--router-kind", "zooter", "--router-set", "epochs=1"]
    code, _, err = zooter(*call, "--out", tmp_path / "run")
    assert (code, "the connection broke" in err) == (1, True)
    assert not (tmp_path / "run" / "rewards.jsonl").exists()
    code, out, err = zooter(*call, "--out", tmp_path / "run", "--allow-missing")
    assert code == 0
    assert "a is skipped, and some of its responses are missing" in err
    assert "responses are missing; queries with a score, of 20: a 6, b 20, c 20" in out
