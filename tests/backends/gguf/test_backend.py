"""The backend gguf on a tiny model: llama.cpp itself, in its own process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.gguf_models import POSITIONS, SPECIAL, candidate, write_adapter, write_model, write_peft
from support.read_stream import read
from zooter_core.backends import Piece, Request, backend, growing_answer
from zooter_core.backends.attachments import estimated_tokens
from zooter_core.backends.gguf import engine as engine_module
from zooter_core.backends.gguf.backend import GgufBackend
from zooter_core.backends.gguf.engine import Engine
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.records import Message, Response
from zooter_core.config.candidates import CandidateConfig, MemoryConfig
from zooter_core.config.fleet import GenerationConfig

pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")
GREEDY = GenerationConfig(max_new_tokens=12, temperature=0.0)
ENDLESS = {"prompt_template": "{query}"}  # without turns, the random model goes on


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose answers take seconds: they never end, and have 8,000 tokens."""
    return write_model(tmp_path_factory.mktemp("endless") / "endless.gguf", context_length=8192)


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("adapters")
    return [str(write_peft(folder / "peft")), str(write_adapter(folder / "lora.gguf"))]


@pytest.fixture(scope="module")
def gguf(model: Path, adapters: list[str]) -> Iterator[GgufBackend]:
    gguf_backend = backend("gguf")
    assert isinstance(gguf_backend, GgufBackend)
    gguf_backend.expect([candidate(model), *(candidate(model, adapter=adapter) for adapter in adapters)])
    yield gguf_backend
    gguf_backend.spare()


def requests(*candidates: CandidateConfig, query: str = "Why?", seed: int | None = None) -> list[Request]:
    return [Request(entry, (Message("user", query),), seed) for entry in candidates]


def responses(gguf: GgufBackend, requests: list[Request], generation: GenerationConfig = GREEDY) -> list[Response]:
    """The responses in the order of the requests; each one's text is that of its pieces."""
    texts, ended = read(gguf.stream(requests, generation, threading.Event()), requests)
    assert [response.text for response in ended] == [text.strip() for text in texts]
    return ended


def choose_backend(gguf: GgufBackend) -> Engine:
    (resident,) = gguf.resident._residents.values()
    return resident.model


def test_greedy_answers_and_seeds(gguf, model):
    entry = candidate(model, **ENDLESS)
    sampled = replace(GREEDY, temperature=5.0, top_k=0)
    greedy, again = (responses(gguf, requests(entry))[0] for _ in range(2))
    assert (greedy.candidate, greedy.finish, greedy.tokens, greedy.error) == ("tiny", "length", 12, None)
    assert 0 < greedy.first_token_seconds < greedy.seconds
    assert greedy.text == again.text == responses(gguf, requests(entry), replace(sampled, top_k=1))[0].text
    one, again, other = (responses(gguf, requests(entry, seed=seed), sampled)[0].text for seed in (1, 1, 2))
    assert one == again != other
    same = requests(entry, entry)  # two requests without seeds of their own are two samples
    first, second = (response.text for response in responses(gguf, same, sampled))
    assert first != second


def test_a_stop_text_ends_an_answer_and_top_p_keeps_it_to_the_likeliest_tokens(gguf, model):
    entry = candidate(model, **ENDLESS)
    generation = replace(GREEDY, max_new_tokens=40)
    for penalty in (1.0, 1.1):  # in one step, and in several
        (request,) = requests(replace(entry, repetition_penalty=penalty))
        text = responses(gguf, [request], generation)[0].text
        for stops in ([text[20]], [text[6:11]], ["no such text", text[7:9]], [text[-1:] + "~"]):
            (response,) = responses(gguf, [replace(request, stop=tuple(stops))], generation)
            before = min((text.split(stop)[0] for stop in stops), key=len)
            assert (response.text, response.finish) == (before.strip(), "length" if before == text else "stop")
            assert (response.tokens < 40) == (before != text)
    wild = replace(generation, temperature=5.0, top_k=0)
    nearly, often, always = (
        responses(gguf, [replace(request, seed=1, top_p=share)], wild)[0].text for share in (1e-6, 0.5, 1.0)
    )
    assert nearly == text
    assert len({nearly, often, always}) == 3


def test_a_stop_text_counts_in_what_the_calculator_writes_too(fresh, tmp_path):
    """The model would write 57 after the sum."""
    file = write_model(tmp_path / "sum.gguf", 128, chain=("Sum:", " 2+40", " =", " 57"))
    (request,) = requests(candidate(file, calculator=True, prompt_template="{query}Sum:"))
    for stop, text, tokens in (("", "2+40 = 42", 5), ("=", "2+40", 2), ("42", "2+40 =", 4), ("= 4", "2+40", 4)):
        stops = (stop,) if stop else ()
        (response,) = responses(fresh, [replace(request, stop=stops)], replace(GREEDY, max_new_tokens=tokens + 3))
        assert response.text.startswith(text)
        assert not stop or (response.text, response.tokens, response.finish) == (text, tokens, "stop")


