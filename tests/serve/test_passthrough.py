"""/v1/responses and /v1/embeddings: passed on where the candidate's server has them."""

from __future__ import annotations

import json

import pytest

from support.patience import wait_until
from support.running_endpoint import QUERY, bearer
from zooter_core.learn.traffic_rows import LONGEST_ANSWER
from zooter_core.serve.exchange import Usage


@pytest.fixture
def endpoint(serve):
    return serve("every-api", "http-404")


def test_a_response_comes_back_as_it_is_but_for_the_model(endpoint, scripted):
    body = {"model": "auto", "input": QUERY, "tools": [{"type": "web_search"}], "x_unknown": 1}
    answer = endpoint.client.post("/v1/responses", json=body)
    expected = {"id": "resp_1", "object": "response", "error": None, "model": endpoint.order[0], "output": []}
    assert answer.json() == expected | {"usage": {"input_tokens": 9, "output_tokens": 7, "total_tokens": 16}}
    assert answer.headers["x-model-router-selected-model"] == endpoint.order[0]
    assert scripted.bodies == [body | {"model": "every-api"}]
    assert scripted.paths == ["/v1/responses"]


def test_a_streamed_response_keeps_its_events(endpoint):
    parts = [{"type": "input_text", "text": QUERY}]
    body = {"model": "auto", "input": [{"role": "user", "content": parts}], "stream": True}
    events = endpoint.client.post("/v1/responses", json=body).text.strip().split("\n\n")
    kinds = [event.split("\n")[0] for event in events]
    assert kinds == [f"event: response.{kind}" for kind in ("created", "output_text.delta", "completed")]
    data = [json.loads(event.split("\ndata: ")[1]) for event in events]
    assert data[0]["response"]["model"] == data[2]["response"]["model"] == endpoint.order[0]
    assert data[1] == {"type": "response.output_text.delta", "delta": "Hi"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("every-api", {"input": QUERY, "previous_response_id": "resp_1"}),
        ("reasons", {"input": [{"type": "item_reference", "id": "rs_1"}, {"role": "user", "content": QUERY}]}),
    ],
)
def test_a_response_is_continued_where_it_was_begun(serve, model, more, stream):
    """However the router would choose now."""
    endpoint = serve(model, model)
    body = {"input": "Hi", "stream": stream}
    endpoint.client.post("/v1/responses", json={"model": endpoint.order[1], **body})
    next_body = {"model": "auto", **body, **more}
    answer = endpoint.client.post("/v1/responses", json=next_body)
    assert answer.headers["x-model-router-selected-model"] == endpoint.order[1]
    endpoint.next_exchange()
    assert endpoint.next_exchange().outcome.choice.reason == "previous"


@pytest.mark.parametrize("stream", [False, True])
def test_encrypted_reasoning_of_a_response_goes_back_to_its_writer_alone(serve, scripted, stream):
    endpoint = serve("reasons", "reasons")
    second = endpoint.order[1]
    secret = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "secret"}
    unknown, turn = secret | {"encrypted_content": "of before a restart"}, {"role": "user", "content": QUERY}

    def sent(model: str, *items: object) -> list[object]:
        body = {"model": model, "input": [*items, turn], "stream": stream}
        assert endpoint.client.post("/v1/responses", json=body).status_code == 200
        return scripted.bodies[-1]["input"]

    assert sent(second) == [turn]
    assert sent(second, secret, unknown) == [secret, unknown, turn]  # who names it knows whose it is
    assert sent("auto", secret, unknown) == [turn]  # the router chooses the first, which writes the same
    assert sent(second, secret) == [turn]


def test_all_that_a_response_reads_counts_for_the_limits(serve):
    endpoint = serve("every-api", extra="context_tokens = 2000\njson_mode = false\n")

    def refusal(**more: object) -> str:
        answer = endpoint.client.post("/v1/responses", json={"model": "auto", "input": "Hi", **more})
        assert answer.status_code == 400
        return answer.json()["error"]["message"]

    assert "JSON mode" in refusal(text={"format": {"type": "json_schema"}})
    output = [{"role": "user", "content": "Hi"}, {"type": "function_call_output", "output": "x" * 8000}]
    call = [{"type": "function_call", "name": "f", "arguments": "x" * 8000}, {"role": "user", "content": "Hi"}]
    for more in ({"instructions": "x" * 8000}, {"max_output_tokens": 2000}, {"input": output}, {"input": call}):
        assert "> 2000" in refusal(**more)


@pytest.mark.parametrize(
    ("broken", "stream"), [("http-503", True), ("http-404", False), ("fails-after-created", True), ("nothing", True)]
)
def test_a_response_falls_back_before_its_first_part(serve, broken, stream):
    endpoint = serve(broken, "every-api")
    answer = endpoint.client.post("/v1/responses", json={"model": "auto", "input": QUERY, "stream": stream})
    assert answer.status_code == 200
    assert answer.headers["x-model-router-selected-model"] == endpoint.order[1]
    assert "resp_bad" not in answer.text
    assert [name for name, _ in endpoint.next_exchange().outcome.failures] == [endpoint.order[0]]


def test_a_server_without_responses_is_not_asked_for_them_again(serve, scripted):
    endpoint = serve("no-route", "every-api")
    for _ in range(2):
        assert endpoint.client.post("/v1/responses", json={"model": "auto", "input": "Hi"}).status_code == 200
    assert scripted.count("no-route") == 1
    assert endpoint.next_exchange().outcome.choice.passed_over == {}
    assert "Responses API" in endpoint.next_exchange().outcome.choice.passed_over[endpoint.order[0]]


