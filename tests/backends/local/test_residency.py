"""Candidates on bases that do not fit into memory together, and how much memory there is in a container."""

from __future__ import annotations

import math
import shutil
import threading
import weakref
from collections import Counter
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from support.patience import PATIENCE
from support.three_bases import NAMES, ONE, QUERIES, TWO, ask, pool, texts
from zooter_core.backends import Request, memory
from zooter_core.backends.local import model
from zooter_core.backends.local.checkpoint import Checkpoint, find_dtype
from zooter_core.backends.local.model import Base, _placement, measured
from zooter_core.backends.local.transformers import TransformersBackend
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.records import Message
from zooter_core.config.candidates import CandidateConfig, MemoryConfig
from zooter_core.config.fleet import GenerationConfig, load_fleet


@pytest.fixture
def loads(monkeypatch) -> Counter[str]:
    """How often each base is loaded."""
    counted: Counter[str] = Counter()
    load = model.load

    def counting(checkpoint, used):
        counted[Path(checkpoint.candidate.model).name] += 1
        return load(checkpoint, used)

    monkeypatch.setattr(model, "load", counting)
    return counted


def test_the_longest_unused_leaves(folders, loads):
    a, b, c = pool(folders, TWO).values()
    backend = TransformersBackend()
    for candidate, resident in ((a, ["a"]), (b, ["a", "b"]), (a, ["b", "a"]), (c, ["a", "c"]), (a, ["c", "a"])):
        assert ask(backend, [candidate])[0][0].error is None
        assert backend.resident.names() == resident
    assert loads == Counter(NAMES)


def test_candidates_that_do_not_fit_together_answer_in_turn_with_the_fewest_loads(folders, loads, alone):
    candidates = pool(folders, TWO)
    backend = TransformersBackend()
    ask(backend, [candidates["c"]])
    responses, notes = ask(backend, candidates.values(), QUERIES)  # c is there, and is not loaded again
    assert [response.text for response in responses] == [text for name in NAMES for text in alone[name]]
    assert loads == Counter(NAMES)
    assert notes == ["Loading b: its 151 kB do not fit into memory together with c, a."]
    ask(backend, candidates.values())
    assert loads == Counter(NAMES) + Counter(["c"])  # a and b are there, c is not


def test_loading_a_pool_that_does_not_fit_only_looks_through_the_rest(folders, loads, tmp_path):
    """A fault of one that is not loaded is told all the same."""
    candidates = pool(folders, TWO)
    backend = TransformersBackend()
    for candidate in candidates.values():
        backend.load(candidate)
    assert loads == Counter(["a", "b"])
    without = tmp_path / "without_a_tokenizer"
    shutil.copytree(folders["c"], without, ignore=shutil.ignore_patterns("tokenizer*"))
    with pytest.raises(WorkError, match="a tokenizer for"):
        backend.load(replace(candidates["c"], model=str(without)))


def test_one_that_cannot_fit_fails_alone_and_nothing_leaves_for_it(folders, loads, alone):
    candidates = pool(folders, TWO)
    small = replace(candidates["b"], name="small", memory=pool(folders, 0.5)["a"].memory)
    backend = TransformersBackend()
    (a, failed, c), _ = ask(backend, [candidates["a"], small, candidates["c"]])
    assert (a.text, c.text) == (alone["a"][0], alone["c"][0])
    assert failed.finish == "error"
    assert "Expected 151 kB of memory for" in str(failed.error)
    assert "but found 76 kB (the budget)." in str(failed.error)
    assert "budget_gb" in str(failed.error)
    assert loads == Counter(["a", "c"])


