"""A query that one candidate cannot take: its own query is set aside, the run goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import endpoint_fleet
from zooter_core import pipeline
from zooter_core.backends.recorded import read
from zooter_core.base.errors import WorkError
from zooter_core.base.records import Query
from zooter_core.cli.main import main
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.data.run_folder import RESPONSES, REWARDS
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline.lanes import ENOUGH

SHORT = GenerationConfig(max_new_tokens=4, temperature=0.0)
LONG = Query("long", "Why do you like the sea? " * 80)  # the tiny models hold 512 tokens
QUERIES = [*(Query(f"q{n}", f"What is {n} + {n}?") for n in range(8)), LONG]


def collected(run: Run, fleet: Path, queries: list[Query] = QUERIES) -> Ensemble:
    ensemble = Ensemble(load_fleet(fleet))
    pipeline.start(run, ensemble, queries)
    pipeline.collect(run, ensemble, SHORT)
    return ensemble


def test_a_query_that_is_too_long_is_set_aside_by_name_and_the_run_ends_well(tiny_fleet, tmp_path, capsys):
    (tmp_path / "queries.jsonl").write_text("".join(json.dumps({"id": q.id, "query": q.text}) + "\n" for q in QUERIES))
    call = ["run", "--fleet", str(tiny_fleet), "--queries", str(tmp_path / "queries.jsonl"), "--max-new-tokens", "4"]
    call += ["--out", str(tmp_path / "run"), "--router-set", "epochs=2"]
    assert main([*call, "--until", "collect"]) == 0
    message = " ".join(capsys.readouterr().err.split())
    assert "1 query is set aside, without responses: long: no response of base: " in message
    responses = [json.loads(line) for line in (tmp_path / "run" / RESPONSES).read_text().splitlines()]
    assert len(responses) == 27
    assert {(r["id"], r["finish"]) for r in responses if r["error"]} == {("long", "refused")}
    assert main(call) == 0
    message = " ".join(capsys.readouterr().err.split())
    assert "1 query is set aside, without rewards: long: no response of base: " in message
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["set_aside"]["long"].startswith("no response of base: Expected a prompt that fits into base")


@pytest.fixture
def server(scripted):
    scripted.replies = {"short": lambda query: "No."}
    return scripted


def test_an_endpoint_that_refuses_one_query_answers_the_others(fleet_copy, server, tmp_path):
    with Run(tmp_path / "run", create=True) as run:
        ensemble = collected(run, endpoint_fleet.save(fleet_copy, server.url, {"a": "narrow", "b": "short"}))
        assert list(run.refused()) == ["long"]
        assert "status 400, \"This model's maximum context length is" in run.refused()["long"]
        assert "Shorten the query" in run.refused()["long"]
        pipeline.score(run, ensemble)
        lines = {record["id"]: record for record in run.records(REWARDS)}
        assert set(lines["long"]) == {"id", "set_aside"}
        assert all(set(lines[query.id]["rewards"]) == {"a", "b"} for query in QUERIES[:-1])
    requests = len(server.bodies)
    with Run(tmp_path / "run") as run:  # it is not asked again
        run.state["seals"] = {"start": run.state["seals"]["start"]}
        pipeline.collect(run, ensemble, SHORT)
        assert len(server.bodies) == requests
    recording = read(tmp_path / "run")  # a refusal is no recorded response
    assert len(recording.of("a")) == len(recording.of("b")) - 1 == 8


def test_a_candidate_that_refuses_everything_ends_collect_and_can_be_fixed(fleet_copy, server, tmp_path):
    with Run(tmp_path / "run", create=True) as run:
        fleet = endpoint_fleet.save(fleet_copy, server.url, {"a": "short", "b": "http-400"})
        with pytest.raises(WorkError, match=r"(?s)a response of b.*none of 9; the first because: .*status 400"):
            collected(run, fleet)
        assert {record["candidate"] for record in run.records(RESPONSES)} == {"a"}
        server.replies["http-400"] = lambda query: "Fixed."
        collected(run, fleet)
        assert run.refused() == {}


def test_fewer_refusals_than_enough_do_not_count_as_a_broken_candidate(fleet_copy, server, tmp_path):
    fleet = endpoint_fleet.save(fleet_copy, server.url, {"a": "short", "b": "http-400"})
    with Run(tmp_path / "few", create=True) as run:
        collected(run, fleet, QUERIES[: ENOUGH - 1])
        assert len(run.refused()) == ENOUGH - 1
    with Run(tmp_path / "enough", create=True) as run, pytest.raises(WorkError, match="a response of b"):
        collected(run, fleet, QUERIES[:ENOUGH])
