"""Which conversation gets which slot of llama.cpp, and conversations that are read before their next query comes."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from support.gguf_models import candidate, write_adapter
from support.patience import PATIENCE
from zooter_core.backends import Request
from zooter_core.backends.gguf import backend as backend_module
from zooter_core.backends.gguf.backend import GgufBackend
from zooter_core.backends.gguf.engine import Engine, Slots
from zooter_core.base.records import Message
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig

NEVER = threading.Event()


def test_a_conversation_gets_the_slot_that_has_read_most_of_it():
    slots = Slots(3, 1000)
    taken = [slots.take(adapter, tokens, 10, NEVER) for adapter, tokens in ((0, [1, 2, 3]), (1, [1, 2, 3]), (0, [9]))]
    for slot in taken:
        slots.give_back(slot)
    assert slots.take(1, [1, 2, 3, 4], 10, NEVER) is taken[1]
    assert slots.take(0, [1, 2, 7], 10, NEVER) is taken[0]


def test_a_new_conversation_gets_the_slot_that_was_unused_for_longest():
    slots = Slots(2, 1000)
    first, second = slots.take(None, [1], 10, NEVER), slots.take(None, [2], 10, NEVER)
    slots.give_back(second)
    slots.give_back(first)
    assert slots.take(None, [3], 10, NEVER) is second


def test_who_finds_no_slot_or_no_room_waits_until_there_is():
    for count, room in ((1, 1000), (2, 15)):
        slots = Slots(count, room)
        first, taken = slots.take(None, [1], 10, NEVER), []
        waiting = threading.Thread(
            target=lambda slots=slots, taken=taken: taken.append(slots.take(None, [2], 10, NEVER))
        )
        waiting.start()
        waiting.join(0.05)
        assert not taken
        slots.give_back(first)
        waiting.join(PATIENCE)
        assert taken[0] is not None


def test_a_stop_ends_the_wait():
    slots, stop = Slots(1, 1000), threading.Event()
    slots.take(None, [1], 10, NEVER)
    stop.set()
    assert slots.take(None, [2], 10, stop) is None


pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")
SHORT = GenerationConfig(max_new_tokens=4, temperature=0.0)
TALK = (Message("user", "Which is the largest planet of all?"), Message("assistant", "It is Jupiter, by far."))


@pytest.fixture
def pool(model: Path, tmp_path: Path) -> list[CandidateConfig]:
    adapter = str(write_adapter(tmp_path / "lora.gguf"))
    return [candidate(model), replace(candidate(model, adapter=adapter), name="other")]


@pytest.fixture
def gguf(fresh: GgufBackend, pool: list[CandidateConfig]) -> GgufBackend:
    fresh.expect(pool)
    return fresh


def wait_for_readers() -> None:
    for thread in threading.enumerate():
        if thread.name == "read ahead":
            thread.join(PATIENCE)


def test_whoever_answers_next_has_read_the_conversation(gguf, pool, monkeypatch):
    progress, stream = [], Engine.stream

    def recorded(engine, body, stop):
        for event in stream(engine, body, stop):
            progress.extend([event["prompt_progress"]] if "prompt_progress" in event else [])
            yield event

    for entry in pool:
        gguf.load(entry)
    gguf.read_ahead([Request(entry, TALK) for entry in pool])
    wait_for_readers()
    monkeypatch.setattr(Engine, "stream", recorded)
    for entry in pool:
        progress.clear()
        list(gguf.stream([Request(entry, (*TALK, Message("user", "Why?")))], SHORT, threading.Event()))
        new = progress[0]["total"] - progress[0]["cache"]
        assert new < 40 < progress[0]["cache"], "the query and the marks of its turn; letters are tokens here"


def test_a_request_ends_the_reading(gguf, pool, monkeypatch):
    reading, ended = threading.Event(), threading.Event()

    def slow(engine, request, stop):
        reading.set()
        assert stop.wait(PATIENCE)
        ended.set()

    for entry in pool:
        gguf.load(entry)
    monkeypatch.setattr(gguf, "_read", slow)
    gguf.read_ahead([Request(entry, TALK) for entry in pool])
    assert reading.wait(PATIENCE)
    (*_, piece) = gguf.stream([Request(pool[0], TALK[:1])], SHORT, threading.Event())
    assert piece.response.error is None
    assert ended.wait(PATIENCE)
    wait_for_readers()


@pytest.mark.parametrize("reason", ["MOST_AHEAD", "LARGEST_AHEAD", "somebody answers", "not loaded"])
def test_nobody_reads_what_is_long_or_with_a_large_model_or_while_somebody_answers(gguf, pool, monkeypatch, reason):
    read: list[Request] = []
    if reason != "not loaded":
        gguf.load(pool[0])
    monkeypatch.setattr(Slots, "busy", reason == "somebody answers")
    if reason.isupper():
        monkeypatch.setattr(backend_module, reason, 20)
    monkeypatch.setattr(gguf, "_read", lambda engine, request, stop: read.append(request))
    gguf.read_ahead([Request(pool[0], TALK)])
    wait_for_readers()
    assert read == []
