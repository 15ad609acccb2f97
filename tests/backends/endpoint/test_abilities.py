"""What a server's model can do: llama.cpp itself, the routes of Ollama and vLLM, and tiny requests to any other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.event_loops import run_apart
from support.scripted_server import Scripted, at
from zooter_core.backends.endpoint.abilities import Abilities, find_abilities
from zooter_core.backends.endpoint.connection import Connection
from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.backends.gguf import child

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.fixture
def llama_cpp(tmp_path: Path) -> Iterator[str]:
    """The address of llama.cpp's server with a tiny model, as a user would run it."""
    pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")
    from support.gguf_models import write_model

    settings = {"model": str(write_model(tmp_path / "tiny.gguf")), "adapters": [], "threads": 1, "n_ctx": 512}
    settings |= {"hostnames": ["127.0.0.1"], "port": 0, "n_parallel": 2, "offline": True, "ui": False}
    call = [sys.executable, child.__file__, json.dumps(settings), str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(call, **pipes) as process:  # it ends when its input does
        yield json.loads(process.stdout.readline())["address"] + "/v1"


def test_llama_cpp_says_what_it_can_do_and_refuses_an_image_with_status_500(llama_cpp):
    server = Connection(at(llama_cpp, "tiny"))

    async def look() -> tuple[Abilities, EndpointError]:
        abilities = await find_abilities(server)
        content = [{"type": "text", "text": "Look"}, PICTURE]
        with pytest.raises(EndpointError) as caught:
            await server.ask("/chat/completions", {"messages": [{"role": "user", "content": content}]})
        return abilities, caught.value

    abilities, error = run_apart(look())
    assert abilities == Abilities(
        context_tokens=256, images=False, tools=False, json_mode=True, logprobs=True, thinking=False, parallel=2
    )
    assert "status 500" in error.reason
    assert (error.subject, error.refused, error.temporary) == ("images", True, False)


def look_at(scripted: Scripted, model: str, routes: dict[str, Any]) -> Abilities:
    scripted.routes = routes
    return run_apart(find_abilities(Connection(at(scripted.url, model))))


def test_ollama_says_what_a_model_can_do(scripted):
    shown = {"capabilities": ["completion", "vision"], "parameters": "stop  x\nnum_ctx   8192"}
    running = {"models": [{"name": "other", "context_length": 1}, {"name": "good", "context_length": 4096}]}
    abilities = {"images": True, "tools": False, "json_mode": True, "logprobs": False, "thinking": False}
    assert look_at(scripted, "good", {"/api/show": shown, "/api/ps": running}) == Abilities(4096, **abilities)
    assert look_at(scripted, "good", {"/api/show": shown, "/api/ps": {}}) == Abilities(8192, **abilities)


def test_vllm_lists_the_context_and_trials_show_the_rest(scripted):
    models = {"data": [{"id": "no-tools", "max_model_len": 16384}]}
    expected = Abilities(16384, images=True, tools=False, json_mode=False, logprobs=False)  # it answers in prose
    assert look_at(scripted, "no-tools", {"/v1/models": models}) == expected
    adapter = {"id": "no-tools", "parent": "base", "max_model_len": None}
    models = {"data": [{"id": "base", "parent": None, "max_model_len": 16384}, adapter]}
    assert look_at(scripted, "no-tools", {"/v1/models": models}) == expected


def test_a_server_that_writes_json_has_a_json_mode(scripted):
    scripted.replies = {"good": lambda query: "{"}
    assert look_at(scripted, "good", {}).json_mode is True


def test_a_list_of_models_is_beside_the_chat_whatever_the_path(scripted):
    scripted.routes = {"/v1/openai/models": {"data": [{"id": "good", "context_length": 8192}]}}  # as at DeepInfra
    assert run_apart(find_abilities(Connection(at(f"{scripted.url}/openai")))).context_tokens == 8192


def test_a_server_that_fails_trials_says_nothing(scripted):
    assert look_at(scripted, "http-429", {}) == Abilities()
