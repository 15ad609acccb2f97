"""Models that think before they answer: their thoughts are apart from the answer, and have room."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from support.read_stream import ASK
from support.scripted_server import Scripted, at
from support.thinking_servers import ANSWER, MAKES, stream
from zooter_core.backends import Request
from zooter_core.backends.endpoint.backend import OpenAIBackend
from zooter_core.backends.thoughts import ROOM
from zooter_core.base.records import Response
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig

SHORT = GenerationConfig(max_new_tokens=32)


def answered(backend: OpenAIBackend, candidate: CandidateConfig) -> tuple[str, str, Response]:
    """Thoughts and text as they came, and the response."""
    pieces = list(backend.stream([Request(candidate, ASK)], SHORT, threading.Event()))
    response = pieces[-1].response
    return "".join(piece.thoughts for piece in pieces), "".join(piece.text for piece in pieces), response


def test_thoughts_have_room_once_they_are_cut_off(server: Scripted, backend: OpenAIBackend) -> None:
    candidate = at(server.url, "llama.cpp 40")
    for requests in (2, 3):
        response = answered(backend, candidate)[2]
        assert (response.text, response.tokens) == (ANSWER, 44)
        assert server.count(candidate.model) == requests
    limits = [body["max_tokens"] for body in server.bodies if body["model"] == candidate.model]
    assert limits == [32, 32 + ROOM, 32 + ROOM]
    assert "thoughts" not in response.to_json()


def test_thoughts_have_half_of_a_context_that_is_too_short_for_more(server: Scripted, backend: OpenAIBackend) -> None:
    response = answered(backend, replace(at(server.url, "narrow-thinker"), thinking="auto"))[2]
    assert (response.text, response.error) == (ANSWER, None)
    limits = [body["max_tokens"] for body in server.bodies if body["model"] == "narrow-thinker"]
    assert limits == [32 + ROOM, 32 + 150]


def test_thoughts_without_end_are_no_answer_and_the_setting_is_named(server: Scripted, backend: OpenAIBackend) -> None:
    candidate = replace(at(server.url, f"llama.cpp-none {ROOM + 99}", rest_after=1), max_new_tokens=64)
    for _ in range(2):  # it is not ill
        _, text, response = answered(backend, candidate)
        assert (text, response.text, response.finish) == ("", "", "refused")
        assert "it was still thinking when its answer ended, after 4,160 tokens" in str(response.error)
        assert "max_new_tokens" in str(response.error)
        assert response.thoughts.startswith("hm hm")


OFF_BY_DEFAULT = ("vllm-deepseek", "mistral")


@pytest.mark.parametrize("make", MAKES)
def test_every_make_of_server_is_understood(server: Scripted, backend: OpenAIBackend, make: str) -> None:
    """Thoughts apart from the answer, room for them once they are cut off, and the answer in the end."""
    thinks = make not in OFF_BY_DEFAULT
    for tokens in (8, 40):
        candidate = at(server.url, f"{make} {tokens}")
        if make == "vllm-without-parser":  # its first thoughts look like text until they end
            candidate = replace(candidate, thinking="auto")
            assert answered(backend, candidate)[2].text == ANSWER
        thoughts, text, response = answered(backend, candidate)
        assert (text, response.text, response.error) == (ANSWER, ANSWER, None)
        assert response.thought_tokens == tokens * thinks
        assert response.thoughts == ("hm " * tokens).strip() * (thinks and make != "openai")
        assert thoughts.strip().endswith(response.thoughts)


def test_an_empty_line_before_thoughts_in_a_field_is_no_text(server: Scripted, backend: OpenAIBackend) -> None:
    deltas = ({"content": "\n"}, {"reasoning_content": "hm"})
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    server.streams["good"] = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks]
    _, _, response = answered(backend, at(server.url))
    assert (response.text, response.thoughts) == ("", "hm")
    assert response.error is not None


def test_where_prompts_open_the_thoughts_an_answer_without_any_is_all_text(
    server: Scripted, backend: OpenAIBackend
) -> None:
    server.streams["adapts"] = stream(MAKES["vllm-without-parser"], 3, {}).splitlines(keepends=True)
    answers = []
    for _ in range(3):
        answers.append(answered(backend, at(server.url, "adapts")))
        server.streams["adapts"] = stream(MAKES["vllm"], 0, {}).splitlines(keepends=True)
    assert [response.text for _, _, response in answers] == [ANSWER] * 3
    assert [response.thoughts for _, _, response in answers] == ["hm hm hm", "", ""]
    assert [response.thought_tokens > 0 for _, _, response in answers] == [True, False, False]
    assert answers[2][:2] == ("", ANSWER)


@pytest.mark.parametrize("make", MAKES)
def test_thinking_is_switched_off_and_on_in_the_words_of_every_make(
    server: Scripted, backend: OpenAIBackend, make: str
) -> None:
    """OpenAI's models that think have no switch: they answer all the same."""
    candidate = at(server.url, f"{make} 8")
    _, text, off = answered(backend, replace(candidate, thinking=False))
    if make == "llama.cpp-none":
        body = server.bodies[-1]
        assert (body["max_tokens"], body["think"], body["reasoning_effort"]) == (32, False, "none")
        assert body["chat_template_kwargs"]["enable_thinking"] is False
    assert (text, off.thoughts, off.error) == (ANSWER, "", None)
    assert off.thought_tokens == (8 if make == "openai" else 0)
    on = answered(backend, replace(candidate, thinking="high"))[2]
    assert (on.text, on.error) == (ANSWER, None)
    assert 7 <= on.thought_tokens < on.tokens  # where the text was split afterwards, an estimate by length
