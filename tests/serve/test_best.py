"""auto-best behind scripted servers: who is asked where the router is unsure, and where it is not."""

from __future__ import annotations

import pytest

from support.anthropic_shape import answer_of, post
from support.running_endpoint import METADATA, QUERY, stream_of
from zooter_core.serve.exchange import Usage

UNSURE = "unsure_above = -1.0"  # about every query


def test_where_unsure_two_answer_and_the_best_is_kept(serve, scripted):
    endpoint = serve("good", "echo", "good", router=UNSURE)
    answer = endpoint.chat(model="auto-best", headers=METADATA).json()
    assert set(answer["zooter"]["rewards"]) == set(endpoint.order[:2])
    assert answer["zooter"]["rewards"][answer["model"]] == max(answer["zooter"]["rewards"].values())
    assert len(scripted.bodies) == 2


@pytest.mark.parametrize(
    ("query", "router"),
    [("### Task:\nGenerate a concise, 3-5 word title.", UNSURE), ("Tell me of the sea.", "unsure_above = 2.0")],
)
def test_one_answers_a_chore_and_where_the_router_is_sure(serve, scripted, query, router):
    endpoint = serve("good", "echo", router=router)
    answer = endpoint.chat(query, model="auto-best", headers=METADATA).json()
    assert answer["zooter"]["reason"] == "router"
    assert "rewards" not in answer["zooter"]
    assert len(scripted.bodies) == 1


def test_thoughts_are_not_rewarded_and_an_answer_that_ends_in_them_is_not_the_best(serve, scripted):
    scripted.replies["plain"] = lambda query: "The answer is 42."
    endpoint = serve("llama.cpp-none 30", "plain", router=UNSURE)
    answer = endpoint.chat(model="auto-best", headers=METADATA).json()
    assert len(set(answer["zooter"]["rewards"].values())) == 1
    cut = endpoint.chat(model="auto-best", max_tokens=8, headers=METADATA).json()
    assert cut["choices"][0]["message"]["content"] == "The answer is 42."
    assert len(cut["zooter"]["rewards"]) == 1


@pytest.mark.parametrize(
    ("models", "requests", "reason"),
    [(("right", "good"), 1, "router"), (("good", "right"), 2, "best"), (("http-500", "right", "good"), 2, "router")],
)
def test_a_second_one_answers_a_sum_only_where_the_first_is_wrong(serve, scripted, models, requests, reason):
    scripted.replies["right"] = lambda query: "2 + 3 = 5"
    endpoint = serve(*models)
    answer = endpoint.chat("What is 2 + 3?", model="auto-best", headers=METADATA).json()
    assert answer["choices"][0]["message"]["content"] == "2 + 3 = 5"
    assert answer["zooter"]["reason"] == reason
    assert len(scripted.bodies) == requests


def test_lines_alone_make_no_poem_the_best(serve, scripted):
    scripted.replies["verse"] = lambda query: "Rain on the roof\nsoft as a drum"
    endpoint = serve("verse", "verse", router=UNSURE)
    answer = endpoint.chat("Write a poem about rain", model="auto-best", headers=METADATA).json()
    assert answer["zooter"]["reason"] == "best"
    assert len(scripted.bodies) == 2


def test_one_that_fails_leaves_the_other_and_the_conversation_stays_with_it(serve):
    endpoint = serve("http-500", "good", router=UNSURE)
    chunks = stream_of(endpoint.chat(model="auto-best", stream=True, headers=METADATA, session_id="s"))
    assert {chunk["model"] for chunk in chunks} == {endpoint.order[1]}
    assert [entry["candidate"] for entry in chunks[-1]["zooter"]["failed"]] == [endpoint.order[0]]
    continued = [{"role": "user", "content": QUERY}, {"role": "assistant", "content": "It"}]
    assert endpoint.chat(continued, session_id="s").json()["model"] == endpoint.order[1]
    endpoint = serve("http-500", "http-503", router=UNSURE)
    message = endpoint.chat(model="auto-best").json()["error"]["message"]
    assert all(name in message for name in endpoint.order)


def test_a_streamed_answer_has_what_the_whole_one_has(serve, scripted):
    message = {"role": "assistant", "content": "One, two,"}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "stop_reason": "three", "logprobs": {}}
    scripted.routes["/v1/chat/completions"] = {"id": "1", "choices": [choice], "usage": {}, "service_tier": "flex"}
    endpoint = serve("good", "good", router=UNSURE)
    (chunk,) = stream_of(endpoint.chat(model="auto-best", stop="three", stream=True))
    del choice["message"]
    assert chunk["choices"] == [{**choice, "delta": message}]
    assert (chunk["object"], chunk["service_tier"]) == ("chat.completion.chunk", "flex")
    turn = answer_of(post(endpoint, model="auto-best", stop_sequences=["three"], stream=True), True)
    assert (turn["stop_reason"], turn["stop_sequence"]) == ("stop_sequence", "three")


def test_tokens_of_all_answers_count_though_the_reward_model_fails(serve, fleet_copy):
    endpoint = serve("good", "good", router=UNSURE, extra="usd_per_million_tokens = 500_000.0\n")  # of the last one
    (fleet_copy / "reward").unlink()
    response = endpoint.chat(model="auto-best")
    assert (response.status_code, response.json()["error"]["code"]) == (500, "reward_failed")
    assert endpoint.next_exchange().usage == Usage(18, 14, reported=True, dollars=3.5)
    page = endpoint.client.get("/metrics").text
    for name in endpoint.order:
        assert f'zooter_tokens_total{{kind="prompt",model="{name}"}} 9.0' in page
        assert f'zooter_tokens_total{{kind="answer",model="{name}"}} 7.0' in page
