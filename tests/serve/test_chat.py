"""Chat completions over real HTTP: forwarded as sent, answered as they come, one candidate after another."""

from __future__ import annotations

from typing import Any

import pytest

from support.running_endpoint import METADATA, QUERY, stream_of

TEXT = "Hello, I am a scripted model."


def text_of(chunks: list[Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ()))


def test_an_answer_names_its_candidate_in_body_and_headers(serve):
    endpoint = serve("good", "http-500")
    answer = endpoint.chat()
    assert answer.status_code == 200
    assert answer.json()["model"] == endpoint.order[0]
    assert answer.json()["choices"][0]["message"]["content"] == TEXT
    assert answer.json()["system_fingerprint"] == "fp"
    assert answer.headers["x-model-router-selected-model"] == endpoint.order[0]
    probabilities = endpoint.next_exchange().outcome.choice.decision.probabilities
    assert float(answer.headers["x-zooter-probability"]) == pytest.approx(probabilities[endpoint.order[0]], abs=1e-4)
    assert answer.headers["x-zooter-attempts"] == "1"
    assert answer.headers["x-request-id"].startswith("req-")
    assert "zooter" not in answer.json()


def test_a_named_candidate_gets_its_own_reasoning_back(serve, scripted):
    endpoint = serve("reasons", "reasons")
    second = endpoint.order[1]
    answer = endpoint.chat(model=second).json()["choices"][0]["message"]
    turns = [{"role": "user", "content": "Hi"}, answer, {"role": "user", "content": QUERY}]
    assert "thinking_blocks" in answer
    for model, with_blocks in ((second, True), ("auto", False), (second, False)):  # the first one writes the same
        endpoint.chat(turns, model=model)
        assert ("thinking_blocks" in scripted.bodies[-1]["messages"][1]) == with_blocks
    endpoint.chat(turns, model="rmr")
    assert ["thinking_blocks" in body["messages"][1] for body in scripted.bodies[-2:]].count(True) == 1


@pytest.mark.parametrize(
    ("model", "usage_wanted"), [("good", [True, True]), ("no-stream-options", [True, False, False])]
)
def test_a_stream_is_counted_by_its_server_and_the_client_does_not_see_it(serve, scripted, model, usage_wanted):
    endpoint = serve(model)
    for _ in range(2):
        chunks = stream_of(endpoint.chat(stream=True, stream_options={"include_obfuscation": False}))
        assert text_of(chunks) == TEXT
        assert all(chunk["choices"] for chunk in chunks)
    assert ["stream_options" in body for body in scripted.bodies] == usage_wanted
    assert scripted.bodies[0]["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert (endpoint.next_exchange().outcome.progress.usage is not None) == (model == "good")


def test_a_client_that_wants_usage_gets_an_estimate_where_the_server_does_not_count(serve, scripted):
    endpoint = serve("no-stream-options", "good")
    for _ in range(2):
        chunks = stream_of(endpoint.chat(model=endpoint.order[0], stream=True, stream_options={"include_usage": True}))
        assert text_of(chunks) == TEXT
        assert chunks[-1]["usage"] == {"prompt_tokens": 4, "completion_tokens": 9, "total_tokens": 13}
    assert not any(event.outcome.progress.usage for event in endpoint.next_exchanges(2))
    assert ["stream_options" in body for body in scripted.bodies] == [True, False, False]


def test_a_request_is_forwarded_as_it_came(serve, scripted):
    endpoint = serve("good", "good")
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    body = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Look"}, image], "name": "me"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
        "logprobs": True,
        "temperature": 1e-7,
        "x_unknown": {"deep": [1, 2.5, None, "ü\u2028"]},
    }
    sent = {"model": "auto", **body}
    assert endpoint.client.post("/v1/chat/completions", json=sent).status_code == 200
    assert scripted.bodies[-1] == {"model": "good", **body}


def test_routing_fields_are_left_out_where_the_router_has_read_them(serve, scripted):
    endpoint = serve("good", "good")
    fields = {"models": list(endpoint.order), "session_id": "s"}
    endpoint.chat(**fields)
    assert not {"models", "session_id"} & set(scripted.bodies[-1])
    endpoint.chat(model=endpoint.order[0], **fields)
    assert scripted.bodies[-1]["models"] == list(endpoint.order)


