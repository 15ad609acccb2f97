"""Requests that are generated together are answered as each alone."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
import torch
from transformers import AutoTokenizer, DynamicCache, LlamaConfig, LlamaForCausalLM, MistralConfig

from support.read_stream import LONG, SAMPLED, answers, read, stream
from zooter_core.backends import Request
from zooter_core.backends.conversation import prompt_ids
from zooter_core.backends.local import batch
from zooter_core.backends.local.batch import keeps_all
from zooter_core.backends.local.checkpoint import Checkpoint
from zooter_core.backends.local.model import Base
from zooter_core.backends.local.transformers import TransformersBackend
from zooter_core.base.records import Message, Response

POOL = ("base", "one", "two")
QUESTIONS = ("What is the sea?", "Add up 7 apples", "Why?", "List 12 + 30", "Explain the sea", "a list in Python")


@pytest.mark.parametrize("names", [POOL, ("two", "base", "one", "two", "base", "base")])
def test_requests_in_a_batch_are_answered_as_each_alone(backend, candidates, names):
    """Each of several samples of one request is drawn on its own."""
    alone = {name: answers(backend, [candidates[name]])[0] for name in set(names)}
    _, responses = stream(backend, [candidates[name] for name in names])
    assert [(response.candidate, response.text) for response in responses] == [(name, alone[name]) for name in names]
    for response in responses:
        assert (response.finish, response.error, response.tokens) == ("length", None, 12)
        assert 0 < response.first_token_seconds < response.seconds
    assert len(set(answers(backend, [candidates[name] for name in names], SAMPLED))) > 1


def test_a_prompt_near_the_end_of_the_model_cuts_no_other_answer_short(backend, candidates):
    pool = [candidates["base"], *(replace(candidates["base"], prompt_template="!" * n) for n in (500, 505))]
    longer = replace(LONG, max_new_tokens=40)
    alone = [stream(backend, [candidate], longer)[1][0] for candidate in pool]
    assert sorted(r.tokens for r in alone)[:2] == [7, 12] < [max(r.tokens for r in alone)]
    for order in (1, -1):
        _, responses = stream(backend, pool[::order], longer)
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


@pytest.fixture(scope="module")
def answered_alone(candidates) -> tuple[set[int], list[Request], list[Response]]:
    """Some likely tokens, requests of a batch, and the response to each alone where these tokens end a turn."""
    generation = replace(LONG, max_new_tokens=60)
    long = [answers(TransformersBackend(), [candidates["base"]], generation, (Message("user", text),))[0]
            for text in QUESTIONS]  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(candidates["base"].model)
    ends = {tokenizer(text, add_special_tokens=False)["input_ids"][20] for text in long}
    pool = [candidates[name] for name in ("base", "one", "base", "two", "base", "one")]
    requests = [Request(candidate, (Message("user", text),)) for candidate, text in zip(pool, QUESTIONS, strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Base, "ends", ends)
        fresh = TransformersBackend()
        expected = [stream(fresh, [r.candidate], generation, r.messages)[1][0] for r in requests]
    assert len({response.tokens for response in expected}) > 2
    return ends, requests, expected


@pytest.fixture
def ends_at_different_times(answered_alone, monkeypatch) -> tuple[list[Request], list[Response]]:
    """Requests of a batch, and the response to each alone."""
    ends, requests, expected = answered_alone
    monkeypatch.setattr(Base, "ends", ends)
    return requests, expected


@pytest.fixture
def sizes(monkeypatch) -> list[int]:
    """The rows of each call of `generate`."""
    sizes, generate = [], LlamaForCausalLM.generate
    monkeypatch.setattr(
        LlamaForCausalLM, "generate", lambda model, **o: sizes.append(len(o["input_ids"])) or generate(model, **o)
    )
    return sizes


@pytest.mark.parametrize(
    ("width", "step", "keeps"), [(64, 16, True), (2, 4, True), (3, 7, True), (1, 16, True), (3, 7, False)]
)
def test_rows_end_and_others_take_their_places(ends_at_different_times, sizes, monkeypatch, width, step, keeps):
    """Whoever joins or leaves, each is answered as alone, also from a cache that forgets, whose padding stays."""
    if not keeps:
        monkeypatch.setattr(batch, "keeps_all", lambda cache: False)
    for name, value in (("WIDTH", width), ("STEP", step)):
        monkeypatch.setattr(batch, name, value)
    requests, expected = ends_at_different_times
    begun = time.perf_counter()
    pieces = TransformersBackend().stream(requests, replace(LONG, max_new_tokens=60), threading.Event())
    _, responses = read(pieces, requests)
    elapsed = time.perf_counter() - begun
    assert [(response.text, response.tokens, response.finish) for response in responses] == [
        (response.text, response.tokens, response.finish) for response in expected
    ]
    assert max(sizes) == sizes[0] == min(width, len(requests))
    if width == 2:
        assert sizes.count(2) > 1  # others have joined
    if width == 1:  # the seconds of a response are its own
        assert sum(response.seconds for response in responses) < elapsed


def test_a_cache_that_forgets_is_left_as_it_is():
    """Padding in the middle counts in a sliding window, so that no rows join such rows."""
    shape = {"num_hidden_layers": 2, "hidden_size": 8, "num_attention_heads": 2, "num_key_value_heads": 2}
    assert keeps_all(DynamicCache(config=LlamaConfig(**shape)))
    assert not keeps_all(DynamicCache(config=MistralConfig(**shape, sliding_window=4)))
    assert not keeps_all(None)


def test_the_last_tokens_are_not_read_as_a_slice(candidates):
    """On a CPU, torch would copy the weights of the head for every row: seconds a batch with 49,152 tokens."""
    base, read = Base(Checkpoint.of(candidates["base"]), {}), []
    base.model.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    base.model(input_ids=torch.ones((3, 5), dtype=torch.long), logits_to_keep=1)
    assert [(tuple(tensor.shape[:2]), tensor.is_contiguous()) for tensor in read] == [((3, 1), True)]


def test_more_rows_join_while_their_caches_fit_into_memory(ends_at_different_times, sizes, monkeypatch):
    requests, _ = ends_at_different_times
    for name, value in (("WIDTH", 5), ("BEGINNING", 2), ("STEP", 2)):
        monkeypatch.setattr(batch, name, value)
    monkeypatch.setattr(batch.memory, "free", lambda device: 1_000_000_000)

    def widest(room: int) -> int:
        """With so many bytes for caches, of a gigabyte that is free."""
        monkeypatch.setattr(batch, "SHARE", room / 1e9)
        sizes.clear()
        read(TransformersBackend().stream(requests, replace(LONG, max_new_tokens=60), threading.Event()), requests)
        assert sizes[0] == 2
        return max(sizes)

    base = Base(Checkpoint.of(requests[0].candidate), {})
    row = base.bytes_a_token * (60 + max(len(prompt_ids(request, base.tokenizer)) for request in requests))
    assert [widest(0), widest(3 * row + 1), widest(9 * row)] == [2, 3, 5]
    layers = DynamicCache(config=base.model.config)
    base.model(input_ids=torch.ones((1, 7), dtype=torch.long), past_key_values=layers)
    assert base.bytes_a_token == sum(layer.keys.nbytes + layer.values.nbytes for layer in layers.layers) // 7