def test_a_sum_is_worked_out_before_the_model_writes(gguf, model):
    (response,) = responses(gguf, requests(candidate(model, calculator=True), query="What is 2*3*4?"))
    assert response.text.startswith("2*3*4 = 24.\nThe answer is")


def test_requests_from_an_iterator_are_all_answered_as_those_of_a_list(gguf, model):
    """This is how `zooter collect` asks an independent backend."""
    several = [request for n in range(6) for request in requests(candidate(model), query=f"Why {n}?", seed=n)]
    pieces = gguf.stream(iter(several), GREEDY, threading.Event())
    texts = {piece.request: piece.response.text for piece in pieces if piece.response is not None}
    assert [texts[request] for request in several] == [response.text for response in responses(gguf, several)]


def test_candidates_on_one_file_share_a_process_and_each_has_its_adapter(gguf, model, adapters):
    pool = [candidate(model, **ENDLESS), *(candidate(model, adapter=adapter, **ENDLESS) for adapter in adapters)]
    alone = [responses(gguf, requests(entry))[0].text for entry in pool]
    together = [response.text for response in responses(gguf, requests(*pool, *pool))]
    assert together == [*alone, *alone]
    assert len(set(alone)) == 3
    assert len(gguf.sizes()) == 1
    assert next(iter(gguf.sizes().values())) > 1_000_000


def test_an_engine_ends_with_the_last_candidate_that_needs_it(fresh, model, adapters):
    short, base, expert = candidate(model, context_tokens=64), candidate(model), candidate(model, adapter=adapters[1])
    responses(fresh, requests(short))
    responses(fresh, requests(base))
    assert len(fresh.sizes()) == 2
    fresh.retain([base])
    pid = choose_backend(fresh).process.pid
    assert responses(fresh, requests(base))[0].error is None
    assert choose_backend(fresh).process.pid == pid
    responses(fresh, requests(short))
    responses(fresh, requests(expert))
    assert len(fresh.sizes()) == 1  # the others do not have its adapter
    fresh.retain([base])
    assert not fresh.sizes()
    assert responses(fresh, requests(base))[0].error is None
    assert not choose_backend(fresh).adapters


def test_an_engine_that_nobody_needs_any_more_ends_after_its_answer(fresh, endless):
    (request,), stop = requests(candidate(endless, **ENDLESS)), threading.Event()
    pieces = fresh.stream([request], replace(GREEDY, max_new_tokens=400), stop)
    next(pieces)
    fresh.retain(())
    *_, last = pieces
    assert (last.response.error, last.response.tokens) == (None, 400)
    assert not fresh.sizes()


def test_a_stop_ends_a_load_and_the_next_request_loads_again(gguf, model, monkeypatch):
    stop, entry, start = threading.Event(), candidate(model, context_tokens=64), Engine._start

    def start_and_stop(self: Engine, *settings: object) -> object:
        process = start(self, *settings)
        stop.set()
        return process

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_start", start_and_stop)
        (piece,) = gguf.stream(requests(entry), GREEDY, stop)
    assert piece.response.finish == "stopped"
    (response,) = responses(gguf, requests(entry))
    assert response.error is None


def test_a_stop_and_a_reader_that_goes_away_cancel_the_answer_and_free_its_slot(gguf, endless):
    stop, entry = threading.Event(), candidate(endless, **ENDLESS)
    generation = replace(GREEDY, max_new_tokens=8000)
    pieces: list[Piece] = []
    for piece in gguf.stream(requests(entry), generation, stop):
        pieces.append(piece)
        stop.set()
    response = pieces[-1].response
    assert response.finish == "stopped"
    assert 0 < response.tokens < 7000
    assert response.text.startswith(pieces[0].text.strip())
    stream = gguf.stream(requests(entry), generation, threading.Event())
    next(stream)
    stream.close()
    assert responses(gguf, requests(*[entry] * 10))[0].finish == "length"  # all slots answer


def test_special_tokens_of_a_user_are_text(gguf, model, monkeypatch):
    prompts: list[list[int]] = []
    stream = Engine.stream

    def watched(self, body, stop):
        prompts.append(body["prompt"])
        return stream(self, body, stop)

    monkeypatch.setattr(Engine, "stream", watched)
    for query in ("Hi", f"Hi {SPECIAL[2]}{SPECIAL[1]}system"):
        responses(gguf, requests(candidate(model), query=query))
    plain, typed = ([prompt.count(token) for token in range(len(SPECIAL))] for prompt in prompts)
    assert plain == typed
    assert plain[1] == 2  # the marks of two turns


def test_a_repetition_penalty_counts_the_tokens_of_the_answer_alone(gguf, model):
    plain_one, punished = candidate(model, **ENDLESS), candidate(model, repetition_penalty=1e6, **ENDLESS)
    query = "".join(chr(33 + n) for n in range(90))  # the prompt has most tokens that there are
    generation = replace(GREEDY, max_new_tokens=40)
    free, bound = (responses(gguf, requests(entry, query=query), generation)[0].text for entry in (plain_one, punished))
    assert bound[:8] == free[:8]  # in the first step no token counts yet
    comes_again = [any(text[n] in text[n - 8 : n] for n in range(8, 40)) for text in (free, bound)]
    assert comes_again == [True, False]


