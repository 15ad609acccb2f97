"""Memory that runs out while a model loads or generates."""

from __future__ import annotations

import threading

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from support.read_stream import read
from support.three_bases import GREEDY, NAMES, QUERIES, ask, pool, texts
from zooter_core.backends import Request
from zooter_core.backends.local.transformers import TransformersBackend
from zooter_core.base.records import Message

pytestmark = pytest.mark.slow  # after each failure, memory is freed for good, which takes a second
FULL = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of ..."),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 4096 bytes. Error code 12 (Cannot allocate memory)"
    ),
)


def failing(monkeypatch, kind, name, problem, times):
    """Let a call fail the first `times` times; `times` may be a test of its arguments."""
    real, calls = getattr(kind, name), []

    def call(*args, **options):
        calls.append(options)
        if times(options) if callable(times) else len(calls) <= times:
            raise problem
        return real(*args, **options)

    monkeypatch.setattr(kind, name, staticmethod(call) if name == "from_pretrained" else call)
    return calls


@pytest.mark.parametrize("problem", FULL)
def test_memory_that_runs_out_while_loading_is_freed_for_a_second_try(folders, monkeypatch, problem, alone):
    a, b, _ = pool(folders).values()
    backend = TransformersBackend()
    ask(backend, [a])
    calls = failing(monkeypatch, AutoModelForCausalLM, "from_pretrained", problem, 1)
    assert texts(backend, [b]) == alone["b"][:1]
    assert len(calls) == 2
    assert backend.resident.names() == ["b"]  # a has left for it


@pytest.mark.parametrize("problem", FULL)
def test_a_model_that_memory_runs_out_for_twice_fails_alone(folders, monkeypatch, problem, alone):
    a, b, c = pool(folders).values()
    backend = TransformersBackend()
    calls = failing(monkeypatch, AutoModelForCausalLM, "from_pretrained", problem, 2)
    (failed,), _ = ask(backend, [b])
    assert len(calls) == 2
    assert "Expected 151 kB of memory for" in str(failed.error)
    assert "free on cpu" in str(failed.error)
    assert texts(backend, [a, b, c]) == [alone[name][0] for name in NAMES]


@pytest.mark.parametrize(("problem", "most"), [(FULL[0], 1), (FULL[0], 3), (FULL[1], 1)])
def test_a_batch_that_memory_runs_out_for_goes_on_in_halves(folders, monkeypatch, problem, most, alone):
    a = pool(folders)["a"]
    backend = TransformersBackend()
    calls = failing(
        monkeypatch, LlamaForCausalLM, "generate", problem, lambda options: len(options["input_ids"]) > most
    )
    assert texts(backend, [a], QUERIES) == alone["a"]
    assert max(len(call["input_ids"]) for call in calls) == len(QUERIES)


def test_what_has_come_stays_where_memory_runs_out(folders, monkeypatch, alone):
    """At the fifth token: the texts go on behind it, in two halves, and no piece comes twice."""
    a = pool(folders)["a"]
    backend = TransformersBackend()
    backend.load(a)
    forward, steps = LlamaForCausalLM.forward, []

    def full(model, *args, **options):
        steps.append(len(options["input_ids"]))
        if len(steps) == 6:
            raise FULL[0]
        return forward(model, *args, **options)

    monkeypatch.setattr(LlamaForCausalLM, "forward", full)
    requests = [Request(a, (Message("user", query),)) for query in QUERIES]
    streamed, responses = read(backend.stream(requests, GREEDY, threading.Event()), requests)
    assert [(response.error, response.tokens) for response in responses] == [(None, 10)] * len(QUERIES)
    assert [response.text for response in responses] == [text.strip() for text in streamed] == alone["a"]
    assert steps[5:8] == [5, 3, 3]
    assert steps[-1] == 2


def test_a_request_that_memory_never_suffices_for_fails_alone(folders, monkeypatch, alone):
    """The longest prompt is too much even alone; the others of its batch answer."""
    a, b, _ = pool(folders).values()
    backend = TransformersBackend()
    ask(backend, [b])
    long = "Write about the sea. " * 10
    failing(monkeypatch, LlamaForCausalLM, "generate", FULL[0], lambda options: options["input_ids"].shape[1] > 80)
    responses, _ = ask(backend, [a], (*QUERIES[:2], long, *QUERIES[2:]))
    assert [response.text for n, response in enumerate(responses) if n != 2] == alone["a"]
    failed = responses[2]
    assert failed.finish == "error"
    assert "memory for an answer of a (20.00 MiB more)" in str(failed.error)
    assert "free on cpu" in str(failed.error)
    assert backend.resident.names() == ["a"]  # b, which nobody used, has left
    assert texts(backend, [a]) == alone["a"][:1]


def test_an_error_that_is_none_of_memory_is_not_tried_again(folders, monkeypatch):
    a = pool(folders)["a"]
    calls = failing(monkeypatch, LlamaForCausalLM, "generate", RuntimeError("a bad day"), 99)
    responses, _ = ask(TransformersBackend(), [a], QUERIES)
    assert [str(response.error) for response in responses] == ["a bad day"] * len(QUERIES)
    assert len(calls) == 1
