"""Runs in which responses are missing: they go through with what there is, and later end as if nothing had lacked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from support import endpoint_fleet
from support.run_folders import finished_steps, records, same_result, small_batches
from zooter_core import pipeline
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Query
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.data.runs import Run
from zooter_core.data.scores import read_scores
from zooter_core.evaluation.figures import Report, load_report
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.labels import LabelConfig
from zooter_core.pipeline.collect import Collecting
from zooter_core.router.kinds import DistillConfig

pytestmark = pytest.mark.slow  # whole runs, most of them twice
SHORT = GenerationConfig(max_new_tokens=4, temperature=0.0)
QUERIES = [Query(f"q{n:02}", f"Tell me about {n} apples.") for n in range(20)]
LABELS = LabelConfig(holdout=0.4)


@pytest.fixture
def server(scripted):
    scripted.replies = {name: lambda query, name=name: f"{name}: {query}" * (1 + len(name)) for name in "abc"}
    return scripted


@pytest.fixture
def weak(server) -> Callable[[str, int], threading.Event]:
    """Makes a model break the connection for all but the first queries, until the event is set."""

    def breaks(name: str, after: int) -> threading.Event:
        recovery, answer = threading.Event(), server.replies[name]
        answered = {query.text for query in QUERIES[:after]}  # by text: several are under way at once

        def reply(query: str) -> str:
            if query not in answered and not recovery.is_set():
                raise ConnectionResetError
            return answer(query)

        server.replies[name] = reply
        return recovery

    return breaks


@pytest.fixture
def fleet(fleet_copy, server, monkeypatch) -> Path:
    small_batches(monkeypatch)
    return endpoint_fleet.save(fleet_copy, server.url, {"aa": "a", "b": "b", "c": "c"}, rest_seconds=0.02)


@pytest.fixture
def scored(monkeypatch) -> list[int]:
    """The numbers of queries that the reward model is asked for together."""
    sizes: list[int] = []
    real = Ensemble.score_responses

    def counted(self, queries, *more):
        sizes.append(len(queries))
        return real(self, queries, *more)

    monkeypatch.setattr(Ensemble, "score_responses", counted)
    return sizes


def run_all_steps(folder: Path, fleet: Path, kind: str = "zooter") -> Report:
    """What `zooter run --allow-missing` does."""
    ensemble = Ensemble(load_fleet(fleet))
    with Run(folder, create=True) as run:
        pipeline.start(run, ensemble, QUERIES)
        holes = bool(pipeline.collect(run, ensemble, SHORT, how=Collecting(allow_missing=True)))
        pipeline.score(run, ensemble)
        pipeline.tag(run, ensemble)
        pipeline.label(run, LABELS)
        training = DistillConfig(kind=kind, epochs=1)
        report = pipeline.distill_run(run, ensemble, ensemble.fleet.encoder, training)
        run.export_scores(folder / "scores.jsonl")
        assert holes == (not run.is_finished("distill"))
    return report


def test_a_run_with_holes_goes_through_and_ends_as_one_without(fleet, weak, scored, tmp_path):
    recovery = weak("a", 8)
    folder = tmp_path / "run"
    report = run_all_steps(folder, fleet)
    assert finished_steps(folder) == {"start", "tag"}
    assert report.candidates["all"].scored == {"aa": 8, "b": 20, "c": 20}
    assert load_report(folder / "report.json").candidates == report.candidates
    rewards = {record["id"]: record for record in records(folder, "rewards.jsonl")}
    assert {id for id, record in rewards.items() if record.get("missing") == ["aa"]} == {q.id for q in QUERIES[8:]}
    assert list(rewards["q09"]["rewards"]) == ["b", "c"]
    assert read_scores([folder / "scores.jsonl"]).missing == {"aa": 12}
    for record in records(folder, "labels.jsonl"):
        assert sum(record["plain"]) == pytest.approx(1)
        means = rewards[record["id"]]["rewards"]
        odds = record["plain"][1] / record["plain"][2]
        assert odds == pytest.approx(np.exp(means["b"] - means["c"]))  # the scored ones keep theirs

    assert sum(scored) == len(QUERIES)
    assert run_all_steps(folder, fleet).candidates == report.candidates  # nothing has changed
    assert sum(scored) == len(QUERIES)
    recovery.set()
    assert run_all_steps(folder, fleet).candidates["all"].scored is None
    assert sum(scored) == 2 * len(QUERIES)
    run_all_steps(tmp_path / "whole", fleet)
    assert same_result(folder, tmp_path / "whole")


def test_a_query_with_one_response_is_set_aside_until_it_has_another(fleet, weak, tmp_path):
    recoveries = weak("a", 16), weak("c", 16)
    folder = tmp_path / "run"
    report = run_all_steps(folder, fleet)
    assert report.set_aside == {query.id: "no response of aa, c" for query in QUERIES[16:]}
    assert len(records(folder, "labels.jsonl")) == 16
    for recovery in recoveries:
        recovery.set()
    assert run_all_steps(folder, fleet).set_aside == {}
    run_all_steps(tmp_path / "whole", fleet)
    assert same_result(folder, tmp_path / "whole")


def test_a_candidate_that_never_answers_keeps_its_place(fleet, weak, tmp_path):
    weak("a", 0)
    folder = tmp_path / "run"
    report = run_all_steps(folder, fleet, "bayes")
    assert report.candidates["all"].scored == {"aa": 0, "b": 20, "c": 20}
    assert report.held_back is not None
    assert report.held_back.pool == ["b", "c"]
    assert [record["plain"][0] for record in records(folder, "labels.jsonl")] == pytest.approx([1 / 3] * len(QUERIES))
    assert read_scores([folder / "scores.jsonl"]).candidates == ("b", "c")


def test_no_query_with_two_responses_is_one_message(fleet, weak, tmp_path):
    for name in "ac":
        weak(name, 0)
    with pytest.raises(ZooterError, match=r"no response of aa, c.*start the same command again"):
        run_all_steps(tmp_path / "run", fleet)
