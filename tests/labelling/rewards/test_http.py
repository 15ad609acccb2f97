"""A reward endpoint on loopback that answers as each test wants, also badly."""

from __future__ import annotations

import json
import socket
import time
from types import SimpleNamespace

import pytest

from support.patience import PATIENCE
from support.reward_endpoint import Endpoint, rewards_of
from zooter_core.backends.endpoint import retry
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.config.labelling import HttpConfig
from zooter_core.labelling.rewards import http, reward_model
from zooter_core.labelling.rewards.scoring import score_queries

PAIRS = [(f"q{n}", "a" * n) for n in range(1, 6)]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(retry, "FIRST", 0.01)


@pytest.fixture
def endpoint():
    running = Endpoint()
    yield running
    running.close()


def model(endpoint, **options):
    return reward_model(HttpConfig(url=endpoint.url, **options))


def scored(endpoint):
    return score_queries(model(endpoint), [(query, [text]) for query, text in PAIRS])


def test_pairs_go_in_batches(endpoint, monkeypatch):
    monkeypatch.setattr(http, "AT_ONCE", 2)
    assert model(endpoint, model="mine").score(PAIRS) == [1, 2, 3, 4, 5]
    assert [len(body["pairs"]) for body in endpoint.bodies] == [2, 2, 1]
    assert endpoint.bodies[0] == {
        "model": "mine",
        "pairs": [{"query": "q1", "response": "a"}, {"query": "q2", "response": "aa"}],
    }


def test_vllm_score(endpoint):
    """Two lists of texts; the answers carry an index and may come in any order."""

    def answer(body, number):
        data = [{"index": n, "object": "score", "score": len(text)} for n, text in enumerate(body["text_2"])]
        return 200, {"object": "list", "data": data[::-1]}

    endpoint.answer = answer
    assert model(endpoint, api="score", model="m").score(PAIRS) == [1, 2, 3, 4, 5]
    texts = {"text_1": [q for q, _ in PAIRS], "text_2": [a for _, a in PAIRS]}
    assert endpoint.bodies == [{"model": "m", "use_activation": False, **texts}]


def test_vllm_pooling_with_a_template(endpoint):
    def answer(body, number):
        return 200, {"data": [{"index": n, "data": [len(text) / 2]} for n, text in enumerate(body["input"])]}

    endpoint.answer = answer
    rewards = model(endpoint, api="pooling", template="{query}: {response}").score(PAIRS)
    assert rewards == [(4 + n) / 2 for n in range(1, 6)]
    assert endpoint.bodies[0] == {"input": [f"{query}: {text}" for query, text in PAIRS], "use_activation": False}


def test_vllm_pooling_with_the_servers_chat_template(endpoint):
    """One conversation a request; of numbers for every token the last one counts."""

    def answer(body, number):
        text = body["messages"][1]["content"]
        return 200, {"data": [{"index": 0, "object": "pooling", "data": [[0.5], [9.0], [float(len(text))]]}]}

    endpoint.answer = answer
    assert model(endpoint, api="pooling").score(PAIRS) == [1, 2, 3, 4, 5]
    assert endpoint.bodies[0]["messages"] == [{"role": "user", "content": "q1"}, {"role": "assistant", "content": "a"}]
    assert endpoint.bodies[0]["add_generation_prompt"] is False


def test_the_key_comes_from_the_environment_and_is_not_shown(endpoint, monkeypatch):
    monkeypatch.setenv("REWARD_KEY", "secret-123")
    asking = model(endpoint, api_key_env="REWARD_KEY")
    asking.score(PAIRS[:1])
    assert endpoint.headers[0]["authorization"] == "Bearer secret-123"
    endpoint.answer = lambda body, number: (401, {"error": "who are you"})
    with pytest.raises(WorkError, match=r"Set the environment variable REWARD_KEY") as caught:
        asking.score(PAIRS[:1])
    assert "secret" not in str(caught.value)
    with pytest.raises(WorkError, match=r"Name its environment variable: api_key_env"):
        model(endpoint).score(PAIRS[:1])
    for value, reason in (("", "no key"), ("se\ncret", "other"), ("schlüssel", "other")):
        monkeypatch.setenv("REWARD_KEY", value)
        with pytest.raises(ZooterError, match=reason) as refused:
            model(endpoint, api_key_env="REWARD_KEY")
        assert "cret" not in str(refused.value)


