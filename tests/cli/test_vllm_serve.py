"""`vllm serve` with one base and three LoRA adapters: four candidates, among which queries are routed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.scripted_server import Handler, Scripted, serving
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


class VllmHandler(Handler):
    """Speaks as `vllm serve BASE --enable-lora --lora-modules NAME=FOLDER ...`; a model answers with its name."""

    def play(self, model: str, body: dict[str, Any]) -> None:
        if model not in self.server.models:
            message = f"The model `{model}` does not exist."
            error = {"message": message, "type": "NotFoundError", "param": "model", "code": 404}
            return self.status(404, {"error": error})
        words = f"{model} answers: {body['messages'][-1]['content']}".split(" ")
        usage = {"prompt_tokens": 9, "total_tokens": 9 + len(words), "completion_tokens": len(words)}
        shape = {"id": "chatcmpl-1", "created": 1, "model": model}
        if not body.get("stream"):
            message = {"role": "assistant", "content": " ".join(words), "tool_calls": [], "reasoning": None}
            choices = [{"index": 0, "message": message, "finish_reason": "stop", "stop_reason": None}]
            return self.status(200, {**shape, "object": "chat.completion", "choices": choices, "usage": usage})
        self.begin("text/event-stream; charset=utf-8")

        def chunk(choices: list[dict[str, Any]], **more: Any) -> None:
            self.raw("data: " + json.dumps({**shape, "object": "chat.completion.chunk", "choices": choices, **more}))

        chunk([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
        for number, word in enumerate(words):
            delta = {"content": " " * bool(number) + word}
            chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}])
        chunk([{"index": 0, "delta": {"content": ""}, "finish_reason": "stop", "stop_reason": None}])
        if (body.get("stream_options") or {}).get("include_usage"):
            chunk([], usage=usage)
        return self.raw("data: [DONE]")


@pytest.fixture
def server(monkeypatch) -> Iterator[Scripted]:
    """It, at vLLM's usual address. In its list, an adapter has its base as `parent`, and no length of its own."""

    def card(name: str, root: str, parent: str | None, longest: int | None) -> dict[str, Any]:
        shape = {"id": name, "object": "model", "created": 1, "owned_by": "vllm", "root": root, "parent": parent}
        return shape | {"max_model_len": longest, "permission": [{"object": "model_permission"}]}

    with serving(handler=VllmHandler) as running:
        running.models = [BASE, *ADAPTERS]
        cards = [card(BASE, BASE, None, LONGEST)]
        cards += [card(name, f"/srv/adapters/{name}", BASE, None) for name in ADAPTERS]
        lists = {"/v1/models": {"object": "list", "data": cards}, "/version": {"version": "0.26.0"}}
        running.routes = {**lists, "/health": b""}
        monkeypatch.setattr(discovery, "usual_addresses", lambda: [running.url])
        monkeypatch.setattr(discovery, "usual_folders", list)
        yield running


@pytest.fixture
def fleet(zooter, server, tmp_path) -> Path:
    folder = tmp_path / "my-fleet"
    code, _, err = zooter("init", "--pick", "all", "--out", folder, fleet=None)
    assert code == 0, err
    return folder


def test_the_base_and_its_adapters_are_four_candidates_and_a_query_goes_to_the_one_for_it(
    zooter, fleet, server, tmp_path
):
    candidates = load_fleet(fleet).candidates
    assert [candidate.name for candidate in candidates] == [*NAMES]
    assert [candidate.model for candidate in candidates] == [BASE, *ADAPTERS]
    assert {candidate.context_tokens for candidate in candidates} == {LONGEST}
    assert [candidate.description for candidate in candidates] == ["", *3 * [f"LoRA adapter of {BASE}"]]
    assert {candidate.endpoint.base_url for candidate in candidates} == {server.url}
    text = (fleet / "fleet.toml").read_text()
    assert 'kind = "embedded"' in text  # no adapter judges what the others write
    assert zooter("init", "--pick", "all", "--out", tmp_path / "named", "--endpoint", server.url, fleet=None)[0] == 0
    assert (tmp_path / "named" / "fleet.toml").read_text() == text.replace("my-fleet", "named")
    code, out, _ = zooter("check", "--json", fleet=fleet)
    assert code == 0
    rows = {row["name"]: row["ok"] for row in json.loads(out)["parts"] if row["part"] == "candidate"}
    assert rows == dict.fromkeys(NAMES, True)
    server.bodies.clear()
    for model, query in QUERIES.items():
        code, out, err = zooter("ask", query, fleet=fleet)
        assert (code, out.strip()) == (0, f"{model} answers: {query}"), err
    assert [body["model"] for body in server.bodies] == [*QUERIES]