@pytest.mark.parametrize("stream", [False, True])
def test_a_routed_request_is_answered_where_the_server_refuses_a_temperature(serve, scripted, stream):
    endpoint = serve("picky", "good")
    picky, sampling = endpoint.order[0], {"temperature": 0.7, "top_p": 0.9}
    for requests, model, status in ((2, "auto", 200), (1, "auto", 200), (1, picky, 400)):
        before = len(scripted.bodies)
        answer = endpoint.chat(model=model, stream=stream, **sampling)
        assert (answer.status_code, len(scripted.bodies) - before) == (status, requests)
        if status == 200:
            assert answer.headers["x-model-router-selected-model"] == picky
            assert "temperature" not in scripted.bodies[-1]
            assert scripted.bodies[-1]["top_p"] == 0.9
    assert endpoint.chat(temperature=9).headers["x-model-router-selected-model"] != picky  # no server's fault


@pytest.mark.parametrize(
    ("fault", "stream"),
    [
        *(("http-503", False), ("http-401", True), ("refused", False)),
        *(("nothing", True), ("hang-headers", True)),  # a stream without a token
    ],
)
def test_before_the_first_token_the_next_candidate_answers(serve, fault, stream):
    endpoint = serve(fault, "good", hang_seconds=0.5)
    answer = endpoint.chat(stream=stream, headers=METADATA)
    chunks = stream_of(answer) if stream else [answer.json()]
    assert not stream or text_of(chunks) == TEXT
    assert answer.status_code == 200
    assert chunks[-1]["model"] == endpoint.order[1]
    assert answer.headers["x-zooter-attempts"] == "2"
    assert [failure["candidate"] for failure in chunks[-1]["zooter"]["failed"]] == [endpoint.order[0]]


@pytest.mark.parametrize(("choices", "broken"), [(None, False), (1, False), (2, True)])
def test_a_connection_that_breaks_after_the_answers_end_is_no_fault(serve, choices, broken):
    endpoint = serve("reset-at-the-end", "good")
    chunks = stream_of(endpoint.chat(model=endpoint.order[0], stream=True, n=choices))
    assert text_of(chunks) == TEXT
    assert ("error" in chunks[-1]) == broken
    assert (endpoint.next_exchange().error is not None) == broken


def test_after_the_first_token_the_stream_ends_with_an_error(serve, scripted):
    endpoint = serve("reset-in-the-middle", "good")
    chunks = stream_of(endpoint.chat(stream=True))
    assert text_of(chunks) == "Half of"
    assert chunks[-1]["error"]["type"] == "server_error"
    assert endpoint.order[0] in chunks[-1]["error"]["message"]
    assert scripted.count("good") == 0


@pytest.mark.parametrize(
    ("fault", "status"), [("http-400", 400), ("http-429", 429), ("http-401", 502), ("refused", 502)]
)
def test_a_named_candidate_that_fails_is_not_replaced_and_a_refusal_comes_back_as_it_came(serve, fault, status):
    endpoint = serve(fault, "good")
    answer = endpoint.chat(model=endpoint.order[0])
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert fault != "http-400" or answer.json() == {"error": {"message": "scripted http-400"}}


def test_when_nobody_can_answer_every_reason_is_named(serve):
    endpoint = serve("http-500", "refused")
    answer = endpoint.chat()
    message = answer.json()["error"]["message"]
    assert answer.status_code == 502
    assert f'{endpoint.order[0]} (status 500, "scripted http-500")' in message
    assert f"{endpoint.order[1]} (no connection" in message


def test_the_key_of_a_server_reaches_no_client(serve, monkeypatch):
    monkeypatch.setenv("FAR_KEY", "sk-secret-0123456789")
    endpoint = serve("wrong-key", "echo-key-error", extra='api_key_env = "FAR_KEY"\n')
    for name in endpoint.order:
        assert "sk-secret" not in endpoint.chat(model=name).text
