"""Limits: the arithmetic with a clock of its own, and what clients see."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from support.event_loops import run_apart
from support.running_endpoint import bearer
from zooter_core.config.serve import ServeConfig
from zooter_core.serve.access import Admission
from zooter_core.serve.bodies import MOST_MESSAGES
from zooter_core.serve.errors import ApiError
from zooter_core.serve.keys import Key

PHONE, LAPTOP = Key("phone", "", 0.0, requests_per_minute=2), Key("laptop", "", 0.0, tokens_per_minute=600)


def admission(**limits) -> tuple[Admission, SimpleNamespace]:
    """With its clock."""
    clock = SimpleNamespace(now=1000.0)
    return Admission(lambda: ServeConfig(**limits), lambda: clock.now), clock


def refused(call, *arguments) -> tuple[int, str | None, int]:
    with pytest.raises(ApiError) as caught:
        call(*arguments)
    return caught.value.status, caught.value.code, int(caught.value.headers["retry-after"])


def test_requests_a_minute_refill_evenly():
    door, clock = admission()
    door.count(PHONE)
    door.count(PHONE)
    assert refused(door.count, PHONE) == (429, "rate_limit_exceeded", 30)
    door.count(LAPTOP)  # another key has its own
    clock.now += 30
    door.count(PHONE)
    assert refused(door.count, PHONE)[0] == 429


def test_overdrawn_tokens_have_to_refill():
    door, clock = admission()
    door.count(LAPTOP)
    door.spend(LAPTOP, 1200)  # more than a minute's worth
    assert refused(door.count, LAPTOP) == (429, "rate_limit_exceeded", 61)  # 601 tokens at 10 a second, rounded up
    clock.now += 61
    door.count(LAPTOP)


def test_a_key_has_so_many_requests_at_the_same_time():
    one = Key("one", "", 0.0, concurrent=1)

    async def scenario() -> None:
        door, _ = admission()
        async with door.place(one), door.place(PHONE):  # another key has its own
            with pytest.raises(ApiError) as caught:
                await door.place(one).__aenter__()
            assert (caught.value.status, caught.value.headers["retry-after"]) == (429, "1")
            assert "its limit of concurrent requests (1)." in caught.value.message
        async with door.place(one):
            pass

    run_apart(scenario())


def test_the_wait_is_bounded(monkeypatch):
    monkeypatch.setattr("zooter_core.serve.access.QUEUE_SECONDS", 0.01)

    async def scenario() -> None:
        door, _ = admission(concurrent=1, queue=1)
        async with door.place(None):
            with pytest.raises(ApiError) as caught:
                await door.place(None).__aenter__()
            assert (caught.value.status, caught.value.code) == (503, "queue_timeout")
        assert (door.running, door.waiting) == (0, 0)

    run_apart(scenario())


def test_a_full_server_says_when_to_come_back(serve, scripted):
    endpoint = serve("hang-first", extra="[serve]\nconcurrent = 1\nqueue = 0\n")
    with ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(endpoint.chat)
        scripted.wait_for("hang-first", 1)
        response = endpoint.chat()
        scripted.closing.set()
        hanging.result()
    assert (response.status_code, response.json()["error"]["code"]) == (503, "queue_full")
    assert response.headers["retry-after"] == "1"
    assert response.headers["x-request-id"]


def test_limits_of_a_key_over_http(serve, tmp_path):
    file = tmp_path / "keys.json"
    few, small = bearer(file, "few", requests_per_minute=1), bearer(file, "small", tokens_per_minute=1)
    endpoint = serve("good", options={"keys": file})
    for headers in (few, small):
        assert endpoint.chat(headers=headers).status_code == 200
        endpoint.next_exchange()  # when its tokens are counted
        response = endpoint.chat(headers=headers)
        assert (response.status_code, response.json()["error"]["type"]) == (429, "rate_limit_error")
        assert 1 <= int(response.headers["retry-after"]) <= 6000
        endpoint.next_exchange()
        question = {"messages": [{"role": "user", "content": "Hi"}]}
        assert endpoint.client.post("/v1/route", json=question, headers=headers).status_code == 429


def test_size_of_a_conversation(module_endpoint):
    many = [{"role": "user", "content": "x"}] * (MOST_MESSAGES + 1)
    bodies = {
        "chat/completions": {"messages": many},
        "messages": {"messages": many, "max_tokens": 1},
        "route": {"conversations": [many]},
        "responses": {"input": many},
    }
    for path, body in bodies.items():
        response = module_endpoint.client.post(f"/v1/{path}", json={"model": "auto", **body})
        assert (response.status_code, "at most 2000 items" in response.json()["error"]["message"]) == (400, True)
