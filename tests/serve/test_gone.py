"""A client that goes away stops generation here and at its server, at once; a stop tells everybody who has asked."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from support.patience import NEVER, PATIENCE, wait_until
from support.running_endpoint import QUERY, in_front_of, stream_of, unanswered
from support.scripted_server import Scripted
from zooter_core.labelling.rewards.scoring import STOPPABLE
from zooter_core.serve.gateway import REWARD_THREADS


@pytest.mark.parametrize(("model", "stream"), [("slow", True), ("hang-first", True), ("hang-first", False)])
def test_a_client_that_goes_away_stops_the_server_behind(serve, scripted, model, stream):
    endpoint = serve(model, "good")
    with unanswered(endpoint, stream=stream) as client:
        scripted.wait_for(model, 1)
        if model == "slow":
            assert client.recv(10)
    exchange = endpoint.next_exchange()
    assert scripted.dropped.wait(PATIENCE)
    assert exchange.status == 499
    assert exchange.seconds is not None
    assert scripted.count("good") == 0  # no fallback for nobody


def test_a_client_that_goes_away_stops_a_local_candidate(local):
    with unanswered(local, stream=True, max_tokens=100_000) as client:
        assert client.recv(10)
    exchange = local.next_exchange()
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "answer"])
    assert exchange.status == 499


def test_a_client_that_goes_away_stops_its_rewards(serve):
    """Between documents."""
    endpoint = serve("good")
    model = endpoint.server.gateway.ensemble.reward_model
    go, sizes, score = threading.Event(), list[int](), model.score

    def wait_and_score(pairs):
        sizes.append(len(pairs))
        assert go.wait(NEVER)
        return score(pairs)

    model.score = wait_and_score
    rerank = {"model": "rmr", "query": "Hi", "documents": [f"text {number}" for number in range(20)]}
    with ExitStack() as clients:
        for _ in range(REWARD_THREADS + 4):
            clients.enter_context(unanswered(endpoint, "rerank", **rerank))
        wait_until(lambda: len(sizes) == REWARD_THREADS)
    assert [endpoint.next_exchange().status for _ in range(REWARD_THREADS + 4)] == [499] * (REWARD_THREADS + 4)
    go.set()
    last = endpoint.client.post("/v1/rerank", json={"query": "Hi", "documents": ["last"]})
    assert len(last.json()["results"]) == 1
    assert sizes == [STOPPABLE] * REWARD_THREADS + [1]


def test_whoever_has_no_answer_after_the_grace_is_told(fleet_copy: Path, scripted: Scripted) -> None:
    """One answer is under way, one has not begun, and two wait for a place."""

    def ask(url: str, stream: bool) -> httpx2.Response:
        body = {"model": "auto", "messages": [{"role": "user", "content": QUERY}], "stream": stream}
        return httpx2.post(f"{url}/v1/chat/completions", json=body, timeout=PATIENCE, trust_env=False)

    with ThreadPoolExecutor(4) as threads:
        with in_front_of(fleet_copy, scripted.url, "hang-in-the-middle", extra="[serve]\nconcurrent = 2\n") as endpoint:
            begun = threads.submit(ask, endpoint.url, True)
            unbegun = threads.submit(ask, endpoint.url, False)
            scripted.wait_for("hang-in-the-middle", 2)
            queued = [threads.submit(ask, endpoint.url, stream) for stream in (False, True)]
            wait_until(lambda: endpoint.server.admission.waiting == 2)
        assert stream_of(begun.result())[-1]["error"]["code"] == "stopping"
        for answer in (unbegun, *queued):
            response = answer.result()
            assert (response.status_code, response.json()["error"]["code"]) == (503, "stopping")
            assert response.headers["retry-after"] == "5"
    assert sorted(exchange.status for exchange in endpoint.next_exchanges(4)) == [200, 503, 503, 503]
