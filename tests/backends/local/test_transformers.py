"""The answers of local candidates: one stream, its seeds, its stop, its prompts, its ends, and adapters of one base."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from transformers import AutoTokenizer

from support.read_stream import ASK, GREEDY, LONG, SAMPLED, answers, read, stream
from zooter_core.backends import Request, growing_answer
from zooter_core.backends.local.decoding import Rows
from zooter_core.backends.local.transformers import TransformersBackend
from zooter_core.base.records import Message
from zooter_core.config.fleet import load_fleet

POOL = ("base", "one", "two")


def generating() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "merge_streams"]


def test_attention_that_plans_anew_for_every_token_is_off(backend):
    assert not torch.backends.cuda.cudnn_sdp_enabled()  # why: docs/notebook/runtimes.md


def test_a_candidate_does_not_depend_on_who_was_loaded_before(candidates):
    alone = {name: answers(TransformersBackend(), [candidates[name]])[0] for name in POOL}
    assert len(set(alone.values())) == len(POOL)
    late = TransformersBackend()
    assert {name: answers(late, [candidates[name]])[0] for name in reversed(POOL)} == alone


def test_a_seed_fixes_what_is_sampled(backend, candidates):
    greedy = answers(backend, candidates.values())  # which leaves nothing to chance
    assert answers(backend, candidates.values(), replace(GREEDY, seed=1)) == greedy
    before = torch.get_rng_state()
    first = answers(backend, candidates.values(), SAMPLED)
    assert torch.equal(torch.get_rng_state(), before)  # the caller's
    torch.rand(3)
    assert answers(backend, candidates.values(), SAMPLED) == first
    assert answers(backend, candidates.values(), replace(SAMPLED, seed=1)) != first


def test_two_threads_at_once_get_what_each_gets_alone(backend, candidates):
    alone = {name: answers(backend, [candidates[name]])[0] for name in ("one", "two")}
    with ThreadPoolExecutor(2) as threads:
        texts = threads.map(lambda name: [answers(backend, [candidates[name]])[0] for _ in range(4)], alone)
        assert list(texts) == [[text] * 4 for text in alone.values()]


def test_a_stop_is_seen_while_another_batch_runs(backend, candidates):
    first, second = threading.Event(), threading.Event()
    running = backend.stream([Request(candidates["base"], ASK)], LONG, first)
    next(running)  # the base is in use from now on
    threading.Timer(0.05, second.set).start()
    _, (response,) = stream(backend, [candidates["base"]], LONG, stop=second)
    assert (response.finish, response.tokens) == ("stopped", 0)
    first.set()
    *_, last = running
    assert 0 < last.response.tokens < 400


def test_stop_ends_all_with_the_text_that_has_come(backend, candidates):
    stop = threading.Event()
    requests = [Request(candidate, ASK) for candidate in candidates.values()]
    pieces = backend.stream(requests, LONG, stop)
    first = next(pieces)
    stop.set()
    texts, responses = read([first, *pieces], requests)
    assert [response.finish for response in responses] == ["stopped"] * 3
    assert [response.text for response in responses] == [text.strip() for text in texts]
    assert all(response.tokens < 400 for response in responses)


@pytest.fixture
def steps(monkeypatch):
    """The tokens of every step that is taken."""
    taken, put = [], Rows.put

    def counted(rows, tokens):
        taken.append(tokens)
        put(rows, tokens)

    monkeypatch.setattr(Rows, "put", counted)
    return taken


def test_abandoned_generation_ends_early_and_with_it_its_thread(backend, candidates, steps):
    pieces = backend.stream([Request(candidates["base"], ASK)], LONG, threading.Event())
    next(pieces)
    assert generating()
    pieces.close()
    assert not generating()
    assert len(steps) < LONG.max_new_tokens
    assert answers(backend, [candidates["base"]])[0]


def test_a_turn_ends_at_every_token_that_the_model_names(fleet_copy):
    """The fourth token of the greedy answer becomes an end of turn in the generation settings."""
    base = load_fleet(fleet_copy).candidate("base")
    backend = TransformersBackend()
    text = answers(backend, [base], replace(GREEDY, max_new_tokens=3))[0]
    tokenizer = AutoTokenizer.from_pretrained(base.model)
    three = tokenizer(text, add_special_tokens=False)["input_ids"]
    four = tokenizer(answers(backend, [base], replace(GREEDY, max_new_tokens=4))[0], add_special_tokens=False)
    settings = fleet_copy / "base" / "generation_config.json"
    change = json.loads(settings.read_text()) | {"eos_token_id": [tokenizer.eos_token_id, four["input_ids"][-1]]}
    settings.write_text(json.dumps(change))
    (response,) = stream(TransformersBackend(), [base])[1]
    assert (response.finish, response.tokens, response.text) == ("stop", len(three) + 1, text)


def test_a_sum_is_worked_out_before_the_model_writes(backend, candidates):
    reckons = replace(candidates["base"], calculator=True)
    messages = (Message("user", "What is 2*3*4?"),)
    (text,) = answers(backend, [reckons], messages=messages)
    assert text.startswith("2*3*4 = 24.\nThe answer is")


def test_model_without_a_chat_template_asks_for_a_prompt_template(fleet_copy):
    (fleet_copy / "base" / "chat_template.jinja").unlink()
    base = load_fleet(fleet_copy).candidate("base")
    backend = TransformersBackend()
    (failed,) = stream(backend, [base])[1]
    assert failed.finish == "error"
    assert "prompt_template" in str(failed.error)
    assert answers(backend, [replace(base, prompt_template="Q: {query}")])[0]


def test_prompt_longer_than_the_model_is_an_error_of_that_request(backend, candidates):
    (response,) = stream(backend, [candidates["base"]], messages=(Message("user", "a" * 2000),))[1]
    assert (response.finish, response.text) == ("refused", "")
    assert "more than the 511 that fit" in str(response.error)
    short = replace(candidates["base"], context_tokens=40)
    (response,) = stream(backend, [short], messages=(Message("user", "a" * 200),))[1]
    assert (response.finish, "more than the 39 that fit" in str(response.error)) == ("refused", True)


def test_a_stop_text_ends_its_row_at_once_and_no_other(backend, candidates, steps):
    text, other = answers(backend, [candidates["base"], candidates["two"]], LONG)
    stop = text[len(text) // 2 :][:5]
    first, second = Request(candidates["base"], ASK, stop=("no such text", stop)), Request(candidates["two"], ASK)
    texts, (ended, untouched) = read(backend.stream([first, second], LONG, threading.Event()), [first, second])
    assert (texts[0], ended.finish) == (text.split(stop)[0], "stop")
    assert untouched.text == other
    steps.clear()
    (alone,) = read(backend.stream([first], LONG, threading.Event()), [first])[1]
    assert (alone.text, alone.tokens) == (ended.text, len(steps))


def test_an_answer_that_repeats_itself_ends_before_its_limit(backend, candidates, monkeypatch):
    for name, value in (("LEAST", 2), ("TIMES", 2), ("EVERY", 1)):  # random models seldom repeat more than a sign
        monkeypatch.setattr(growing_answer, name, value)
    texts, responses = stream(backend, [candidates["base"], candidates["two"]], replace(GREEDY, max_new_tokens=200))
    for text, response in zip(texts, responses, strict=True):
        assert response.finish == "repeated"
        assert response.tokens < 200
        assert response.text == text.strip()


@pytest.mark.parametrize(("broken", "order"), [(["two"], POOL), (["two"], POOL[::-1]), (["one", "two"], POOL)])
def test_a_corrupt_adapter_fails_alone(fleet_copy, backend, candidates, broken, order):
    expected = dict(zip(POOL, answers(backend, candidates.values()), strict=True))
    for name in broken:
        file = fleet_copy / "adapters" / name / "adapter_model.safetensors"
        file.write_bytes(file.read_bytes()[:100])
    pool = {candidate.name: candidate for candidate in load_fleet(fleet_copy).candidates}
    fresh = TransformersBackend()
    for _ in range(2):
        _, responses = stream(fresh, [pool[name] for name in order])
        for response in responses:
            if response.candidate in broken:
                assert response.finish == "error"
                assert f"a LoRA adapter for {response.candidate}" in str(response.error)
            else:
                assert (response.error, response.text) == (None, expected[response.candidate])
