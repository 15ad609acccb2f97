"""Runs whose fleet gains a candidate, loses one or gets it back: only what is new is asked.

Their end is that of a run that had this pool from the start.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections import Counter
from pathlib import Path

import pytest

from support import endpoint_fleet
from support.command_files import replace_text, write_lines
from support.run_folders import records, refusal, small_batches
from support.scripted_answers import LONGEST
from support.scripted_models import NARROW
from support.scripted_server import Scripted, serving
from zooter_core import pipeline
from zooter_core.base.records import Query
from zooter_core.cli.main import main
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.labels import LabelConfig
from zooter_core.router.kinds import DistillConfig

pytestmark = pytest.mark.slow  # whole runs, most of them twice
ROOT = Path(__file__).resolve().parents[2]
SHORT = GenerationConfig(max_new_tokens=4, temperature=0.0)
KEY = {"answer": {"number": "4"}}  # of every third query
QUERIES = [Query(f"q{n:02}", f"What is {n} + {n}?", key=None if n % 3 else KEY) for n in range(20)]
MODELS = {"n": "narrow"}  # which takes no long query
SAME = (
    "rewards.jsonl",
    "labels.jsonl",
    "tags.jsonl",
    "report.json",
    "router/model.safetensors",
    "router/neighbours.json",
)


class Lengths:
    """A reward model that goes by length, and counts what it is asked. What it has said is cached."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.version = uuid.uuid4().hex

    def score(self, pairs):
        self.counts.update(response[0] for _, response in pairs)
        return [len(response) / 10 for _, response in pairs]


class Rivals(Lengths):
    def compare(self, triples):
        self.counts.update(first[0] for _, first, _ in triples)
        return [(len(first) - len(second)) / 10 for _, first, second in triples]

    score = None  # type: ignore[assignment]


@pytest.fixture
def server():
    with serving() as scripted:
        scripted.replies = {
            name: lambda query, name=name: f"{name}: {query} = {len(query) % 7}" + "." * 3 * "abcd".index(name)
            for name in "abcd"
        }
        yield scripted


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
    ensemble = Ensemble(load_fleet(fleet))
    with Run(folder, create=True) as run:
        pipeline.start(run, ensemble, queries)
        pipeline.collect(run, ensemble, SHORT)
        pipeline.score(run, ensemble)
        pipeline.tag(run, ensemble)
        pipeline.label(run, LabelConfig(holdout=0.4))
        pipeline.distill_run(run, ensemble, ensemble.fleet.encoder, DistillConfig(epochs=1))


def requests_of(server: Scripted) -> Counter[str]:
    return Counter(body["model"] for body in server.bodies)


def same_end(folder: Path, other: Path) -> bool:
    for name in SAME:
        if name != "report.json":
            assert (folder / name).read_bytes() == (other / name).read_bytes(), name
    figures = [json.loads((place / "report.json").read_text()) for place in (folder, other)]
    assert figures[0]["candidates"] == figures[1]["candidates"]
    seals = [set(json.loads((place / "run.json").read_text())["seals"]) for place in (folder, other)]
    return seals[0] == seals[1]


def as_of_version_0_2(folder: Path, fleet: Path) -> None:
    """A run.json with one hash over the pool, and a step score that does not say for which pool it is."""
    state = json.loads((folder / "run.json").read_text())
    state["steps"]["collect"]["candidates_sha256"] = load_fleet(fleet).hash_of("candidates")
    del state["steps"]["score"]["pool"]
    (folder / "run.json").write_text(json.dumps(state))


@pytest.mark.parametrize("old", [False, True])
def test_a_new_candidate_alone_is_asked_and_scored(fleet_of, server, rewards, tmp_path, old):
    run_all_steps(tmp_path / "run", fleet_of("ab"))
    before = (tmp_path / "run" / "responses.jsonl").read_bytes()
    if old:
        as_of_version_0_2(tmp_path / "run", fleet_of("ab"))
    assert rewards.counts == {"a": 20, "b": 20}
    run_all_steps(tmp_path / "run", fleet_of("cab"))  # also not at the end
    assert requests_of(server) == {"a": 20, "b": 20, "c": 20}
    assert rewards.counts == {"a": 20, "b": 20, "c": 20}
    assert (tmp_path / "run" / "responses.jsonl").read_bytes().startswith(before)
    run_all_steps(tmp_path / "whole", fleet_of("cab"))
    assert same_end(tmp_path / "run", tmp_path / "whole")
    run_all_steps(tmp_path / "run", fleet_of("cab"))  # nothing more to do
    assert requests_of(server) == {"a": 40, "b": 40, "c": 40}


def test_a_candidate_that_left_is_ignored_and_comes_back_for_nothing(fleet_of, server, rewards, tmp_path):
    folder = tmp_path / "run"
    run_all_steps(folder, fleet_of("abc"))
    before, first = (folder / "responses.jsonl").read_bytes(), dict(requests_of(server))
    run_all_steps(folder, fleet_of("ac"))
    assert (dict(requests_of(server)), rewards.counts["a"]) == (first, 20)
    assert list(records(folder, "rewards.jsonl")[0]["rewards"]) == ["a", "c"]
    of_two = tmp_path / "of two"
    run_all_steps(of_two, fleet_of("ac"))
    assert same_end(folder, of_two)
    server.bodies.clear()
    run_all_steps(folder, fleet_of("abc"))
    assert not server.bodies
    assert (folder / "responses.jsonl").read_bytes() == before
    run_all_steps(tmp_path / "of three", fleet_of("abc"))
    assert same_end(folder, tmp_path / "of three")


