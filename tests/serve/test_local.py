"""Candidates on this machine behind the endpoint: what they answer, and what they refuse."""

from __future__ import annotations

import pytest

from support.patience import wait_until
from support.running_endpoint import stream_of

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def test_an_answer_has_the_shape_of_the_api(local):
    answer = local.chat(model="one", max_completion_tokens=5, temperature=0, seed=3).json()
    (choice,) = answer["choices"]
    assert (answer["object"], answer["model"]) == ("chat.completion", "one")
    assert (choice["message"]["role"], choice["finish_reason"]) == ("assistant", "length")
    assert answer["usage"]["completion_tokens"] == 5


def test_a_stream_says_what_the_whole_answer_says(local):
    completion = local.chat(model="one", max_tokens=6, temperature=0).json()
    chunks = stream_of(
        local.chat(model="one", max_tokens=6, temperature=0, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])
    assert text.strip() == completion["choices"][0]["message"]["content"].strip()
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-2]["choices"][0]["finish_reason"] == "length"
    assert chunks[-1]["usage"]["completion_tokens"] == 6
    assert len({chunk["id"] for chunk in chunks}) == 1


SETTINGS = {  # a wrong value of each, and what it must be
    "max_tokens": (0, "a whole number above 0"),
    "max_completion_tokens": ("8", "a whole number above 0"),
    "temperature": (-1, "a number of at least 0"),
    "seed": ("x", "a whole number"),
}
UNABLE = {"response_format": {"type": "json_object"}, "logprobs": True, "n": 2, "stop": ["x"]}
UNABLE |= {"tools": [{"type": "function", "function": {"name": "f"}}]}


def test_what_it_cannot_do_is_refused_with_the_name_of_the_field(local):
    for field, (value, expected) in SETTINGS.items():
        response = local.chat(model="base", **{field: value})
        error = response.json()["error"]
        assert (response.status_code, error["param"]) == (400, field)
        assert error["message"] == f"`{field}` must be {expected}."
    for field, value in UNABLE.items():
        named, routed = (local.chat(model=model, **{field: value}) for model in ("base", "auto"))
        assert (named.status_code, named.json()["error"]["param"]) == (400, field)
        assert (routed.status_code, routed.json()["error"]["code"]) == (400, "no_capable_model")
    tool = {"role": "tool", "content": "42", "tool_call_id": "1"}
    for message, need in (({"role": "user", "content": [IMAGE]}, "images"), (tool, "tools")):
        response = local.chat([message], model="base")
        assert (response.status_code, response.json()["error"]["param"]) == (400, "messages[0]")
        assert f"{need} are not supported" in response.json()["error"]["message"]
    empty = local.chat([{"role": "user", "content": " "}], model="auto")
    assert empty.status_code == 400
    assert "the last message has no text" in empty.json()["error"]["message"]


def test_neutral_values_are_not_demands(local):
    fields = {"n": 1, "logprobs": False, "tools": [], "stop": None, "top_p": 1, "response_format": {"type": "text"}}
    assert local.chat(model="base", max_tokens=1, **fields).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_rmr_keeps_the_answer_with_the_highest_reward(local, stream):
    response = local.chat(model="rmr", max_tokens=4, stream=stream, headers={"x-zooter-metadata": "enabled"})
    chunks = stream_of(response) if stream else [response.json()]
    assert {chunk["model"] for chunk in chunks} == {response.headers["x-model-router-selected-model"]}
    assert not stream or chunks[0]["choices"][0]["delta"]["content"]
    rewards = chunks[-1]["zooter"]["rewards"]
    assert set(rewards) == {"base", "one", "two"}
    assert rewards[chunks[0]["model"]] == max(rewards.values())


def test_a_fleet_that_is_loaded_anew_leaves_no_model_behind(local):
    ensemble = local.server.gateway.ensemble
    wait_until(lambda: len(ensemble.loads) == len(ensemble.fleet.pool))
    assert ensemble.backends["transformers"].sizes()
    assert local.client.post("/admin/reload", json={}).status_code == 200
    assert not ensemble.backends["transformers"].sizes()
    assert local.chat(model="one", max_tokens=2).status_code == 200
