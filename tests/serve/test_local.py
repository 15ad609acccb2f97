"""Candidates on this machine behind the endpoint: what they answer, and what they refuse."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.anthropic_shape import MODES, answer_of, post
from support.patience import PATIENCE, wait_until
from support.running_endpoint import METADATA, running, stream_of
from zooter_core.backends.residency import Residency
from zooter_core.config.fleet import load_fleet
from zooter_core.serve.server import ServeSettings

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def test_a_stream_says_what_the_whole_answer_says(local):
    completion = local.chat(model="one", max_completion_tokens=6, temperature=0).json()
    assert (completion["object"], completion["model"]) == ("chat.completion", "one")
    assert completion["usage"]["completion_tokens"] == 6
    chunks = stream_of(
        local.chat(model="one", max_tokens=6, temperature=0, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])
    assert text.strip() == completion["choices"][0]["message"]["content"].strip()
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-2]["choices"][0]["finish_reason"] == "length"
    assert chunks[-1]["usage"]["completion_tokens"] == 6
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_turns_of_the_user_in_a_row_are_read_as_one(local):
    parts = [{"role": "user", "content": text} for text in ("Name a tree.", "And a flower.")]
    joined = [{"role": "user", "content": "Name a tree.\n\nAnd a flower."}]
    answers = [local.chat(turns, model="one", max_tokens=20, temperature=0).json() for turns in (parts, joined)]
    assert answers[0]["choices"] == answers[1]["choices"]


WRONG = {
    "max_tokens": [0],
    "max_completion_tokens": ["8"],
    "temperature": [-1],
    "seed": ["x"],
    "top_p": [0, -0.5, 1.1, "0.5", True],
    "top_k": [-2, 1.5, "40", True],
    "stop": [5, [1], [""], ["a", None], ["a"] * 17, {"a": 1}],
}
UNABLE = {"response_format": {"type": "json_object"}, "logprobs": True, "n": 2}
UNABLE |= {"tools": [{"type": "function", "function": {"name": "f"}}]}


def test_what_it_cannot_do_is_refused_with_the_name_of_the_field(local):
    for field, value in [(field, value) for field, values in WRONG.items() for value in values]:
        response = local.chat(model="base", **{field: value})
        error = response.json()["error"]
        assert (response.status_code, error["param"].partition("[")[0]) == (400, field)
        assert error["message"].startswith(f"`{error['param']}` is wrong: it should ")
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


def test_a_prompt_that_is_too_long_has_the_code_by_which_clients_shorten_it(local):
    for model in ("base", "auto"):
        response = local.chat("word " * 5000, model=model)
        error = response.json()["error"]
        assert (response.status_code, error["type"]) == (400, "invalid_request_error")
        assert error["code"] == "context_length_exceeded"
        assert "prompt is too long: " in error["message"]


def test_neutral_values_are_not_demands(local):
    fields = {"n": 1, "logprobs": False, "tools": [], "stop": None, "top_p": 1, "response_format": {"type": "text"}}
    assert local.chat(model="base", max_tokens=1, **fields).status_code == 200
    assert local.chat(model="base", max_tokens=1, stop="", top_p=None).status_code == 200
    penalties = {"presence_penalty": 0.5, "frequency_penalty": 0.2}
    assert local.chat(model="auto", max_tokens=1, **penalties).status_code == 200
    assert local.chat(model="base", max_tokens=1, **penalties).json()["error"]["param"] == "presence_penalty"


@MODES
def test_a_stop_text_ends_an_answer(local, stream):
    settings = {"model": "one", "max_tokens": 40, "temperature": 0}
    text = local.chat(**settings).json()["choices"][0]["message"]["content"]
    stop = text[len(text) // 2 :][:6]
    before = text.split(stop)[0]
    for stops in (stop, ["no such text", stop]):
        chat = local.chat(stop=stops, stream=stream, **settings)
        choices = [chunk["choices"][0] for chunk in (stream_of(chat) if stream else [chat.json()])]
        parts = [choice["delta" if stream else "message"].get("content", "") for choice in choices]
        assert ("".join(parts), choices[-1]["finish_reason"], choices[-1]["stop_reason"]) == (before, "stop", stop)
    turns = post(local, stop_sequences=[stop], stream=stream, **settings)
    message = answer_of(turns, stream)
    assert message["content"] == [{"type": "text", "text": before}]
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", stop)


def test_sampling_follows_the_request_and_differs_each_time_unless_it_has_a_seed(local):
    def answer(**settings):
        return local.chat(model="one", max_tokens=20, **settings).json()["choices"][0]["message"]["content"]

    wild = {"temperature": 5, "top_k": -1, "seed": 1}
    drawn = answer(**wild)
    assert answer(top_p=1e-6, **wild) == answer(**{**wild, "top_k": 1}) == answer(temperature=0) != drawn
    assert answer(**wild) == drawn
    assert len({answer(temperature=5) for _ in range(3)}) == 3


@pytest.mark.parametrize("stream", [False, True])
def test_rmr_keeps_the_answer_with_the_highest_reward(local, stream):
    """Of a sum, the best would be one that is right by chance."""
    response = local.chat("Tell me of the sea.", model="rmr", max_tokens=4, stream=stream, headers=METADATA)
    chunks = stream_of(response) if stream else [response.json()]
    assert {chunk["model"] for chunk in chunks} == {response.headers["x-model-router-selected-model"]}
    assert not stream or chunks[0]["choices"][0]["delta"]["content"]
    rewards = chunks[-1]["zooter"]["rewards"]
    assert set(rewards) == {"base", "one", "two"}
    assert rewards[chunks[0]["model"]] == max(rewards.values())


@pytest.fixture
def loading(monkeypatch):
    """Where the language models come from that are loaded; `loading.may_end` lets them be loaded to the end."""
    load, note = Residency._load, SimpleNamespace(models=[], may_end=threading.Event())

    def load_and_note(self, loader):
        note.models.append(Path(loader.candidate.model).name)
        assert note.may_end.wait(PATIENCE)
        return load(self, loader)

    monkeypatch.setattr(Residency, "_load", load_and_note)
    note.may_end.set()
    return note


@pytest.fixture
def changeable(fleet_copy, tmp_path, loading):
    """An endpoint whose fleet may change; `loading` notes its models."""
    shutil.copytree(fleet_copy / "base", fleet_copy / "other")
    with running(ServeSettings(load_fleet(fleet_copy), port=0, data=tmp_path / "data")) as endpoint:
        yield endpoint


def models_in_memory(endpoint):
    ensemble = endpoint.server.gateway.ensemble
    wait_until(lambda: len(ensemble.loads) == len(ensemble.fleet.pool))
    return [Path(key[0]).name for key in ensemble.backends["transformers"].sizes()]


def reload(endpoint, old, new):
    """Reload a fleet whose candidates are another model now."""
    file = Path(endpoint.server.gateway.fleet.folder) / "fleet.toml"
    file.write_text(file.read_text().replace(f'model = "{old}"', f'model = "{new}"'))
    assert endpoint.client.post("/admin/reload", json={}).status_code == 200


def test_a_reload_keeps_the_models_that_stay_and_unloads_the_others(changeable, loading):
    assert models_in_memory(changeable) == ["base"]
    reload(changeable, "base", "base")
    assert (models_in_memory(changeable), loading.models) == (["base"], ["base"])
    reload(changeable, "base", "other")
    assert (models_in_memory(changeable), loading.models) == (["other"], ["base", "other"])
    assert changeable.chat(model="one", max_tokens=2).status_code == 200


def test_a_model_that_is_loading_during_a_reload_is_unloaded_too(changeable, loading):
    assert models_in_memory(changeable) == ["base"]
    loading.may_end.clear()
    reload(changeable, "base", "other")
    wait_until(lambda: loading.models == ["base", "other"])
    reload(changeable, "other", "base")
    loading.may_end.set()
    wait_until(lambda: "load" not in [thread.name for thread in threading.enumerate()])
    assert models_in_memory(changeable) == ["base"]