def test_a_model_that_compares_judges_every_pair_of_the_new_pool(fleet_of, monkeypatch, tmp_path):
    model = Rivals()
    monkeypatch.setattr(Ensemble, "reward_model", model)
    run_all_steps(tmp_path / "run", fleet_of("ab"))
    run_all_steps(tmp_path / "run", fleet_of("abc"))
    run_all_steps(tmp_path / "whole", fleet_of("abc"))
    assert same_end(tmp_path / "run", tmp_path / "whole")
    assert model.counts["a"] == 20 * (1 + 1), "each pair is compared once"


def test_another_model_behind_a_name_is_refused_by_that_name(fleet_of, server, rewards, tmp_path):
    run_all_steps(tmp_path / "run", fleet_of("ab"))
    run_all_steps(tmp_path / "run", fleet_of("a"))
    fleet = fleet_of("abc")
    replace_text(fleet / "fleet.toml", 'model = "b"', 'model = "d"')
    before = (tmp_path / "run" / "run.json").read_bytes()
    ensemble = Ensemble(load_fleet(fleet))
    message = refusal(tmp_path / "run", lambda run: pipeline.collect(run, ensemble, SHORT))
    assert message.startswith(f"The responses of b in the run {tmp_path / 'run'} came from another model")
    assert "another name in fleet.toml" in message
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    assert requests_of(server) == {"a": 20, "b": 20}


@pytest.mark.parametrize("change", ["gone", "another model"])
def test_a_run_of_version_0_2_whose_candidates_cannot_be_compared_says_so(fleet_of, server, rewards, tmp_path, change):
    run_all_steps(tmp_path / "run", fleet_of("ab"))
    as_of_version_0_2(tmp_path / "run", fleet_of("ab"))
    fleet = fleet_of("bc" if change == "gone" else "abc")
    if change != "gone":
        replace_text(fleet / "fleet.toml", 'model = "b"', 'model = "d"')
    ensemble = Ensemble(load_fleet(fleet))
    message = refusal(tmp_path / "run", lambda run: pipeline.collect(run, ensemble, SHORT))
    wanted = "Add a again for the next `zooter run`" if change == "gone" else "The responses of one of a, b"
    assert wanted in message
    if change == "gone":  # as the message says
        run_all_steps(tmp_path / "run", fleet_of("abc"))
        run_all_steps(tmp_path / "run", fleet_of("bc"))
        assert requests_of(server) == {"a": 20, "b": 20, "c": 20}


def test_a_query_that_the_new_candidate_refuses_is_set_aside_while_it_is_there(fleet_of, server, rewards, tmp_path):
    queries = [*QUERIES, Query("long", "Why? " * NARROW)]
    for names in ("ab", "abn", "ab"):
        run_all_steps(tmp_path / "run", fleet_of(names), queries)
        with Run(tmp_path / "run") as run:
            assert list(run.set_aside()) == (["long"] if "n" in names else [])
    run_all_steps(tmp_path / "whole", fleet_of("ab"), queries)
    assert same_end(tmp_path / "run", tmp_path / "whole")


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
    assert same_end(tmp_path / "run", tmp_path / "whole")


def test_a_kill_while_the_new_candidate_answers_asks_nothing_twice(fleet_copy, server, tmp_path):
    """As users call it: `zooter run`, in a process that is killed after half of the new answers."""
    lines = write_lines(tmp_path / "queries.jsonl", [{"id": query.id, "query": query.text} for query in QUERIES])
    fleet = endpoint_fleet.save(fleet_copy, server.url, {"a": "a", "b": "b"}, parallel=1)
    half, killed = threading.Event(), threading.Event()
    call = ["run", "--fleet", fleet, "--queries", lines, "--out", tmp_path / "run", "--router-set", "epochs=1"]
    call = [*map(str, call), "--router-kind", "zooter"]
    assert main(call) == 0
    answer, log = server.replies["c"], []

    def answered(query: str) -> str:
        if len(log) >= 10 and not killed.is_set():
            half.set()
            assert killed.wait(LONGEST)
        log.append(query)
        return answer(query)

    server.replies["c"] = answered
    endpoint_fleet.save(fleet_copy, server.url, {name: name for name in "abc"}, parallel=1)
    paths = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-m", "zooter_core.cli", *call], env=paths, stderr=subprocess.PIPE) as child:
        assert half.wait(LONGEST)
        child.send_signal(signal.SIGKILL)
    killed.set()
    stored = [record["id"] for record in records(tmp_path / "run", "responses.jsonl") if record["candidate"] == "c"]
    assert len(stored) >= 9
    sent = len(server.bodies)
    assert main(call) == 0
    again = Counter((body["model"], body["messages"][-1]["content"]) for body in server.bodies[sent:])
    texts = {query.id: query.text for query in QUERIES}
    assert set(again) == {("c", texts[id]) for id in texts if id not in stored}
    assert len(records(tmp_path / "run", "responses.jsonl")) == 60
    assert main([word.replace(str(tmp_path / "run"), str(tmp_path / "whole")) for word in call]) == 0
    assert same_end(tmp_path / "run", tmp_path / "whole")
