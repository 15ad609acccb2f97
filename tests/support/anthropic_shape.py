"""Requests to /v1/messages, its streams put together, and answers of the server behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.running_endpoint import QUERY, Endpoint

TURN = {"role": "user", "content": QUERY}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
CACHED = {"cache_control": {"type": "ephemeral"}}
TOOL = {"name": "weather", "description": "The weather.", "input_schema": SCHEMA} | CACHED
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
MODES = pytest.mark.parametrize("stream", [False, True])
CHAT = "/v1/chat/completions"


def post(endpoint: Endpoint, headers: dict[str, str] | None = None, path: str = "messages", **body: Any) -> Any:
    body = {"model": "auto", "max_tokens": 50, "messages": [TURN], **body}
    return endpoint.client.post(f"/v1/{path}", json=body, headers=headers)


def events_of(text: str) -> list[dict[str, Any]]:
    """The events of a stream, each of which says its type twice."""
    events = []
    for event in text.strip().split("\n\n"):
        kind, data = event.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert kind == f"event: {events[-1]['type']}"
    return events


def message_of(text: str) -> dict[str, Any]:
    """The message that a stream gives: one block after the other, each begun and ended, then why it ends."""
    start, ping, *blocks, delta, stop = events_of(text)
    assert [start["type"], ping, delta["type"], stop] == [
        "message_start", {"type": "ping"}, "message_delta", {"type": "message_stop"},
    ]  # fmt: skip
    content: list[dict[str, Any]] = []
    begun = False
    for event in blocks:
        if event["type"] == "content_block_start":
            assert not begun
            begun = True
            content.append(event["content_block"])
            arguments = ""
        assert (begun, event["index"]) == (True, len(content) - 1)
        block = content[-1]
        if event["type"] == "content_block_delta":
            part = event["delta"]
            if part["type"] == "input_json_delta":
                arguments += part["partial_json"]
            else:
                block[block["type"]] += part[block["type"]]
        if event["type"] == "content_block_stop":
            begun = False
            if block["type"] == "tool_use":
                block["input"] = json.loads(arguments or "{}")
    assert not begun
    return start["message"] | {"content": content, "usage": delta["usage"]} | delta["delta"]


def answer_of(response: Any, stream: bool) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    return message_of(response.text) if stream else response.json()


def error_of(response: Any) -> tuple[int, str, str]:
    """Status, type and message of an error in Anthropic's shape."""
    shape = response.json()
    assert shape.keys() == {"type", "error"}
    assert (shape["type"], shape["error"].keys()) == ("error", {"type", "message"})
    return response.status_code, shape["error"]["type"], shape["error"]["message"]


def script(scripted, stream: bool, *deltas: dict[str, Any], finish: str = "stop", **more: Any) -> None:
    """What the model `good` answers: deltas, or in a whole answer all of them together."""
    scripted.streams.pop("good", None)
    scripted.routes.pop(CHAT, None)
    if stream:
        ends = [*((delta, None, {}) for delta in deltas), ({}, finish, more)]
        choices = [{"index": 0, "delta": delta, "finish_reason": end, **beside} for delta, end, beside in ends]
        chunks = [json.dumps({"id": "1", "choices": [choice]}) for choice in choices]
        scripted.streams["good"] = [f"data: {chunk}\n\n".encode() for chunk in chunks]
        return
    message: dict[str, Any] = {"role": "assistant", "content": None}
    for name, value in ((name, value) for delta in deltas for name, value in delta.items()):
        if name == "tool_calls" and name in message:
            message[name][0]["function"]["arguments"] += value[0]["function"]["arguments"]
        else:
            message[name] = (message.get(name) or type(value)()) + value
    choice = {"index": 0, "message": message, "finish_reason": finish, **more}
    scripted.routes[CHAT] = {"id": "1", "object": "chat.completion", "choices": [choice]}
