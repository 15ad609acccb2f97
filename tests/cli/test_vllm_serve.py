"""`vllm serve` with one base and three LoRA adapters: four candidates, among which queries are routed."""

from __future__ import annotations

from typing import Any

import pytest

from support.scripted_server import Scripted
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet import discovery

BASE, ADAPTERS = "Qwen/Qwen2.5-7B-Instruct", ("math", "code", "writer")
NAMES = ("qwen2.5-7b", *ADAPTERS)
QUERIES = {  # model -> what it is for
    "math": "What is 17 * 23?",
    "code": "Write a Python function that reverses a list.",
    "writer": "Write a poem about autumn.",
    BASE: "Who wrote Hamlet?",
}
LONGEST = 32768  # tokens


@pytest.fixture
def server(scripted, monkeypatch) -> Scripted:
    """vLLM at its usual address. In its list, an adapter has its base as `parent`, and no length of its own."""
    cards: list[dict[str, Any]] = [{"id": BASE, "owned_by": "vllm", "parent": None, "max_model_len": LONGEST}]
    cards += [{"id": name, "owned_by": "vllm", "parent": BASE, "max_model_len": None} for name in ADAPTERS]
    scripted.routes = {"/v1/models": {"data": cards}, "/version": {"version": "0.26.0"}}
    scripted.replies = {model: f"{model} answers: {{}}".format for model in (BASE, *ADAPTERS)}
    monkeypatch.setattr(discovery, "usual_addresses", lambda: [scripted.url])
    monkeypatch.setattr(discovery, "usual_folders", list)
    return scripted


def test_the_base_and_its_adapters_are_four_candidates_and_a_query_goes_to_the_one_for_it(zooter, server, tmp_path):
    fleet = tmp_path / "my-fleet"
    code, _, err = zooter("init", "--pick", "all", "--out", fleet, fleet=None)
    assert code == 0, err
    candidates = load_fleet(fleet).candidates
    assert [candidate.name for candidate in candidates] == [*NAMES]
    assert [candidate.model for candidate in candidates] == [BASE, *ADAPTERS]
    assert {candidate.context_tokens for candidate in candidates} == {LONGEST}
    assert [candidate.description for candidate in candidates] == ["", *3 * [f"LoRA adapter of {BASE}"]]
    assert {candidate.endpoint.base_url for candidate in candidates} == {server.url}
    assert 'kind = "embedded"' in (fleet / "fleet.toml").read_text()  # no adapter judges what the others write
    server.bodies.clear()
    for model, query in QUERIES.items():
        code, out, err = zooter("ask", query, fleet=fleet)
        assert (code, out.strip()) == (0, f"{model} answers: {query}"), err
    assert [body["model"] for body in server.bodies] == [*QUERIES]
