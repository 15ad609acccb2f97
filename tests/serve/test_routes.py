"""The other routes, and errors in the API's shape."""

from __future__ import annotations

import json
import os
import stat

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings


@pytest.fixture
def endpoint(module_endpoint):
    return module_endpoint


def error(response) -> dict:
    assert set(response.json()) == {"error"}
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    return response.json()["error"]


def test_models_are_listed_and_found(endpoint):
    names = [entry["id"] for entry in endpoint.client.get("/v1/models").json()["data"]]
    assert names == ["auto", "auto-best", "rmr", *endpoint.server.settings.fleet.pool]
    entry = endpoint.client.get("/v1/models/chat").json()
    assert (entry["object"], entry["owned_by"].startswith("127.0.0.1:")) == ("model", True)
    assert error(endpoint.client.get("/v1/models/gpt-99"))["code"] == "model_not_found"


def test_route_decides_without_answering(endpoint, module_server):
    question, requests = [{"role": "user", "content": "What is 2 + 3?"}], len(module_server.bodies)
    one = endpoint.client.post("/v1/route", json={"messages": question}).json()
    assert one["candidate"] == endpoint.order[0]
    assert {"probabilities", "tags", "margin", "certainty", "reason", "passed_over"} <= set(one)
    many = endpoint.client.post("/v1/route", json={"conversations": [question] * 40, "models": [endpoint.order[1]]})
    assert [entry["candidate"] for entry in many.json()["data"]] == [endpoint.order[1]] * 40
    assert len(module_server.bodies) == requests


def test_route_decides_as_chat_does(endpoint):
    question = {"messages": [{"role": "user", "content": "What is 2 + 3?"}]}
    one = endpoint.client.post("/v1/route", json={**question, "model": endpoint.order[1]}).json()
    assert (one["candidate"], one["reason"]) == (endpoint.order[1], "named")
    response = endpoint.client.post("/v1/route", json={**question, "model": "no-such-model"})
    assert (response.status_code, error(response)["code"]) == (404, "model_not_found")


def test_route_bounds_what_one_body_asks_for(endpoint):
    def route(count, text):
        body = {"conversations": [[{"role": "user", "content": text}]] * count}
        return endpoint.client.post("/v1/route", json=body)

    assert error(route(101, "x"))["param"] == "conversations"
    response = route(100, "x" * 10_001)
    assert (response.status_code, error(response)["code"]) == (413, "request_too_large")


def test_feedback_is_kept_for_its_owner(endpoint):
    answer = endpoint.chat()
    record = {"request_id": answer.headers["x-request-id"], "verdict": "good", "score": 0.5, "comment": "fine\n"}
    assert endpoint.client.post("/v1/feedback", json=record).json()["stored"] is True
    file = endpoint.server.settings.data / "feedback.jsonl"
    line = file.read_text().splitlines()[-1]
    assert json.loads(line).items() > record.items()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


HI = [{"role": "user", "content": "x"}]
WRONG = [  # fields of a chat completion beside the right ones, and which of them is named
    ({"model": None}, "model"), ({"messages": []}, "messages"), ({"messages": ["hi"]}, "messages[0]"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
    ({"willingness_to_pay": -1}, "willingness_to_pay"), ({"willingness_to_pay": 10**400}, "willingness_to_pay"),
]  # fmt: skip
WRONG_FEEDBACK = [
    ({}, "request_id"), ({"request_id": "x"}, None), ({"request_id": "x", "verdict": "meh"}, "verdict"),
]  # fmt: skip


def test_a_wrong_field_is_named(endpoint):
    bodies = [("chat/completions", {"model": "auto", "messages": HI} | fields, param) for fields, param in WRONG]
    for path, body, param in (*bodies, *(("feedback", *entry) for entry in WRONG_FEEDBACK)):
        response = endpoint.client.post(f"/v1/{path}", json=body)
        assert (response.status_code, error(response)["param"]) == (400, param), body
    empty = endpoint.client.post("/v1/chat/completions", json={"model": "auto", "messages": []})
    assert error(empty)["message"] == "`messages` is wrong: it should have at least 1 item, not 0."


@pytest.mark.parametrize("raw", [b"{", b"[1]", b'{"a": NaN}', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(endpoint, raw):
    response = endpoint.client.post("/v1/chat/completions", content=raw)
    assert (response.status_code, error(response)["code"]) == (400, "invalid_json")
    assert "codec" not in error(response)["message"]


def test_a_body_beyond_the_limit_is_refused(endpoint):
    most = endpoint.server.settings.most_bytes
    response = endpoint.client.post("/v1/chat/completions", content=b" " * (most + 1))
    assert (response.status_code, error(response)["code"]) == (413, "request_too_large")


def test_the_description_names_every_route_and_its_body(endpoint):
    names = ("chat/completions", "messages", "responses", "responses/{response_id}", "embeddings", "route", "feedback")
    expected = {f"/v1/{name}" for name in (*names, "models", "models/{model}")} | {"/health"}
    shape = endpoint.client.get("/openapi.json").json()
    assert expected <= set(shape["paths"])
    body = shape["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/ChatBody"}
    assert set(shape["components"]["schemas"]["ChatBody"]["required"]) == {"model", "messages"}


def test_unknown_paths_and_methods_have_the_same_shape(endpoint):
    unknown = error(endpoint.client.post("/v1/completions"))
    assert unknown["code"] == "not_found"
    assert "Served here: /v1/chat/completions, " in unknown["message"]
    response = endpoint.client.get("/v1/chat/completions")
    assert (response.status_code, error(response)["code"]) == (405, "method_not_allowed")
    for base in ("", "/v1/v1", "/openai/v1"):  # of a client that is set up wrongly
        assert "It is /v1/chat/completions here" in error(endpoint.client.post(f"{base}/chat/completions"))["message"]


def test_embeddings_are_not_routed(endpoint):
    response = endpoint.client.post("/v1/embeddings", json={"model": "auto", "input": "x"})
    assert (response.status_code, error(response)["param"]) == (400, "model")


# Whatever a client sends, the answer is a 4xx in the API's shape, and never a 5xx. By default thirty bodies;
# ZOOTER_MALFORMED=10000 tries as many as the documentation claims.
MOST = int(os.environ.get("ZOOTER_MALFORMED", "30"))
SETTINGS = settings(max_examples=MOST, suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    (
        *("model", "messages", "stream", "tools", "models", "session_id", "willingness_to_pay", "stream_options"),
        *("input", "query", "documents", "top_n"),
    )
)
BAD_MESSAGES = st.lists(VALUES | st.fixed_dictionaries({"role": VALUES, "content": VALUES}), max_size=3)
BODIES = (
    st.binary(max_size=60)
    | VALUES.map(json.dumps).map(str.encode)
    | st.builds(
        lambda fields, messages: json.dumps({**fields, "model": "no-such-model", "messages": messages}).encode(),
        st.dictionaries(FIELDS, VALUES),
        BAD_MESSAGES,
    )
)
PATHS = st.sampled_from(["chat/completions", "responses", "embeddings", "rerank", "route", "feedback"])


@pytest.mark.slow
@SETTINGS
@given(path=PATHS, body=BODIES)
def test_a_malformed_body_is_refused(local, path, body):
    """It alone tries bodies that nobody has thought of."""
    response = local.client.post(f"/v1/{path}", content=body)
    assert 400 <= response.status_code < 500, (response.status_code, response.text)
    error = response.json()["error"]
    assert isinstance(error["message"], str)
    assert {"type", "param", "code"} <= set(error)
