"""Circuit breakers: what counts, what the request is to blame for, and how a server that is well again comes back."""

from __future__ import annotations

import pytest

from support.running_endpoint import METADATA, stream_of

PARTS = [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
IMAGE = [{"role": "user", "content": PARTS}]
TOOLS = [{"type": "function", "function": {"name": "f"}}]


def states(endpoint) -> dict[str, str]:
    return endpoint.client.get("/ready").json()["breakers"]


def test_a_candidate_that_rests_is_not_asked_and_the_log_says_so_once(serve, scripted, caplog):
    endpoint = serve("http-503", "good", rest_seconds=600)
    bad, good = endpoint.order
    for _ in range(3):
        assert endpoint.chat().json()["model"] == good
    assert scripted.count("http-503") == 2  # rest_after
    failed = endpoint.chat(headers=METADATA).json()["zooter"]["failed"]
    assert failed[0]["candidate"] == bad
    assert "circuit breaker is open after 2 failures" in failed[0]["reason"]
    response = endpoint.chat(model=bad)
    assert response.status_code == 503
    assert 590 < int(response.headers["retry-after"]) <= 600
    assert endpoint.client.post("/v1/embeddings", json={"model": bad, "input": "x"}).status_code == 503
    assert states(endpoint) == {bad: "open", good: "closed"}
    assert f'zooter_breaker{{model="{bad}",state="open"}} 1.0' in endpoint.client.get("/metrics").text
    assert endpoint.chat(model="rmr").json()["model"] == good
    assert caplog.messages == [f"{bad} gets no requests for 600 s, after 2 failures in a row, the last: status 503"]


def test_where_all_rest_a_client_hears_when_to_ask_again(serve):
    endpoint = serve("refused", "http-503", rest_seconds=600)
    for name in endpoint.order * 2:
        endpoint.chat(model=name)
    answer = endpoint.chat()
    assert answer.status_code == 503
    assert 590 < int(answer.headers["retry-after"]) <= 600


def test_the_attempts_at_one_request_count_once(serve, scripted):
    endpoint = serve("http-500", retries=2, rest_seconds=600)
    (name,) = endpoint.order
    assert endpoint.chat().status_code == 502
    assert scripted.count("http-500") == 3
    assert states(endpoint)[name] == "closed"  # `rest_after` is 2
    assert endpoint.client.get("/ready").status_code == 200
    endpoint.chat()
    assert states(endpoint)[name] == "open"
    response = endpoint.client.get("/ready")  # nobody can answer now
    assert (response.status_code, response.json()["status"]) == (503, "unavailable")
    assert endpoint.client.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("model", "body", "reason"),
    [
        ("no-images", {"content": IMAGE}, "images are not supported"),
        ("no-tools", {"tools": TOOLS}, "tools are not supported"),
        ("narrow", {"content": "word " * 400}, "prompt is too long: 500 tokens > 300 maximum"),
    ],
)
def test_what_a_server_refuses_rests_nobody_and_goes_elsewhere_from_then_on(serve, scripted, model, body, reason):
    endpoint = serve(model, "good", rest_seconds=600)
    first, second = endpoint.order
    for _ in range(3):  # more than `rest_after`
        answer = endpoint.chat(model=first, **body)
        assert answer.status_code == 400
        assert set(answer.json()) == {"error"}
    before = scripted.count(model)
    answer = endpoint.chat(headers=METADATA, **body).json()
    assert answer["model"] == second
    (passed,) = answer["zooter"]["passed_over"]
    assert passed["candidate"] == first
    assert reason in passed["reason"]
    assert scripted.count(model) == before
    assert set(states(endpoint).values()) == {"closed"}
    assert endpoint.chat().json()["model"] == first


def test_a_request_that_all_servers_fail_in_the_same_way_is_at_fault_itself(serve):
    endpoint = serve("http-500", "http-500", rest_seconds=600)
    for _ in range(3):
        answer = endpoint.chat()
        assert answer.status_code == 502
        assert answer.headers["x-should-retry"] == "false"
        assert answer.json()["error"]["message"].count('status 500, "scripted http-500"') == 2
    assert set(states(endpoint).values()) == {"closed"}


def test_where_two_servers_fail_in_the_same_way_the_third_answers_and_they_rest(serve):
    endpoint = serve("http-500", "http-500", "good", rest_seconds=600)
    file = endpoint.server.settings.fleet.folder / "fleet.toml"
    before, mark, after = file.read_text().partition(f'name = "{endpoint.order[1]}"')
    file.write_text(before + mark + after.replace("127.0.0.1", "localhost", 1))
    endpoint.client.post("/admin/reload").raise_for_status()
    for _ in range(3):
        assert endpoint.chat().json()["model"] == endpoint.order[2]
    assert [states(endpoint)[name] for name in endpoint.order] == ["open", "open", "closed"]


def test_other_apis_do_not_rest_chat(serve):
    endpoint = serve("http-500", rest_seconds=600)
    for path in ("/v1/embeddings", "/v1/responses") * 2:
        assert endpoint.client.post(path, json={"model": endpoint.order[0], "input": "x"}).status_code == 502
    assert set(states(endpoint).values()) == {"closed"}


@pytest.mark.parametrize("stream", [False, True])
def test_answers_that_break_off_count(serve, stream):
    endpoint = serve("reset-in-the-middle", rest_seconds=600)
    for _ in range(2):
        answer = endpoint.chat(stream=stream)
        assert "error" in (stream_of(answer)[-1] if stream else answer.json())
    assert set(states(endpoint).values()) == {"open"}
