"""Requests that are generated together are answered as each alone."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch
from transformers import AutoTokenizer

from support.read_stream import ASK, GREEDY, LONG, SAMPLED, answers, read, stream
from zooter_core.backends import Request
from zooter_core.backends.local.checkpoint import Checkpoint
from zooter_core.backends.local.model import Base
from zooter_core.backends.local.transformers import TransformersBackend
from zooter_core.records import Message

POOL = ("base", "one", "two")
QUESTIONS = ("What is the sea?", "Add up 7 apples", "Why?", "List 12 + 30", "Explain the sea", "a list in Python")


def test_a_mixed_batch_gives_each_request_one_response(backend, candidates):
    _, responses = stream(backend, [candidates[name] for name in ("two", "base", "one", "base")])
    assert [response.candidate for response in responses] == ["two", "base", "one", "base"]
    for response in responses:
        assert (response.finish, response.error, response.tokens) == ("length", None, 12)
        assert 0 < response.first_token_seconds < response.seconds
        assert response.text


def test_a_mixed_batch_equals_each_candidate_alone(backend, candidates):
    alone = [answers(backend, [candidates[name]])[0] for name in POOL]
    assert answers(backend, candidates.values()) == alone


def test_queries_of_different_length_in_a_batch_equal_each_alone(backend, candidates):
    queries = ["Hi", "Write a long story about the sea, the ships and the people on them.", "12 + 30 = ?"]
    requests = [Request(candidates["one"], (Message("user", query),)) for query in queries]
    alone = [answers(backend, [candidates["one"]], messages=request.messages)[0] for request in requests]
    _, responses = read(backend.stream(requests, GREEDY, threading.Event()), requests)
    assert [response.text for response in responses] == alone


def test_a_prompt_near_the_end_of_the_model_cuts_no_other_answer_short(backend, candidates):
    pool = [candidates["base"], *(replace(candidates["base"], prompt_template="!" * n) for n in (500, 505))]
    alone = [stream(backend, [candidate], LONG)[1][0] for candidate in pool]
    assert sorted(r.tokens for r in alone)[:2] == [7, 12] < [max(r.tokens for r in alone)]
    for order in (1, -1):
        _, responses = stream(backend, pool[::order], LONG)
        expected = [(r.finish, r.tokens, r.text) for r in alone[::order]]
        assert [(r.finish, r.tokens, r.text) for r in responses] == expected


def test_a_repetition_penalty_counts_for_its_candidate_alone(backend, candidates):
    """Untrained models go in circles; with a penalty that lets nothing come twice, no token of the answer does."""
    never = replace(candidates["base"], repetition_penalty=1e9)
    plain, other, penalised = answers(backend, [candidates["base"], candidates["one"], never])
    assert [plain, other] == answers(backend, [candidates["base"], candidates["one"]])
    assert penalised != plain
    tokens = AutoTokenizer.from_pretrained(never.model).encode(penalised, add_special_tokens=False)
    assert len(set(tokens)) == len(tokens)


@pytest.mark.parametrize(
    "names", [("base", "base", "base"), ("one", "one"), ("one", "base", "one", "two", "base", "base")]
)
def test_requests_that_repeat_are_answered_as_each_alone(backend, candidates, names):
    """Repeats are read in once; greedy answers must not change by that."""
    alone = {name: answers(backend, [candidates[name]])[0] for name in set(names)}
    assert answers(backend, [candidates[name] for name in names]) == [alone[name] for name in names]


def test_repeats_are_sampled_each_on_its_own(backend, candidates):
    texts = answers(backend, [candidates["base"]] * 6, SAMPLED)
    assert len(set(texts)) > 1


def test_repeats_of_several_prompts_of_different_length(backend, candidates):
    asks = [ASK, (Message("user", "Add up 7 apples and 12 pears, then explain it."),)]
    requests = [Request(candidates["one"], ask) for ask in (*asks, *asks)]
    _, responses = read(backend.stream(requests, GREEDY, threading.Event()), requests)
    alone = [answers(backend, [candidates["one"]], messages=ask)[0] for ask in asks]
    assert [response.text for response in responses] == alone * 2


def test_rows_that_end_leave_the_batch_and_change_nothing_for_the_others(backend, candidates, monkeypatch):
    """Some likely tokens end a turn here, so that the rows end at different times."""
    alone = [answers(backend, [candidates["base"]], replace(LONG, max_new_tokens=60), (Message("user", text),))[0]
             for text in QUESTIONS]  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(candidates["base"].model)
    common = {tokenizer(text, add_special_tokens=False)["input_ids"][20] for text in alone}
    monkeypatch.setattr(Base, "ends", common)
    fresh = TransformersBackend()
    pool = [candidates[name] for name in ("base", "one", "base", "two", "base", "one")]
    requests = [Request(candidate, (Message("user", text),)) for candidate, text in zip(pool, QUESTIONS, strict=True)]
    generation = replace(LONG, max_new_tokens=60)
    expected = [stream(fresh, [r.candidate], generation, r.messages)[1][0] for r in requests]
    _, responses = read(fresh.stream(requests, generation, threading.Event()), requests)
    assert len({response.tokens for response in expected}) > 2
    assert [(response.text, response.tokens, response.finish) for response in responses] == [
        (response.text, response.tokens, response.finish) for response in expected
    ]


def test_the_last_tokens_are_not_read_as_a_slice(candidates):
    """On a CPU, torch would copy the weights of the head for every row: seconds a batch with 49,152 tokens."""
    base, read = Base(Checkpoint.of(candidates["base"]), {}), []
    base.model.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    base.model(input_ids=torch.ones((3, 5), dtype=torch.long), logits_to_keep=1)
    assert [(tuple(tensor.shape[:2]), tensor.is_contiguous()) for tensor in read] == [((3, 1), True)]
