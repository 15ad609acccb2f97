"""The step collect: batches and seeds, candidates that fail, several samples."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from support.run_folders import POOL, records, texts
from zooter_core import pipeline
from zooter_core.backends import Backend, Piece
from zooter_core.base.errors import WorkError
from zooter_core.base.records import Response
from zooter_core.config.fleet import load_fleet
from zooter_core.data.runs import Run
from zooter_core.data.scores import read_scores
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline import batches

pytestmark = pytest.mark.usefixtures("small_batches")


def test_a_response_that_fails_ends_collect_and_what_came_is_kept(tmp_path, ensemble, queries, complete, monkeypatch):
    folder, counts = tmp_path / "run", []
    stream = Ensemble.run_candidate

    def failing(self, name, requests, stop, generation=None):
        if name == "two":
            yield from (Piece.failed(request, "out of memory") for request in requests)
        else:
            yield from stream(self, name, requests, stop, generation)

    with Run(folder, create=True) as run:
        pipeline.start(run, ensemble, queries)
        with monkeypatch.context() as patch:
            patch.setattr(Ensemble, "run_candidate", failing)
            with pytest.raises(WorkError, match=r"a response of two.*out of memory"):
                pipeline.collect(run, ensemble, ensemble.fleet.generation)
        assert Counter(record["candidate"] for record in run.records("responses.jsonl")) == {"base": 40, "one": 40}
        assert not run.is_finished("collect")
        pipeline.collect(run, ensemble, ensemble.fleet.generation, lambda step, done, of: counts.append(done))
    assert counts == list(range(81, 121))
    assert texts(folder) == texts(complete)


class Recorder(Backend):
    """A backend that answers with a word, and remembers what it was asked with which seed."""

    def __init__(self):
        self.batches = []

    def stream(self, requests, generation, stop):
        self.batches.append((generation.seed, {request.candidate.name for request in requests}, len(requests)))
        for request in requests:
            yield Piece(request, response=Response(request.candidate.name, "Yes"))


def test_every_batch_is_of_one_candidate_and_has_a_seed_of_its_own(tmp_path, tiny_fleet, queries):
    for seed in (0, 1):
        ensemble, recorder = Ensemble(load_fleet(tiny_fleet)), Recorder()
        ensemble.backends = {"transformers": recorder}
        with Run(tmp_path / str(seed), create=True) as run:
            pipeline.start(run, ensemble, queries)
            pipeline.collect(run, ensemble, replace(ensemble.fleet.generation, seed=seed))
        assert [(names, size) for _, names, size in recorder.batches] == [({n}, 4) for n in POOL for _ in range(10)]
        assert [used for used, _, _ in recorder.batches] == [seed * 1_000_003 + first for first in range(0, 120, 4)]


@pytest.mark.parametrize(("responses", "rows"), [(600, 64), (2_400, 150), (10_000, 512)])
def test_batches_are_large_but_not_so_few_that_workers_could_not_share_them(monkeypatch, responses, rows):
    monkeypatch.setattr(batches, "BATCH", 64)
    assert batches.batch_size(responses) == rows


def sampled(folder, ensemble, queries, samples, progress=pipeline.quiet) -> None:
    with Run(folder, create=True) as run:
        pipeline.start(run, ensemble, queries)
        pipeline.collect(run, ensemble, ensemble.fleet.generation, progress, samples)


def test_several_samples_are_collected_and_their_mean_reward_counts(tmp_path, ensemble, queries):
    sampled(tmp_path / "run", ensemble, queries[:6], 3)
    counts = Counter((r["id"], r["candidate"], r["sample"]) for r in records(tmp_path / "run", "responses.jsonl"))
    assert counts == Counter((q.id, name, sample) for q in queries[:6] for name in POOL for sample in range(3))
    with Run(tmp_path / "run") as run:
        pipeline.score(run, ensemble)
        responses, table, rewards = run.responses(), run.scores().scores, run.samples()[0]
        assert rewards.shape == (6, 3, 3)
        assert table == pytest.approx(rewards.mean(axis=2))
        alone = ensemble.reward_model.score([(queries[2].text, text) for text in responses[queries[2].id]["one"]])
        assert rewards[2, 1] == pytest.approx(alone, abs=1e-4)
        run.export_scores(tmp_path / "scores.jsonl")
    assert read_scores([tmp_path / "scores.jsonl"]).scores == pytest.approx(table)


def test_several_samples_resume_where_they_were_stopped(tmp_path, ensemble, queries):
    def stop(step, done, of):
        raise KeyboardInterrupt

    sampled(tmp_path / "whole", ensemble, queries[:6], 3)
    with pytest.raises(KeyboardInterrupt):
        sampled(tmp_path / "run", ensemble, queries[:6], 3, stop)
    before = records(tmp_path / "run", "responses.jsonl")
    assert 0 < len(before) < 54
    sampled(tmp_path / "run", ensemble, queries[:6], 3)
    one, other = (
        sorted((r["id"], r["candidate"], r["sample"], r["text"]) for r in records(tmp_path / name, "responses.jsonl"))
        for name in ("run", "whole")
    )
    assert one == other  # none comes twice