def test_without_a_budget_it_is_what_the_device_has_free(folders, monkeypatch, alone):
    a, b, _ = pool(folders).values()
    size = Checkpoint.of(a).bytes
    backend = TransformersBackend()
    monkeypatch.setattr(memory, "total", lambda device: 10 * size)  # the margin is half a model
    monkeypatch.setattr(memory, "free", lambda device: int(2.1 * size) - sum(backend.resident.used().values()))
    assert texts(backend, [a, b]) == [alone["a"][0], alone["b"][0]]
    assert backend.resident.names() == ["b"]
    monkeypatch.setattr(memory, "free", lambda device: size // 2)
    (failed,), _ = ask(TransformersBackend(), [a])
    assert "but found 76 kB (free on cpu with no other model)." in str(failed.error)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_size_is_measured_and_the_estimate_is_near_it(folders, dtype):
    candidate = CandidateConfig("a", "transformers", str(folders["a"]), dtype=dtype)
    checkpoint = Checkpoint.of(candidate)
    base = Base(checkpoint, {})
    weights = sum(weight.numel() * weight.element_size() for weight in base.model.parameters())
    buffers = sum(buffer.numel() * buffer.element_size() for buffer in base.model.buffers())
    assert base.sizes == measured(base.model) == {"cpu": weights + buffers}
    assert checkpoint.bytes == weights


@pytest.mark.parametrize(("fast", "gpus", "place", "expected"), [
    (False, 0, None, torch.float32),
    (True, 0, None, torch.bfloat16),
    (False, 1, None, torch.bfloat16),
    (False, 1, "cpu", torch.float32),
    (False, 1, "auto", torch.bfloat16),
])  # fmt: skip
def test_without_a_dtype_it_is_the_one_that_is_quick_there(monkeypatch, folders, fast, gpus, place, expected):
    monkeypatch.setattr("zooter_core.backends.local.checkpoint.fast_bfloat16", lambda: fast)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    entry = CandidateConfig("a", "transformers", str(folders["a"]), device_map=place)
    assert find_dtype(entry) == expected
    assert Checkpoint.of(entry).bytes == Checkpoint.of(replace(entry, dtype=str(expected).split(".")[1])).bytes
    assert find_dtype(replace(entry, dtype="float16")) == torch.float16


def test_where_a_candidate_lies_on_two_gpus(monkeypatch):
    """What spreads takes the room of each GPU, and then that of the processor."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    expected = {None: ("cuda:0",), "cuda": ("cuda:0",), "cuda:1": ("cuda:1",), "cpu": ("cpu",)}
    assert {name: memory.devices(name) for name in expected} == expected
    assert {memory.devices(name) for name in memory.SPREAD} == {("cuda:0", "cuda:1")}
    with pytest.raises(ZooterError, match=r'"cuda:2".*There are 2 GPUs'):
        memory.devices("cuda:2")
    monkeypatch.setattr(memory, "total", lambda device: 100)
    monkeypatch.setattr(memory, "free", lambda device: {"cuda:0": 50, "cuda:1": 95, "cpu": 85}[device])
    spread = CandidateConfig("a", "transformers", "a", device_map="auto", memory=MemoryConfig(70e-9))
    assert _placement(spread, {"cuda:0": 40})["max_memory"] == {0: 30, 1: 70, "cpu": 80}
    assert _placement(replace(spread, device_map="cuda:1"), {}) == {"device_map": {"": "cuda:1"}}
    assert _placement(replace(spread, device_map=None), {}) == {"device_map": {"": "cuda:0"}}
    assert _placement(replace(spread, device_map="cpu"), {}) == {}


def test_adapters_count_and_share_their_base(tiny_fleet, loads):
    candidates = load_fleet(tiny_fleet).candidates
    backend = TransformersBackend()
    ask(backend, candidates[:1])
    before = backend.resident.used()["cpu"]
    ask(backend, candidates)
    adapters = [tiny_fleet / "adapters" / name / "adapter_model.safetensors" for name in ("one", "two")]
    on_disk = sum(file.stat().st_size for file in adapters)
    assert 0.7 * on_disk < backend.resident.used()["cpu"] - before < on_disk
    assert loads == Counter(["base"])


@pytest.mark.parametrize("adapters", [0, 2])
def test_a_model_that_left_is_gone(folders, tiny_fleet, adapters):
    a, b, _ = pool(folders, ONE).values()
    backend = TransformersBackend()
    adapted = [replace(candidate, memory=b.memory) for candidate in load_fleet(tiny_fleet).candidates]
    ask(backend, adapted if adapters else [a])
    (base,) = (resident.model for resident in backend.resident._residents.values())
    watched = [weakref.ref(base), weakref.ref(base.model), *map(weakref.ref, base.model.parameters())]
    assert len(base.adapters) == adapters
    del base
    ask(backend, [b])
    assert [ref() for ref in watched] == [None] * len(watched)


def test_a_model_in_use_never_leaves(folders, alone):
    """b has to wait until a has ended, though a reader takes its time; c comes behind b."""
    a, b, c = pool(folders, ONE).values()
    backend = TransformersBackend()
    long = GenerationConfig(max_new_tokens=100, temperature=0.0)
    pieces = backend.stream([Request(a, (Message("user", QUERIES[0]),))], long, threading.Event())
    next(pieces)
    answers: dict[str, str] = {}
    threads = [threading.Thread(target=lambda x=x: answers.update({x.name: texts(backend, [x])[0]})) for x in (b, c)]
    for thread in threads:
        thread.start()
    (response,) = [piece.response for piece in pieces if piece.response is not None]
    assert (response.finish, response.tokens) == ("length", 100)
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == {"b": alone["b"][0], "c": alone["c"][0]}


def test_who_waits_for_room_can_stop(folders):
    a, b, _ = pool(folders, ONE).values()
    backend = TransformersBackend()
    stop = threading.Event()
    ended: list[str] = []
    thread = threading.Thread(target=lambda: ended.append(ask(backend, [b], stop=stop)[0][0].finish))
    with backend.resident.use(replace(backend._loader(a), key=("in use",)), threading.Event()) as base:
        assert base is not None
        thread.start()
        assert not ended
        stop.set()
        thread.join(PATIENCE)
    assert ended == ["stopped"]
    assert texts(backend, [b])


def write(root: Path, names: tuple[str, str, str], limit: str, cached: str) -> None:
    (root / names[0]).parent.mkdir(exist_ok=True)
    for name, text in zip(names, (limit, "300", f"anon 100\n{cached} 50\n"), strict=True):
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("version", "cached"), [(0, "inactive_file"), (1, "inactive_file 7\ntotal_inactive_file")], ids=["2", "1"]
)
def test_a_container_has_what_is_left_of_its_limit(tmp_path, monkeypatch, version, cached):
    """1,000 bytes, of which 300 are in use, and 50 of these are cached files."""
    write(tmp_path, memory.LIMITS[version], "1000\n", cached)
    assert memory.measure_container(tmp_path) == (1000, 750)
    monkeypatch.setattr(memory, "measure_container", lambda: (1000.0, 750.0))
    assert (memory.total("cpu"), memory.free("cpu")) == (1000, 750)
    assert memory.room("cpu", {}, None) == 700  # without the margin, which is a share of the limit


def test_without_a_limit_the_machine_counts(tmp_path):
    write(tmp_path, memory.LIMITS[0], "max", "inactive_file")
    assert memory.measure_container(tmp_path) == (math.inf, math.inf)
    assert memory.measure_container(tmp_path / "none") == (math.inf, math.inf)
    assert memory.total("cpu") == psutil.virtual_memory().total
