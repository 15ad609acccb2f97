"""The backend vllm on a scripted vLLM, in a process of its own as the real one is (test_vllm.py asks that)."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from support import tiny_models
from zooter_core.backends import Request, iter_responses
from zooter_core.backends.local import memory
from zooter_core.backends.vllm import backend as vllm_backend
from zooter_core.backends.vllm import engine
from zooter_core.backends.vllm.backend import VllmBackend
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.records import Message, Response
from zooter_core.config.candidates import CandidateConfig, MemoryConfig
from zooter_core.config.fleet import GenerationConfig

SHARE = 0.01  # of the memory, which the scripted one does not take
SHORT = GenerationConfig(max_new_tokens=8, temperature=0.7, top_k=5, seed=100)
NEVER = threading.Event()


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("vllm") / "base"
    tiny_models.save_language_model(folder)
    return folder


@pytest.fixture
def backend(scripted_vllm):
    backend = VllmBackend()
    yield backend
    backend.spare()


@pytest.fixture
def candidate(base) -> CandidateConfig:
    return CandidateConfig("one", "vllm", str(base), dtype="float32", vllm={"gpu_memory_utilization": SHARE})


def requests(candidate: CandidateConfig, *seeds: int, query: str = "Why?") -> list[Request]:
    return [Request(candidate, (Message("user", query),), seed) for seed in seeds]


def responses(backend: VllmBackend, requests: Iterable[Request], stop: threading.Event = NEVER) -> dict[int, Response]:
    """The responses by seed; each request has exactly one."""
    pairs = [(request.seed, response) for request, response in iter_responses(backend.stream(requests, SHORT, stop))]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_requests_are_answered_with_their_seeds(backend, scripted_vllm, candidate):
    candidate = replace(candidate, context_tokens=64, vllm={**candidate.vllm, "max_num_seqs": 3})
    answers = responses(backend, requests(candidate, *range(1, 9)))
    length = answers[1].text.split()[-1]
    assert {seed: answer.text for seed, answer in answers.items()} == {n: f"{n} on {length}" for n in range(1, 9)}
    assert {(answer.tokens, answer.finish, answer.error) for answer in answers.values()} == {(4, "stop", None)}
    assert all(0 < answer.first_token_seconds <= answer.seconds for answer in answers.values())
    (arguments,) = scripted_vllm.events("start")
    assert arguments == {
        "model": candidate.model,
        "revision": None,
        "dtype": "float32",
        "max_model_len": 64,
        "gpu_memory_utilization": SHARE,
        "max_num_seqs": 3,
        **{"enable_lora": False, "max_lora_rank": 16, "max_loras": 1, "tensor_parallel_size": 1},  # vLLM's defaults
    }
    assert max(scripted_vllm.events("beside")) <= 2 * 3 - 1


def test_without_seeds_of_their_own_requests_count_up_from_that_of_the_settings(backend, candidate):
    equal = [Request(candidate, (Message("user", "Why?"),)) for _ in range(3)]
    texts = [response.text.split()[0] for _, response in iter_responses(backend.stream(equal, SHORT, NEVER))]
    assert sorted(texts) == ["100", "101", "102"]


def test_an_answer_ends_at_the_most_tokens_and_comes_piece_by_piece(backend, candidate):
    pieces = [p for p in backend.stream(requests(candidate, 7), replace(SHORT, max_new_tokens=2), NEVER) if not p.note]
    assert [piece.text for piece in pieces] == ["7", " on", ""]
    assert (pieces[-1].response.text, pieces[-1].response.finish, pieces[-1].response.tokens) == ("7 on", "length", 2)


def test_a_request_that_cannot_be_answered_does_not_hold_up_the_others(backend, scripted_vllm, candidate):
    scripted_vllm.set(refuse=[2], abort=[3])
    candidate = replace(candidate, context_tokens=64)
    answers = responses(backend, [*requests(candidate, 1, 2, 3, 4), *requests(candidate, 5, query="long " * 99)])
    assert {seed: answer.finish for seed, answer in answers.items()} == {
        **{1: "stop", 2: "refused", 3: "error", 4: "stop", 5: "refused"}
    }
    assert "a token that the model has not" in answers[2].error.reason
    assert "more than the 63 that fit" in answers[5].error.reason
    assert 5 not in scripted_vllm.events("add")


def test_requests_are_drawn_as_there_is_room_and_not_after_a_stop(backend, scripted_vllm, candidate):
    scripted_vllm.set(hang=[1, 2])
    drawn: list[int] = []
    stop = threading.Event()

    def many() -> Iterable[Request]:
        for request in requests(candidate, *range(1, 100)):
            drawn.append(request.seed)
            yield request

    ended = []
    for piece in backend.stream(many(), SHORT, stop):
        if piece.response is not None:
            ended.append(piece.response.finish)
        if len(ended) == 3:
            stop.set()
    assert ended == ["stop"] * 3 + ["stopped"] * (len(drawn) - 3)
    assert len(drawn) <= 3 + 2 * vllm_backend.AHEAD


def test_a_stop_ends_answers_with_their_text_and_frees_the_engine(backend, scripted_vllm, candidate):
    scripted_vllm.set(hang=[1])
    stop = threading.Event()
    for piece in backend.stream(requests(candidate, 1, 2), SHORT, stop):
        if piece.text and piece.request.seed == 1:
            stop.set()
        if piece.response is not None and piece.request.seed == 1:
            assert (piece.response.text, piece.response.finish) == ("1", "stopped")
    assert responses(backend, requests(candidate, 3))[3].finish == "stop"
    assert len(scripted_vllm.events("start")) == 1
    assert scripted_vllm.events("abort")


@pytest.mark.parametrize("quietly", [False, True], ids=["with a reason", "without a word"])
def test_the_request_that_ends_the_engine_is_refused_and_the_others_are_answered_once(
    backend, scripted_vllm, candidate, quietly
):
    scripted_vllm.set(die=[1], quietly=quietly)
    answers = responses(backend, requests(candidate, 1, *range(2, 20)))
    assert {seed for seed, answer in answers.items() if answer.finish == "stop"} == set(range(2, 20))
    assert answers[1].finish == "refused"
    reason = "exit code 3" if quietly else "an illegal memory access"
    assert reason in answers[1].error.reason
    # It died among others, alone and first, and alone after another answer.
    assert len(scripted_vllm.events("start")) == 4
    assert len(scripted_vllm.events("add")) <= 19 + 2 * vllm_backend.AHEAD + 2


def test_an_engine_that_dies_again_and_again_is_not_started_for_ever(backend, scripted_vllm, candidate):
    scripted_vllm.set(die=list(range(50)))
    answers = responses(backend, requests(candidate, *range(50)))
    assert {answer.finish for answer in answers.values()} == {"error"}
    assert len(scripted_vllm.events("start")) == vllm_backend.DEATHS
    assert "an illegal memory access" in answers[49].error.reason


def test_an_engine_that_dies_before_the_first_request_reaches_it_is_one_death(
    backend, scripted_vllm, candidate, monkeypatch
):
    take = backend.resident._take

    def take_and_kill(*arguments):
        killed = take(*arguments)
        monkeypatch.setattr(backend.resident, "_take", take)
        os.killpg(killed.process.pid, signal.SIGKILL)
        killed._reader.join(60)
        return killed

    monkeypatch.setattr(backend.resident, "_take", take_and_kill)
    answers = responses(backend, requests(candidate, *range(6)))
    assert {answer.finish for answer in answers.values()} == {"stop"}
    assert len(scripted_vllm.events("start")) == 2


def test_a_request_alone_is_tried_twice(backend, scripted_vllm, candidate):
    scripted_vllm.set(die=[1])
    assert responses(backend, requests(candidate, 1))[1].finish == "error"
    assert len(scripted_vllm.events("start")) == 2
    assert responses(backend, requests(candidate, 2))[2].finish == "stop"


def test_text_that_was_shown_is_not_shown_again(backend, scripted_vllm, candidate, monkeypatch):
    """The engine dies after the first word of an answer; the next one begins again."""
    pieces = []
    for piece in backend.stream(requests(candidate, 1), SHORT, NEVER):
        pieces.append(piece.text)
        if pieces == ["", "1"]:
            scripted_engine = next(iter(backend.resident._models.values()))
            os.killpg(scripted_engine.process.pid, signal.SIGKILL)
    assert "".join(pieces).startswith("1 on ")
    assert "".join(pieces).count("on") == 1


def test_candidates_on_one_base_share_an_engine_with_an_adapter_each(backend, scripted_vllm, candidate, base, tmp_path):
    scripted_vllm.set(adapters=["adapter2"])
    for name in ("good", "broken"):
        tiny_models.save_adapter(base, tmp_path / name)
    pool = [replace(candidate, name=name, adapter=str(tmp_path / name)) for name in ("good", "broken")]
    backend.expect([candidate, *pool])
    three = [*requests(candidate, 1), *requests(pool[0], 2), *requests(pool[1], 3)]
    answers = responses(backend, three)
    assert "adapter" not in answers[1].text
    assert answers[2].text.endswith("adapter1")
    assert answers[3].finish == "error"
    assert "no adapter_model.safetensors" in answers[3].error.reason
    (arguments,) = scripted_vllm.events("start")
    assert (arguments["max_lora_rank"], arguments["max_loras"]) == (8, 2)
    assert scripted_vllm.events("adapter") == [str(tmp_path / "good")]


def test_an_adapter_that_is_none_shows_when_the_candidate_is_loaded(backend, candidate, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(WorkError, match=r"a LoRA adapter for one at .*/empty, but found no rank"):
        backend.load(replace(candidate, adapter=str(tmp_path / "empty")))


def test_models_that_do_not_fit_together_take_turns(backend, scripted_vllm, candidate, base, tmp_path):
    tiny_models.save_language_model(tmp_path / "other", seed=1)
    budget = MemoryConfig(1.5 * SHARE * memory.total("cpu") / 1e9)
    first = replace(candidate, memory=budget)
    second = replace(first, name="two", model=str(tmp_path / "other"))
    backend.load(first)
    backend.load(second)  # is only checked
    assert len(scripted_vllm.events("start")) == 1
    notes: list[str] = []
    mixed = [*requests(first, 1), *requests(second, 2), *requests(first, 3)]
    answers = {r.seed: a.finish for r, a in iter_responses(backend.stream(mixed, SHORT, NEVER), notes.append)}
    assert answers == {1: "stop", 2: "stop", 3: "stop"}
    assert len(scripted_vllm.events("start")) == 2
    assert notes == ["Loading two with vLLM in place of base, which can take minutes."]


def test_a_model_without_room_is_refused_with_what_to_change(backend, candidate):
    with pytest.raises(WorkError, match=r"lower gpu_memory_utilization"):
        backend.load(replace(candidate, memory=MemoryConfig(0.001)))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("ValueError: Model architectures ['X'] are not supported", r"vLLM to load .*Model architectures \['X'\] are"),
        ("ValueError: No available memory for the cache blocks.", r"of memory for .*lower gpu_memory_utilization"),
    ],
)
def test_a_model_that_does_not_load_has_vllms_reason(backend, scripted_vllm, candidate, fault, message):
    scripted_vllm.set(fail=fault)
    with pytest.raises(WorkError, match=message):
        backend.load(candidate)
    answers = responses(backend, requests(candidate, 1, 2, 3))
    assert {answer.finish for answer in answers.values()} == {"error"}
    assert len(scripted_vllm.events("start")) <= 4  # not once for each request


def test_an_argument_that_vllm_does_not_have_is_its_own_message(backend, candidate):
    with pytest.raises(WorkError, match="unexpected keyword argument 'swap_space'"):  # of older versions
        backend.load(replace(candidate, vllm={**candidate.vllm, "swap_space": 1}))


def test_without_vllm_the_message_names_the_extra_and_the_variable(backend, candidate, monkeypatch):
    monkeypatch.delenv(engine.PYTHON)
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ZooterError, match=r"needs the package vllm.*zooter\[vllm\].*ZOOTER_VLLM_PYTHON"):
        backend.load(candidate)


def test_a_python_that_is_not_there_is_named(backend, candidate, monkeypatch, tmp_path):
    monkeypatch.setenv(engine.PYTHON, str(tmp_path / "none"))
    with pytest.raises(ZooterError, match=r"ZOOTER_VLLM_PYTHON.*tmp.*none"):
        backend.load(candidate)


def test_vllm_may_fork_while_its_process_waits_for_requests(backend, scripted_vllm, candidate):
    """A fork closes its standard input, which waits for ever if a thread of the process before it was reading there."""
    scripted_vllm.set(fork=True)
    stop = threading.Event()
    timer = threading.Timer(30, stop.set)
    timer.start()
    assert responses(backend, requests(candidate, 1), stop)[1].finish == "stop"
    timer.cancel()


def test_an_engine_ends_with_the_last_candidate_that_needs_it(backend, candidate):
    backend.load(candidate)
    backend.retain([candidate])
    assert len(backend.sizes()) == 1
    backend.retain([replace(candidate, context_tokens=32)])
    assert not backend.sizes()


def test_a_stop_ends_the_loading(backend, candidate):
    stop = threading.Event()
    stop.set()
    assert {a.finish for a in responses(backend, requests(candidate, 1, 2), stop).values()} == {"stopped"}
    with backend.engine(candidate, stop) as started:
        assert started is None
    assert not backend.sizes()


def test_a_request_that_is_sent_to_a_process_that_has_just_died_is_sent_again(
    backend, scripted_vllm, candidate, monkeypatch
):
    submit = engine.Engine.submit
    waits = {2: lambda process: not process._readers, 3: lambda process: not process.usable}

    def late(self: engine.Engine, prompt: list[int], params: dict, *more: object) -> int:
        """Send 2 when the process has answered the others, and 3 when it has died of 2."""
        ready = waits.pop(params["seed"], lambda process: True)
        deadline = time.monotonic() + 60
        while not ready(self) and time.monotonic() < deadline:
            time.sleep(0.01)
        return submit(self, prompt, params, *more)

    monkeypatch.setattr(engine.Engine, "submit", late)
    scripted_vllm.set(die=[2])
    candidate = replace(candidate, vllm={**candidate.vllm, "max_num_seqs": 1})
    answers = responses(backend, requests(candidate, 1, 5, 2, 3, 4))
    assert {seed: response.finish for seed, response in answers.items()} == {
        1: "stop", 5: "stop", 2: "refused", 3: "stop", 4: "stop",
    }  # fmt: skip
