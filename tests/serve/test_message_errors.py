"""/v1/messages: errors in Anthropic's shape, of requests, keys, limits and servers."""

from __future__ import annotations

from typing import Any

import pytest

from support.anthropic_shape import IMAGE, TOOL, TURN, error_of, events_of, post
from support.running_endpoint import bearer
from zooter_core.serve.errors import ApiError, shape_at


@pytest.mark.parametrize("model", ["error-event", "half-line"])
def test_a_stream_that_breaks_off_ends_with_an_error(serve, model):
    response = post(serve(model), stream=True)
    *begun, last = events_of(response.text)
    assert [event["type"] for event in begun] == ["message_start", "ping", "content_block_start", "content_block_delta"]
    assert (last["type"], last["error"]["type"]) == ("error", "api_error")
    assert "broke off" in last["error"]["message"]


def block(**fields: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [fields]}]


WRONG = [
    ({"messages": []}, "`messages`"),
    ({"messages": [{"role": "tool", "content": "Hi"}]}, "`messages[0].role`"),
    ({"messages": [{"role": "user", "content": []}]}, "`messages[0].content`"),
    ({"messages": [TURN, {"role": "user", "content": [7]}]}, "`messages[1].content[0]`"),
    ({"messages": block(type="text")}, "`messages[0].content[0]`"),
    ({"messages": block(type="audio")}, "'audio'"),
    ({"messages": block(type="image", source={"type": "file", "file_id": "x"})}, "images (base64, url)"),
    ({"messages": block(type="document", source={"type": "base64", "data": "x"})}, "not PDF"),
    ({"messages": block(type="tool_result", content="x")}, "`messages[0].content[0]`"),
    ({"messages": block(type="tool_result", tool_use_id="a", content=[{"type": "x"}])}, ".content[0].content[0]`"),
    ({"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "a"}]}]}, "`messages[0].content[0]`"),
    ({"max_tokens": None}, "`max_tokens`"),
    ({"model": None}, "`model`"),
    ({"system": [IMAGE]}, "`system[0]`"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "`tools[0]`"),
    ({"tools": [TOOL], "tool_choice": {"type": "some"}}, "`tool_choice`"),
    ({"tools": [TOOL], "tool_choice": {"type": "tool"}}, "`tool_choice`"),
    ({"thinking": {"type": "enabled"}}, "`thinking.budget_tokens`"),
    ({"thinking": {"type": "some"}}, "`thinking.type`"),
    ({"output_config": {"format": {"type": "json_schema"}}}, "`output_config.format`"),
]


def test_a_wrong_request_gets_one_clear_error(module_endpoint, module_server):
    before = len(module_server.bodies)
    for body, words in WRONG:
        response = post(module_endpoint, **body)
        status, kind, message = error_of(response)
        assert (status, kind) == (400, "invalid_request_error"), body
        assert words in message, body
    assert len(module_server.bodies) == before


def test_errors_of_every_layer_have_anthropics_shape(serve, tmp_path):
    theirs = bearer(tmp_path / "keys.json", models=("chat",), requests_per_minute=5)
    endpoint = serve("good", "good", options={"keys": tmp_path / "keys.json", "most_bytes": 1000})
    mine = {"x-api-key": theirs["authorization"].removeprefix("Bearer ")}

    def sent(method="POST", path="/v1/messages", content="{}", **headers):
        headers = mine | {name.replace("_", "-"): value for name, value in headers.items()}
        return error_of(endpoint.client.request(method, path, content=content, headers=headers))[:2]

    assert sent(x_api_key="") == (401, "authentication_error")
    assert sent(x_api_key=mine["x-api-key"] + "x") == (401, "authentication_error")
    assert sent(origin="https://elsewhere.example") == (403, "permission_error")
    assert sent("GET") == (405, "invalid_request_error")
    assert sent(path="/v1/messages/batches") == (404, "not_found_error")
    assert sent(content_type="text/plain") == (415, "invalid_request_error")
    assert sent(content="{") == (400, "invalid_request_error")
    assert error_of(post(endpoint, mine, system="x" * 1000))[:2] == (413, "request_too_large")
    assert error_of(post(endpoint, mine, model="math"))[:2] == (403, "permission_error")
    assert post(endpoint, mine, model="claude-opus-4-5").json()["model"] == "chat"  # of those that the key may use
    assert post(endpoint, theirs, model="chat").status_code == 200
    response = post(endpoint, mine)
    assert error_of(response)[:2] == (429, "rate_limit_error")
    assert int(response.headers["retry-after"]) > 0
    overload = shape_at("/v1/messages", ApiError(503, "The queue is full."))
    assert overload["error"]["type"] == "overloaded_error"
    elsewhere = endpoint.client.post("/v1/chat/completions", json={})
    assert elsewhere.json()["error"]["code"] == "invalid_api_key"  # OpenAI's shape, as before


def test_a_claude_that_is_not_served_is_the_routers_choice_and_no_other_name_is(module_endpoint):
    endpoint = module_endpoint
    for path in ("messages", "messages/count_tokens"):
        assert post(endpoint, path=path, model="claude-haiku-4-5").status_code == 200
        status, kind, message = error_of(post(endpoint, path=path, model="gpt-99"))
        assert (status, kind) == (404, "not_found_error")
        assert "Served here: auto" in message
    assert endpoint.chat(model="claude-haiku-4-5").status_code == 404  # in chat, who names a model means it