def test_a_response_that_another_server_holds_is_not_asked_for_elsewhere(serve, scripted):
    endpoint = serve("refused", "every-api")
    endpoint.server.gateway.sessions.wrote("resp_7", endpoint.order[0])
    body = {"model": "auto", "input": QUERY, "previous_response_id": "resp_7"}
    assert endpoint.client.post("/v1/responses", json=body).status_code == 502
    assert endpoint.client.get("/v1/responses/resp_7").status_code == 502  # it is away, and not missing
    assert scripted.count("every-api") == 0


def begin(endpoint, headers=None, **body):
    """The id of a response that was given, once the request has ended."""
    endpoint.client.post("/v1/responses", json={"model": "auto", "input": QUERY, **body}, headers=headers)
    return endpoint.next_exchange().outcome.progress.id


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_is_given_again_by_the_server_that_gave_it_and_to_its_key_alone(serve, scripted, tmp_path, stream):
    mine, other = (bearer(tmp_path / "keys.json", name) for name in ("mine", "other"))
    endpoint = serve("every-api", "every-api", options={"keys": tmp_path / "keys.json"})
    name = begin(endpoint, mine, model=endpoint.order[1], stream=stream)
    scripted.routes[f"/v1/responses/{name}"] = stored = {"id": name, "object": "response", "model": "every-api"}

    def get(headers, name=name):
        return endpoint.client.get(f"/v1/responses/{name}", headers=headers)

    assert get(mine).json() == stored | {"model": endpoint.order[1]}
    assert scripted.paths[-1] == f"/v1/responses/{name}"
    count = len(scripted.paths)
    for answer in (get(other), get(mine, "resp_99"), get(mine, "..%2Fmodels")):
        assert answer.status_code == 404
    assert get(other).json()["error"]["code"] == "response_not_found"
    assert len(scripted.paths) == count


TEXT = {"type": "message", "content": [{"type": "output_text", "text": "The answer is 5."}]}
CALL = {"type": "function_call", "name": "f", "arguments": "{}"}
LONG = {"type": "message", "content": [{"type": "output_text", "text": "x" * LONGEST_ANSWER}]}
CUT = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
STORED = "\n[learn]\ntraffic = true\nanswers = true\n"


@pytest.mark.parametrize(
    ("extra", "output", "more", "status"),
    [
        (STORED, [TEXT], {}, "completed"),
        (STORED, [{"type": "reasoning"}, TEXT], CUT, "incomplete"),
        (STORED, [TEXT, CALL], {}, None),
        (STORED, [LONG], {}, None),
        (STORED, [], {}, None),
        ("\n[learn]\ntraffic = true\n", [TEXT], {}, None),
        ("", [TEXT], {}, None),
    ],
)
def test_what_no_server_holds_comes_from_the_store_if_it_is_all_there(serve, scripted, extra, output, more, status):
    endpoint = serve("good", extra=extra)
    scripted.routes["/v1/responses"] = {"id": "resp_1", "object": "response", "output": output, **more}
    name = begin(endpoint)
    if traffic := endpoint.server.traffic:
        wait_until(
            lambda: traffic.decision(endpoint.server.gateway.sessions.request(name) or "") or output[1:] == [CALL]
        )
    answer = endpoint.client.get(f"/v1/responses/{name}")
    if status is None:
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "response_not_stored")
        assert "status 404" in answer.json()["error"]["message"]
        assert "`answers = true` in [learn]" in answer.json()["error"]["message"]
        return
    shape = answer.json()
    assert (shape["id"], shape["status"], shape["model"]) == ("resp_1", status, endpoint.order[0])
    assert shape["incomplete_details"] == more.get("incomplete_details")
    assert shape["output"][0]["content"][0]["text"] == "The answer is 5."


def test_a_server_without_it_is_a_404_in_the_shape_of_the_api(endpoint):
    for path, body in (("responses", {"input": "Hi"}), ("embeddings", {"input": "Hi"})):
        answer = endpoint.client.post(f"/v1/{path}", json={"model": endpoint.order[1], **body})
        assert answer.status_code == 404
        assert answer.json()["error"]["message"] == "scripted http-404"
    answer = endpoint.client.post("/v1/embeddings", json={"model": endpoint.order[0], "input": "Hi"}).json()
    assert (answer["data"][0]["embedding"], answer["model"]) == ([0.5, -1e-9], endpoint.order[0])


def test_local_candidates_have_neither(local):
    for path in ("responses", "embeddings"):
        answer = local.client.post(f"/v1/{path}", json={"model": "base", "input": "Hi"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_parameter")
        assert "only chat completions are supported" in answer.json()["error"]["message"]


PRICED = "usd_per_million_tokens = 500_000.0\nusd_per_million_prompt_tokens = 0\n"


@pytest.mark.parametrize(
    ("model", "path", "body", "tokens", "dollars"),
    [
        ("every-api", "responses", {"input": QUERY}, (9, 7), 3.5),
        ("every-api", "responses", {"input": QUERY, "stream": True}, (9, 7), 3.5),
        ("every-api", "embeddings", {"input": "Hi"}, (3, 0), 0.0),
        ("counts-nothing", "chat/completions", {"messages": [{"role": "user", "content": "a" * 40}]}, (10, 10), 5.0),
        ("counts-nothing", "responses", {"input": "a" * 40}, (10, 10), 5.0),
        ("counts-nothing", "embeddings", {"input": ["a" * 20, "b" * 20]}, (12, 0), 0.0),
    ],
)
def test_tokens_are_those_that_the_server_counts_or_else_estimated(serve, model, path, body, tokens, dollars):
    endpoint = serve(model, extra=PRICED)
    endpoint.client.post(f"/v1/{path}", json={"model": endpoint.order[0], **body})
    reported = model == "every-api"
    assert endpoint.next_exchange().usage == Usage(*tokens, reported=reported, dollars=dollars)
