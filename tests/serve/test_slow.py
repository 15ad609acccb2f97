"""Slow candidates, and clients that read slowly or not at all: none of them holds up the others."""

from __future__ import annotations

import pytest

from support.patience import PATIENCE
from support.running_endpoint import METADATA, stream_of, unanswered
from zooter_core.serve import chat, reply

HEDGED = "\n[serve]\nhedge_seconds = 0.2\n"


def test_a_client_that_never_reads_its_stream_is_gone_after_a_while(serve, scripted, monkeypatch):
    monkeypatch.setattr(reply, "WRITE_SECONDS", 0.4)
    endpoint = serve("endless")
    with unanswered(endpoint, buffer=4096, stream=True):
        ended = endpoint.next_exchange()
    assert ended.status == 499
    assert scripted.dropped.wait(PATIENCE)


def test_auto_waits_a_bounded_time_for_a_place_and_then_asks_the_next(serve, scripted, monkeypatch):
    monkeypatch.setattr(chat, "PLACE_SECONDS", 0.1)
    monkeypatch.setattr(chat, "QUEUE_SECONDS", 0.2)
    endpoint = serve("endless", "good", parallel=1)
    full, free = endpoint.order
    with unanswered(endpoint, buffer=4096, model=full, stream=True):
        scripted.wait_for("endless", 1)
        answer = endpoint.chat(headers=METADATA).json()
        assert answer["model"] == free
        assert "no place became free within 0.1 s (parallel = 1)" in answer["zooter"]["failed"][0]["reason"]
        named = endpoint.chat(model=full)  # which has no other to ask
        assert "within 0.2 s" in named.json()["error"]["message"]
        assert (named.status_code, named.headers["retry-after"]) == (503, "1")
        assert endpoint.client.get("/ready").json()["breakers"][full] == "closed"


@pytest.mark.parametrize("stream", [False, True])
def test_beside_a_slow_candidate_the_next_one_answers(serve, scripted, stream):
    endpoint = serve("hang-first", "good", extra=HEDGED)
    slow, fast = endpoint.order
    answer = endpoint.chat(stream=stream, headers=METADATA)
    last = stream_of(answer)[-1] if stream else answer.json()
    assert last["model"] == fast
    assert last["zooter"]["hedged"] is True
    assert last["zooter"]["failed"] == [{"candidate": slow, "reason": f"{fast} began to answer first"}]
    assert answer.headers["x-zooter-attempts"] == "2"
    assert scripted.dropped.wait(PATIENCE)  # the slow one's request has been closed
    assert endpoint.client.get("/ready").json()["breakers"][slow] == "closed"
    assert endpoint.next_exchange().outcome.progress.usage["total_tokens"] == 16
    assert f'zooter_hedges_total{{model="{fast}"}} 1.0' in endpoint.client.get("/metrics").text


def test_a_slow_candidate_that_begins_first_answers_after_all(serve, scripted):
    scripted.replies["late"] = lambda query: "late" if not scripted.closing.wait(1) else ""
    endpoint = serve("late", "hang-first", extra=HEDGED)
    answer = endpoint.chat(headers=METADATA).json()
    assert answer["model"] == endpoint.order[0]
    assert [failure["candidate"] for failure in answer["zooter"]["failed"]] == [endpoint.order[1]]
    assert scripted.dropped.wait(PATIENCE)


def test_without_hedge_seconds_and_for_a_named_candidate_nobody_else_is_asked(serve, scripted):
    endpoint = serve("hang-first", "good", hang_seconds=0.4, extra=HEDGED)
    assert endpoint.chat(model=endpoint.order[0], stream=True).status_code == 504
    assert scripted.count("good") == 0