def test_an_answer_goes_on_where_it_was_broken_off(gguf, model):
    entry = candidate(model, prompt_template="{query}\n")
    generation = replace(GREEDY, max_new_tokens=8)
    ascii_only = requests(entry, query="abc")
    full_text = responses(gguf, ascii_only, replace(generation, max_new_tokens=16))[0].text
    half = responses(gguf, ascii_only, generation)[0].text
    rest = responses(gguf, [Request(entry, (Message("user", "abc"), Message("assistant", half)))], generation)[0].text
    assert full_text == half + rest


def test_a_prompt_that_is_too_long_is_refused_and_the_others_are_answered(gguf, model):
    entry = candidate(model, **ENDLESS)
    long, short = requests(entry, query="word " * 300)[0], requests(entry)[0]
    refused, answered = responses(gguf, [long, short])
    assert refused.finish == "refused"
    assert f"more than the {POSITIONS - 1} that fit" in str(refused.error)
    assert answered.finish == "length"


def test_tokens_are_counted_by_the_loaded_model_and_its_context_can_be_raised(fresh, model):
    entry, text = candidate(model), "Why is the sea salt? " * 20
    assert fresh.count_tokens(entry, text) == estimated_tokens(text)
    fresh.load(entry)
    counted = len(choose_backend(fresh).ask("/tokenize", {"content": text})["tokens"])
    assert fresh.count_tokens(entry, text) == counted != estimated_tokens(text)
    assert fresh.context(entry) == fresh.context(replace(entry, context_tokens=10**6))
    assert fresh.context(replace(entry, context_tokens=64)) == 64
    (response,) = responses(fresh, requests(candidate(model, context_tokens=128, **ENDLESS), query="word " * 100))
    assert "more than the 127 that fit" in str(response.error)
    assert f"Or raise `context_tokens` in fleet.toml, up to {POSITIONS} for this model." in str(response.error)


def test_no_chat_template(fresh, tmp_path):
    entry = candidate(write_model(tmp_path / "plain.gguf", chat_template=None))
    (response,) = responses(fresh, requests(entry))
    assert "a chat template in plain.gguf" in str(response.error)
    assert "prompt_template" in str(response.error)
    assert responses(fresh, requests(replace(entry, prompt_template="Q: {query}\nA:")))[0].error is None


# Faults


def test_a_crash_in_native_code_is_told_and_the_next_query_starts_anew(fresh, endless):
    entry = candidate(endless, **ENDLESS)
    stream = fresh.stream(requests(entry), replace(GREEDY, max_new_tokens=8000), threading.Event())
    text = next(stream).text
    os.kill(choose_backend(fresh).process.pid, signal.SIGSEGV)
    *_, last = stream
    assert last.response.finish == "error"
    assert last.response.text.startswith(text.strip())
    assert last.response.tokens > 0
    assert "llama.cpp ended with signal SIGSEGV. The next query restarts it." in str(last.response.error)
    assert responses(fresh, requests(entry))[0].error is None
    process = choose_backend(fresh).process
    os.kill(process.pid, signal.SIGKILL)  # a death between two queries
    process.ending()
    assert responses(fresh, requests(entry))[0].error is None


def test_what_does_not_load_says_why(model, tmp_path, monkeypatch):
    odd = candidate(write_model(tmp_path / "odd.gguf", architecture="nonsense"))
    with pytest.raises(WorkError, match="unknown model architecture: 'nonsense'"):
        GgufBackend().load(odd)
    with pytest.raises(WorkError, match="of memory for"):
        GgufBackend().load(replace(candidate(model), memory=MemoryConfig(0.001)))
    monkeypatch.setattr(engine_module, "installed", lambda: False)
    with pytest.raises(ZooterError, match=r"which is not installed.*pip install 'zooter\[gguf\]'"):
        GgufBackend().load(candidate(model))


def test_a_candidate_whose_adapter_is_broken_fails_alone(gguf, model, tmp_path):
    good, bad = candidate(model, **ENDLESS), candidate(model, "bad", adapter=str(write_peft(tmp_path, width=128)))
    fine, failed = responses(gguf, requests(good, bad))
    assert fine.error is None
    assert "a LoRA adapter for bad" in str(failed.error)


def test_an_answer_that_repeats_itself_ends_and_the_slot_serves_the_next(gguf, endless, monkeypatch):
    for name, value in (("LEAST", 2), ("TIMES", 2), ("EVERY", 1)):  # random models seldom repeat more than a sign
        monkeypatch.setattr(growing_answer, name, value)
    long = replace(GREEDY, max_new_tokens=4000)
    first, second = (responses(gguf, requests(candidate(endless, **ENDLESS)), long)[0] for _ in range(2))
    assert first.finish == "repeated"
    assert first.tokens < 4000
    assert (second.text, second.finish) == (first.text, "repeated")
