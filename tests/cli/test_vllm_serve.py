"""`vllm serve` with one base and three LoRA adapters: four candidates, among which queries are routed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.scripted_server import Scripted
from support.vllm_server import LONGEST, serving_vllm
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet import discovery

BASE, ADAPTERS = "Qwen/Qwen2.5-7B-Instruct", ("math", "code", "writer")
NAMES = ("qwen2.5-7b", *ADAPTERS)
QUERIES = {  # adapter -> what it is for
    "math": "What is 17 * 23?",
    "code": "Write a Python function that reverses a list.",
    "writer": "Write a poem about autumn.",
}


@pytest.fixture
def server(monkeypatch) -> Iterator[Scripted]:
    """vLLM at its usual address."""
    with serving_vllm(BASE, ADAPTERS) as running:
        monkeypatch.setattr(discovery, "usual_addresses", lambda: [running.url])
        monkeypatch.setattr(discovery, "usual_folders", list)
        yield running


@pytest.fixture
def fleet(zooter, server, tmp_path) -> Path:
    folder = tmp_path / "my-fleet"
    code, _, err = zooter("init", "--pick", "all", "--out", folder, fleet=None)
    assert code == 0, err
    return folder


def test_the_base_and_its_adapters_are_four_candidates(fleet, server):
    candidates = load_fleet(fleet).candidates
    assert [candidate.name for candidate in candidates] == [*NAMES]
    assert [candidate.model for candidate in candidates] == [BASE, *ADAPTERS]
    assert {candidate.context_tokens for candidate in candidates} == {LONGEST}
    assert [candidate.description for candidate in candidates] == ["", *3 * [f"LoRA adapter of {BASE}"]]
    assert {candidate.endpoint.base_url for candidate in candidates} == {server.url}
    assert 'kind = "embedded"' in (fleet / "fleet.toml").read_text()  # no adapter judges what the others write


def test_a_server_that_is_named_gives_the_same(zooter, server, fleet, tmp_path):
    call = ("init", "--pick", "all", "--out", tmp_path / "named", "--endpoint", server.url)
    assert zooter(*call, fleet=None)[0] == 0
    ours, theirs = (folder.joinpath("fleet.toml").read_text() for folder in (fleet, tmp_path / "named"))
    assert ours.replace("my-fleet", "named") == theirs


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_query_goes_to_the_adapter_for_it(zooter, fleet, server, adapter):
    code, out, err = zooter("ask", QUERIES[adapter], fleet=fleet)
    assert code == 0, err
    assert out.strip() == f"{adapter} answers: {QUERIES[adapter]}"
    assert [body["model"] for body in server.bodies] == [adapter]


def test_what_no_adapter_is_for_goes_to_the_base(zooter, fleet, server):
    assert json.loads(zooter("route", "Who wrote Hamlet?", "--json", fleet=fleet)[1])["candidate"] == NAMES[0]
    assert zooter("ask", "Who wrote Hamlet?", fleet=fleet)[0] == 0
    assert [body["model"] for body in server.bodies] == [BASE]


def test_check_finds_all_four(zooter, fleet):
    code, out, _ = zooter("check", "--json", fleet=fleet)
    rows = {row["name"]: row for row in json.loads(out)["parts"] if row["part"] == "candidate"}
    assert code == 0
    assert set(rows) == set(NAMES)
    assert all(row["ok"] for row in rows.values())