def test_an_endpoint_that_refuses_is_one_clear_error():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = HttpConfig(url=f"http://name:word@127.0.0.1:{port}/score")
    with pytest.raises(WorkError, match=r"no connection .refused.\. See whether it runs") as caught:
        reward_model(config).score(PAIRS)
    assert f"http://127.0.0.1:{port}/score" in str(caught.value)
    assert "word" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "content", "message"),
    [
        (404, {"error": "The model does not exist."}, "The model does not exist"),
        (302, b"", "status 302: a redirect"),
        (418, b"short and stout", "status 418, .short and stout"),
        (200, b"<html>Welcome</html>", "5 rewards as .*<html>"),
        (200, {"scores": [1]}, '"rewards": \\[number'),
        (200, {"rewards": [1, 2]}, "5 rewards as .* but found .*1, 2"),
    ],
)
def test_what_no_query_is_to_blame_for_stops_the_work(endpoint, status, content, message):
    endpoint.answer = lambda body, number: (status, content, ("location", "http://127.0.0.1:1/"))
    with pytest.raises(WorkError, match=message) as caught:
        scored(endpoint)
    assert "\n" not in str(caught.value)
    assert len(endpoint.bodies) == 1


@pytest.mark.parametrize("api", ["score", "pooling"])
def test_another_shape_of_vllm_is_refused(endpoint, api):
    for data in ([{"index": 0}], [3], {}):
        endpoint.answer = lambda body, number, data=data: (200, {"data": data})
        with pytest.raises(WorkError, match=r'"data"'):
            model(endpoint, api=api).score(PAIRS[:1])


def test_a_busy_endpoint_is_asked_again_after_the_pause_that_it_asks_for(endpoint, monkeypatch):
    pauses = []
    monkeypatch.setattr(http, "time", SimpleNamespace(sleep=pauses.append))  # other threads sleep too
    busy = {1: (429, b"", ("retry-after", "7")), 2: (503, b"later")}
    endpoint.answer = lambda body, number: busy.get(number) or (200, rewards_of(body))
    assert model(endpoint).score(PAIRS) == [1, 2, 3, 4, 5]
    assert (len(endpoint.bodies), pauses[0]) == (3, pytest.approx(7.125, abs=0.125))


@pytest.mark.parametrize(("status", "tries"), [(400, 1), (500, 3)])
def test_one_response_that_the_endpoint_does_not_take_leaves_the_others(endpoint, status, tries):
    def answer(body, number):
        if any(pair["response"] == "aaa" for pair in body["pairs"]):
            return status, {"error": "longer than 2 tokens"}
        return 200, rewards_of(body)

    endpoint.answer = answer
    results = scored(endpoint)
    assert [result.rewards for result in results] == [(1,), (2,), (None,), (4,), (5,)]
    assert f"status {status}, " in results[2].reason
    assert "longer than 2 tokens" in results[2].reason
    assert len(endpoint.bodies) == tries + len(PAIRS)


@pytest.mark.parametrize("value", ["NaN", '"7"', "9" * 400])
def test_what_is_no_finite_number_is_set_aside(endpoint, value):
    endpoint.answer = lambda body, number: (200, f'{{"rewards": [1, {value}]}}'.encode())
    first, second = score_queries(model(endpoint), [("q", ["a"]), ("r", ["b"])])
    assert (first.rewards, first.reason) == ((1,), None)
    assert second.rewards == (None,)
    assert second.reason


def test_an_endpoint_that_hangs(endpoint, monkeypatch):
    """A slow batch is sent again pair by pair; two pairs in a row without an answer, and it is enough."""
    monkeypatch.setattr(http, "TIMEOUT_SECONDS", 0.1)
    endpoint.answer = lambda body, number: endpoint.closing.wait(PATIENCE) and (200, rewards_of(body))
    with pytest.raises(WorkError, match=r"no answer within 0.1 s\. See whether it runs"):
        model(endpoint).score(PAIRS)
    end = time.monotonic() + 20  # the server may read the last request when its client is gone
    while len(endpoint.bodies) < 3 and time.monotonic() < end:
        time.sleep(0.01)
    assert len(endpoint.bodies) == 3


ECHOED = "sk-reward-4f9a0c77"


@pytest.mark.parametrize(
    "answer",
    [
        (418, f"your key is {ECHOED}".encode()), (404, {"error": f"no page for {ECHOED}"}),
        (400, {"error": f"the key {ECHOED} may not ask"}), (200, f"{' ' * 30}{ECHOED}".encode()),
        (200, b"<html>", ("content-type", f"text/{ECHOED}")), (200, {"error": " " * 45 + ECHOED}),
        (200, {"rewards": [" " * 30 + ECHOED]}), (200, {"rewards": ["".join(f"{letter}" for letter in ECHOED)]}),
        (200, json.dumps({"rewards": [ECHOED]}).replace("-", "\\u002d").encode()),
    ],
)  # fmt: skip
def test_a_key_that_the_endpoint_echoes_is_in_no_message(endpoint, monkeypatch, answer):
    monkeypatch.setenv("REWARD_KEY", ECHOED)
    endpoint.answer = lambda body, number: answer
    try:
        (result,) = score_queries(model(endpoint, api_key_env="REWARD_KEY"), [("q", ["a"])])
        message = result.reason
    except WorkError as problem:
        message = str(problem)
    assert message
    assert ECHOED[:6] not in message
