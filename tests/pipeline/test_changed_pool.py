"""Runs whose fleet gains a candidate, loses one or gets it back: only what is new is asked.

Their end is that of a run that had this pool from the start.
"""

from __future__ import annotations

import shutil
import uuid
from collections import Counter
from pathlib import Path

import pytest

from support import endpoint_fleet, run_folders
from support.command_files import replace_text
from support.run_folders import records, refusal, same_result, small_batches
from support.scripted_models import NARROW
from support.scripted_server import Scripted
from zooter_core import pipeline
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.records import Query
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.labels import LabelConfig

pytestmark = pytest.mark.slow  # whole runs, most of them twice
KEY = {"answer": {"number": "4"}}  # of every third query
QUERIES = [Query(f"q{n:02}", f"What is {n} + {n}?", key=None if n % 3 else KEY) for n in range(20)]
MODELS = {"n": "narrow"}  # which takes no long query


class Lengths:
    """A reward model that goes by length, and counts what it is asked. What it has said is cached."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.version = uuid.uuid4().hex

    def score(self, pairs):
        self.counts.update(response[0] for _, response in pairs)
        return [len(response) / 10 for _, response in pairs]


@pytest.fixture
def server(scripted):
    scripted.replies = {
        name: lambda query, name=name: f"{name}: {query} = {len(query) % 7}" + "." * 3 * "abcd".index(name)
        for name in "abcd"
    }
    return scripted


@pytest.fixture
def rewards(monkeypatch) -> Lengths:
    model = Lengths()
    monkeypatch.setattr(Ensemble, "reward_model", model)
    return model


@pytest.fixture
def fleet_of(fleet_copy, server, monkeypatch):
    """Writes the fleet of some candidates."""
    small_batches(monkeypatch)
    return lambda names: endpoint_fleet.save(fleet_copy, server.url, {name: MODELS.get(name, name) for name in names})


def run_all_steps(folder: Path, fleet: Path, queries: list[Query] = QUERIES) -> None:
    """What `zooter run` does."""
    run_folders.run_all_steps(folder, Ensemble(load_fleet(fleet)), queries, label=LabelConfig(holdout=0.4))


def requests_of(server: Scripted) -> Counter[str]:
    return Counter(body["model"] for body in server.bodies)


def test_a_new_candidate_alone_is_asked_and_scored(fleet_of, server, rewards, tmp_path):
    folder = tmp_path / "run"
    run_all_steps(folder, fleet_of("ab"))
    before = (folder / "responses.jsonl").read_bytes()
    run_all_steps(folder, fleet_of("cab"))  # also not at the end
    assert requests_of(server) == rewards.counts == {"a": 20, "b": 20, "c": 20}
    assert (folder / "responses.jsonl").read_bytes().startswith(before)
    run_all_steps(tmp_path / "whole", fleet_of("cab"))
    assert same_result(folder, tmp_path / "whole")


def test_a_candidate_without_responses_may_become_another_model(fleet_of, server, rewards, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    monkeypatch.setitem(MODELS, "b", "http-404")
    with pytest.raises(WorkError, match="b at "):
        run_all_steps(folder, fleet_of("ab"))
    monkeypatch.delitem(MODELS, "b")
    run_all_steps(folder, fleet_of("ab"))
    assert len(records(folder, "responses.jsonl")) == 40
    monkeypatch.setitem(MODELS, "b", "c")
    with pytest.raises(ZooterError, match="came from another model"):
        run_all_steps(folder, fleet_of("ab"))


def test_a_candidate_that_left_is_ignored_and_comes_back_for_nothing(fleet_of, server, rewards, tmp_path):
    folder = tmp_path / "run"
    run_all_steps(folder, fleet_of("abc"))
    shutil.copytree(folder, tmp_path / "of three")
    server.bodies.clear()
    run_all_steps(folder, fleet_of("ac"))
    assert (len(server.bodies), rewards.counts["a"]) == (0, 20)
    assert list(records(folder, "rewards.jsonl")[0]["rewards"]) == ["a", "c"]
    run_all_steps(tmp_path / "of two", fleet_of("ac"))
    assert same_result(folder, tmp_path / "of two")
    server.bodies.clear()
    run_all_steps(folder, fleet_of("abc"))
    assert not server.bodies
    assert (folder / "responses.jsonl").read_bytes() == (tmp_path / "of three" / "responses.jsonl").read_bytes()
    assert same_result(folder, tmp_path / "of three")


def test_another_model_behind_a_name_is_refused_by_that_name(fleet_of, server, rewards, tmp_path):
    folder = tmp_path / "run"
    run_all_steps(folder, fleet_of("ab"))
    run_all_steps(folder, fleet_of("a"))
    fleet = fleet_of("abc")
    replace_text(fleet / "fleet.toml", 'model = "b"', 'model = "d"')
    before = (folder / "run.json").read_bytes()
    message = refusal(folder, lambda run: pipeline.collect(run, Ensemble(load_fleet(fleet)), GenerationConfig()))
    assert message.startswith(f"The responses of b in the run {folder} came from another")
    assert "another name in fleet.toml" in message
    assert (folder / "run.json").read_bytes() == before
    run_all_steps(folder, fleet_of("abc"))  # as the messages say
    run_all_steps(folder, fleet_of("bc"))
    assert requests_of(server) == {"a": 20, "b": 20, "c": 20}


def test_a_query_that_the_new_candidate_refuses_is_set_aside_while_it_is_there(fleet_of, server, rewards, tmp_path):
    queries = [*QUERIES, Query("long", "Why? " * NARROW)]
    for names in ("ab", "abn", "ab"):
        run_all_steps(tmp_path / "run", fleet_of(names), queries)
        with Run(tmp_path / "run") as run:
            assert list(run.set_aside()) == (["long"] if "n" in names else [])
    run_all_steps(tmp_path / "whole", fleet_of("ab"), queries)
    assert same_result(tmp_path / "run", tmp_path / "whole")


def test_a_stop_while_rewards_are_made_anew_loses_none(fleet_of, server, rewards, monkeypatch, tmp_path):
    run_all_steps(tmp_path / "run", fleet_of("ab"))
    real, calls = Ensemble.score_responses, []

    def stopped(self, queries, *more):
        calls.append(queries)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, queries, *more)

    monkeypatch.setattr(Ensemble, "score_responses", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_all_steps(tmp_path / "run", fleet_of("abc"))
    assert len(records(tmp_path / "run", "rewards.jsonl")) == 8
    run_all_steps(tmp_path / "run", fleet_of("abcd"))  # and one more comes meanwhile
    assert requests_of(server) == {"a": 20, "b": 20, "c": 20, "d": 20}
    assert rewards.counts == {"a": 20, "b": 20, "c": 20, "d": 20}
    run_all_steps(tmp_path / "whole", fleet_of("abcd"))
    assert same_result(tmp_path / "run", tmp_path / "whole")
