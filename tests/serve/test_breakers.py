"""Circuit breakers: closed, open, half-open, and what clients see of them."""

from __future__ import annotations

import asyncio

import pytest

from zooter_core.serve.breakers import Breaker
from zooter_core.serve.targets import TargetError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker(2, 30, clock)


def fail(breaker, error: BaseException) -> None:
    with pytest.raises(type(error)), breaker.attempt():
        raise error


DOWN, WRONG, GONE = TargetError("down"), TargetError("no", 400, request_fault=True), asyncio.CancelledError()


def test_failures_in_a_row_open_it(breaker):
    fail(breaker, DOWN)
    with breaker.attempt():
        pass  # a success between them
    fail(breaker, DOWN)
    assert breaker.state == "closed"
    fail(breaker, DOWN)
    assert breaker.state == "open"
    refusal = breaker.refusal()
    assert (refusal.status, refusal.retry_after) == (503, 30)
    assert "2 failures in a row, the last: down" in refusal.reason


def test_neither_a_wrong_request_nor_a_client_that_leaves_counts(breaker):
    for error in (WRONG, GONE, TargetError("no such path", 404)) * 5:
        fail(breaker, error)
    assert breaker.state == "closed"


def test_one_request_tries_after_the_rest(breaker, clock):
    fail(breaker, DOWN)
    fail(breaker, DOWN)
    clock.now += 30
    assert breaker.state == "half-open"
    assert breaker.refusal() is None
    assert breaker.refusal() is not None  # while the first one tries
    fail(breaker, DOWN)
    assert breaker.state == "open"
    clock.now += 30
    assert breaker.refusal() is None
    with breaker.attempt():
        pass
    assert breaker.state == "closed"
    assert breaker.refusal() is None


@pytest.mark.parametrize("error", [WRONG, GONE])
def test_a_trial_that_tells_nothing_makes_way_for_the_next(breaker, clock, error):
    fail(breaker, DOWN)
    fail(breaker, DOWN)
    clock.now += 30
    assert breaker.refusal() is None
    fail(breaker, error)
    assert breaker.refusal() is None


def test_a_trial_that_never_begins_ends_by_itself(breaker, clock):
    fail(breaker, DOWN)
    fail(breaker, DOWN)
    clock.now += 30
    assert breaker.refusal() is None
    clock.now += 30
    assert breaker.refusal() is None


def test_a_candidate_that_rests_is_not_asked(serve, scripted):
    endpoint = serve("http-503", "good", rest_seconds=600)
    bad, good = endpoint.order
    for _ in range(4):
        assert endpoint.chat().json()["model"] == good
    assert scripted.count("http-503") == 2  # rest_after
    failed = endpoint.chat(headers={"x-zooter-metadata": "enabled"}).json()["zooter"]["failed"]
    assert failed[0]["candidate"] == bad
    assert "rests after 2 failures" in failed[0]["reason"]
    response = endpoint.chat(model=bad)
    assert response.status_code == 503
    assert 590 < int(response.headers["retry-after"]) <= 600
    assert endpoint.client.post("/v1/embeddings", json={"model": bad, "input": "x"}).status_code == 503
    assert endpoint.client.get("/ready").json()["breakers"] == {bad: "open", good: "closed"}
    assert f'zooter_breaker{{model="{bad}",state="open"}} 1.0' in endpoint.client.get("/metrics").text
    assert endpoint.chat(model="rmr").json()["model"] == good


def test_not_ready_while_nobody_can_answer(serve):
    endpoint = serve("http-503", rest_seconds=600)
    assert endpoint.client.get("/ready").status_code == 200
    for _ in range(2):
        endpoint.chat()
    response = endpoint.client.get("/ready")
    assert (response.status_code, response.json()["status"]) == (503, "unavailable")
    assert endpoint.client.get("/health").status_code == 200
