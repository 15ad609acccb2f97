"""Collecting with models that vLLM runs, here a scripted one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import tiny_models
from zooter_core import pipeline
from zooter_core.base.records import Query
from zooter_core.config.fleet import load_fleet
from zooter_core.data.run_folder import RESPONSES
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline import batches, on_ray
from zooter_core.pipeline.lanes import CollectJob
from zooter_core.pipeline.on_ray import RayEngine
from zooter_core.pipeline.parts import collect_part, take_lines
from zooter_core.pipeline.tally import Tally

QUERIES = [Query(f"q{number:02}", f"What is {number} + {number}?") for number in range(12)]
SAMPLES, NAMES = 2, ("served", "large")
CANDIDATES = """
[[candidate]]
name = "served"
backend = "vllm"
model = "base"
dtype = "float32"
vllm = { gpu_memory_utilization = 0.01, tensor_parallel_size = 1 }

[[candidate]]
name = "large"
backend = "vllm"
model = "other"
dtype = "float32"
vllm = { gpu_memory_utilization = 0.01, tensor_parallel_size = 4 }
"""


@pytest.fixture
def ensemble(fleet_copy, scripted_vllm):
    tiny_models.save_language_model(fleet_copy / "other", seed=1)
    with (fleet_copy / "fleet.toml").open("a") as file:
        file.write(CANDIDATES)
    ensemble = Ensemble(load_fleet(fleet_copy))
    yield ensemble
    ensemble.backend_of("vllm").spare()


def collected(folder: Path, ensemble: Ensemble) -> dict[tuple, tuple]:
    """The responses of vLLM's candidates, whoever else there is."""
    with Run(folder, create=True) as run:
        pipeline.start(run, ensemble, QUERIES)
        pipeline.collect(run, ensemble, ensemble.fleet.generation, samples=SAMPLES)
    records = [json.loads(line) for line in (folder / RESPONSES).read_text().splitlines()]
    ours = [record for record in records if record["candidate"] in NAMES]
    answers = {(r["id"], r["candidate"], r["sample"]): (r["text"], r["tokens"], r["finish"]) for r in ours}
    assert len(answers) == len(ours) == 2 * SAMPLES * len(QUERIES)
    return answers


def test_every_response_is_there_with_a_seed_of_its_own(ensemble, tmp_path):
    answers = collected(tmp_path / "run", ensemble)
    assert {finish for _, _, finish in answers.values()} == {"stop"}
    seeds = {name: {answer[0].split()[0] for key, answer in answers.items() if key[1] == name} for name in NAMES}
    assert [len(seeds[name]) for name in NAMES] == [SAMPLES * len(QUERIES)] * 2


def test_a_query_that_ends_the_engine_costs_its_own_response_only(ensemble, scripted_vllm, tmp_path):
    expected = collected(tmp_path / "sound", ensemble)
    ensemble.backend_of("vllm").spare()
    key, seed = ("q05", "served", 0), 36 + 2 * 5  # the fourth of five candidates; the fifth has seeds from 48
    assert expected[key][0].startswith(f"{seed} ")
    scripted_vllm.set(die=[seed])
    answers = collected(tmp_path / "run", ensemble)
    assert {other: answer for other, answer in answers.items() if other != key} == {
        other: answer for other, answer in expected.items() if other != key
    }
    assert answers[key][2] == "refused"


def job_of(ensemble: Ensemble, queries: list[Query] = QUERIES) -> CollectJob:
    tallies = {name: Tally(name, len(queries)) for name in ensemble.fleet.pool}
    generation = ensemble.fleet.generation
    return CollectJob(ensemble, generation, SAMPLES, queries, None, set(), tallies)


def test_its_models_take_turns_here_and_have_workers_of_their_own_on_ray(ensemble, tmp_path):
    engine = RayEngine(ensemble, tmp_path, {})
    assert ensemble.independent("served")
    assert len(job_of(ensemble).lanes()) == 2  # those of transformers, and those of vLLM
    assert len(job_of(ensemble).lanes(engine)) == 3
    assert [engine.gpus_of(name) for name in ("base", "served", "large", "reward")] == [1, 1, 4, 1]


def test_parts_for_vllm_are_large_and_workers_collect_them(ensemble, tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "BATCH", 4 * SAMPLES)
    monkeypatch.setattr(on_ray, "PART_QUERIES", 4)
    expected = collected(tmp_path / "run", ensemble)
    engine, job = RayEngine(ensemble, tmp_path, {}), job_of(ensemble)
    assert {part.shard.count for part in engine.parts(job, "base")} == {3}
    assert [part.shard.count for part in engine.parts(job, "served")] == [1]
    monkeypatch.setattr(on_ray, "VLLM_QUERIES", 4)
    lines = {}
    for part in engine.parts(job, "served"):
        assert collect_part(ensemble, part, tmp_path, QUERIES, ensemble.fleet.generation, SAMPLES) is None
        for r in take_lines(tmp_path, part):
            lines[r["id"], r["candidate"], r["sample"]] = (r["text"], r["tokens"], r["finish"])
    assert lines == {key: answer for key, answer in expected.items() if key[1] == "served"}
