from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path

import pytest

from support.scripted_learner import GOOD, classify_turn, turn
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Vote
from zooter_core.cli.main import main
from zooter_core.config.edit import change_candidate, set_table
from zooter_core.config.fleet import Fleet, LearnConfig, load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.learn import cycle
from zooter_core.learn.deciding import SamplingPlan
from zooter_core.learn.imports import import_traffic
from zooter_core.learn.report import report_on
from zooter_core.learn.traffic import Traffic
from zooter_core.ui.history import History

FLEET = Fleet("f", Path(), (), learn=LearnConfig(answers=True))
LITELLM = {
    "id": "chatcmpl-1", "call_type": "acompletion", "status": "success", "response_cost": 0.0021, "prompt_tokens": 7,
    "completion_tokens": 11, "startTime": 1_750_000_000.5, "endTime": 1_750_000_003.0,
    "completionStartTime": 1_750_000_001.0, "model": "gpt-x", "model_group": "large", "end_user": "ada",
    "messages": [{"role": "user", "content": "first"}, {"role": "assistant", "content": "x"},
                 {"role": "user", "content": [{"type": "text", "text": "second"}]}],
    "response": {"choices": [{"message": {"role": "assistant", "content": "an answer"}}]},
    "metadata": {"user_api_key_alias": "team"},
}  # fmt: skip
SPEND = {
    "request_id": "r-2", "call_type": "completion", "api_key": "hash", "spend": 0.5, "model": "gpt-x",
    "startTime": "2026-01-02T03:04:05Z", "endTime": "2026-01-02 03:04:07+00:00", "user": "bob",
    "messages": '[{"role": "user", "content": "from the table"}]', "response": "{}", "metadata": "{}",
}  # fmt: skip


def write(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture
def traffic(tmp_path):
    with Traffic.open(tmp_path / "data") as opened:
        yield opened


def test_logs_of_litellm(traffic, tmp_path, monkeypatch):
    monkeypatch.setattr("zooter_core.learn.traffic_rows.LONGEST_ANSWER", 4)
    files = [write(tmp_path / "a.jsonl", LITELLM, SPEND, {"call_type": "aembedding", "messages": None})]
    count, left_out = import_traffic(files, traffic, FLEET)
    assert (count, dict(left_out)) == (2, {"embeddings": 1})
    assert import_traffic(files, traffic, FLEET)[0] == 0  # a file that is imported twice is stored once
    first, second = traffic.decisions()
    assert (first.query, first.context, first.candidate) == ("second", "first\nsecond", "large")
    assert (first.key, first.user, first.dollars, first.tokens, first.answer) == ("team", "ada", 0.0021, 11, "an a")
    assert (first.seconds, first.first_token_seconds, first.time) == (2.5, 0.5, 1_750_000_003.0)
    assert (first.probability, first.source) == (None, "import")
    assert (second.query, second.seconds, second.key, second.user) == ("from the table", 2, "hash", "bob")


@pytest.mark.parametrize("moment", [None, -5, 1e300, "2999-01-01T00:00:00Z"])
def test_a_time_that_is_none_or_to_come_is_that_of_the_import(traffic, tmp_path, moment):
    before, record = time.time(), {"query": "q", "feedback": "good", "model": "m", "time": moment}
    import_traffic([write(tmp_path / "a.jsonl", record)], traffic, FLEET)
    (entry,), (reward,) = traffic.decisions(), traffic.rewards()
    assert before <= entry.time == reward.time <= time.time()


def test_each_id_of_the_user_of_a_record_is_found(traffic, tmp_path):
    plain = {"query": "q", "user": "ada", "safety_identifier": "s" * 300}
    import_traffic([write(tmp_path / "a.jsonl", LITELLM | {"user": "team-7"}, plain)], traffic, FLEET)
    assert [traffic.delete(user=user) for user in ("team-7", "s" * 300)] == [1, 1]


def test_plain_lines_with_feedback(traffic, tmp_path):
    question, liked = {"role": "user", "content": "q"}, {"role": "assistant", "model": "m", "annotation": {"rating": 1}}
    lines = [
        {"query": "one", "model": "m", "seconds": float("nan"), "feedback": "bad", "time": 1_750_000_000_000},
        {"messages": [question], "feedback": 0.5, "model": "m", "time": 1_750_000_000_000_000},
        {"query": "### Task:\nGenerate 1-3 broad tags categorizing the main themes"},
        {"query": "q1", "model": "m", "feedback": "great"},
        {"query": "q3", "model": "m", "feedback": "Thumbs_Up"},
        {"data": {"rating": -1, "model_id": "m"}, "snapshot": {"chat": {"messages": [question]}}},
        {"query": "q2", "feedback": "good"},
        {"chat": {"messages": [question, liked]}},
    ]
    new, left_out = import_traffic([write(tmp_path / "a.jsonl", *lines)], traffic, FLEET)
    assert (new, sum(left_out.values())) == (8, 2)  # feedback that cannot be stored is counted
    assert sorted(reward.reward for reward in traffic.rewards()) == [-1, -1, 0.5, 1, 1]
    entries = traffic.decisions()
    assert entries[0].time == entries[1].time == 1_750_000_000
    assert [place for place, entry in enumerate(entries) if entry.chore] == [2]


def test_queries_of_a_log_are_answered_by_every_model_and_make_a_router(place, tmp_path):
    """Of another model's log: what the router did is not known, so the report says nothing of it."""
    set_table(place.fleet, "learn", {"answers": True})
    change_candidate(place.fleet, "one", {"model": "server/one"})
    texts = [f"Add up {n} and 3 apples" if n % 2 else f"Tell me about the sea near town {n}" for n in range(120)]
    models = ["gpt-x"] * 118 + ["one", "server/one"]
    lines = [{"query": text, "model": name, "answer": "one"} for text, name in zip(texts, models, strict=True)]
    lines[-1] |= {"model_group": "smart", "model": "openai/server/one"}  # LiteLLM's names: an alias, and the provider's
    import_traffic([write(tmp_path / "a.jsonl", *lines)], place.traffic, load_fleet(place.fleet))
    result, _, ensemble = turn(place, sampling=SamplingPlan(1.0, 0.0))
    assert (result.judged, result.challenger) == (120, "routers/0001")
    assert len(ensemble.questions) == 3 * 118 + 2 * 2  # a model of the fleet has answered the last two
    ids = {decision.request_id: classify_turn(decision.query) for decision in place.traffic.decisions()}
    best = {(reward.request_id, reward.candidate) for reward in place.traffic.rewards() if reward.reward == 1}
    assert best == {(request_id, GOOD[kind]) for request_id, kind in ids.items()}
    report = report_on(place.traffic, "f", 0, time.time() + 3600)
    assert (report.sampled, report.changes) == (0, [])


def test_of_a_long_log_a_share_is_answered_and_of_a_short_one_every_query(place, tmp_path, monkeypatch):
    """While there is no challenger, nothing of a long log is routed."""
    monkeypatch.setattr(Ensemble, "router", None)
    monkeypatch.setattr(cycle, "REFIT_EVERY", 1000)
    answered = []
    for lines in (100, 700):
        log = write(
            tmp_path / f"{lines}.jsonl", *({"query": f"Tell me about {lines} seas near {n}"} for n in range(lines))
        )
        import_traffic([log], place.traffic, FLEET)
        result, _, ensemble = turn(place, sampling=SamplingPlan(0.05, 0.0))
        assert result.judged == lines
        answered.append(len(ensemble.questions) / 3)
    assert answered[0] == 100
    assert 120 <= answered[1] <= 230  # 200 of 800 in all
    import_traffic([write(tmp_path / "b.jsonl", {"query": "Tell me about rain"})], place.traffic, FLEET)
    assert turn(place, sampling=SamplingPlan(0.0, 0.0))[2].questions == []


def test_stars_are_no_feedback(traffic, tmp_path):
    """One star would be liked as much as five: a number above 0 is."""
    file = write(tmp_path / "a.jsonl", *({"query": f"q{n}", "model": "m", "feedback": n} for n in range(1, 6)))
    with pytest.raises(ZooterError, match=r"from -1 \(bad\) to 1 \(good\) in .*a.jsonl, line 2, but found 2\..*stars"):
        import_traffic([file], traffic, FLEET)
    assert traffic.decisions() == []


def test_conversations_of_the_demo(traffic, tmp_path):
    history = History(tmp_path / "history.db")
    tags = [{"name": "code", "score": 1}]
    decision = {"query": "first", "probabilities": {"a": 0.8, "b": 0.2}, "margin": 0.6, "tags": tags}
    record = {
        "query": "first", "decision": decision | {"candidate": "a"}, "settings": {"mode": "router"}, "candidate": "a",
        "text": "answer", "responses": {"a": {"tokens": 4, "seconds": 0.5}}, "vote": 1,
    }  # fmt: skip
    fixed = record | {
        "query": "shorter", "decision": record["decision"] | {"query": "first\nshorter"}, "candidate": "b",
        "settings": {"mode": "fixed"}, "vote": None,
    }  # fmt: skip
    history.keep("c", "title", "f", 0, record)
    history.keep("c", "title", "f", 1, fixed)
    assert import_traffic([tmp_path / "history.db"], traffic, FLEET)[0] == 2
    assert import_traffic([tmp_path / "history.db"], traffic, FLEET)[0] == 0
    first, second = traffic.decisions()
    assert (first.query, first.probability, first.tags, first.source) == ("first", 0.8, ["code"], "demo")
    assert (first.context, second.context) == (None, "first\nshorter")
    assert (second.query, second.probability, second.candidate) == ("shorter", None, "b")
    assert [reward.reward for reward in traffic.rewards()] == [1.0]
    (tmp_path / "other.db").write_bytes(b"SQLite format 3\0" + b"x" * 100)
    with pytest.raises(ZooterError, match=r"conversations of the demo"):
        import_traffic([tmp_path / "other.db"], traffic, FLEET)


def test_votes_of_compare_and_the_arena(traffic, tmp_path):
    history = History(tmp_path / "history.db")
    for name, outcome, best in (("1", "best", "b"), ("2", "tie", None), ("3", "none", None)):
        history.vote(name, "fleets/f", Vote("which?", ("a", "b"), outcome, best, None, True, "code", "", "a").to_json())
    history.vote("4", "fleets/f", {"kind": "something else"})
    assert import_traffic([tmp_path / "history.db"], traffic, FLEET)[0] == 3
    entries = traffic.decisions()
    assert [(entry.candidate, entry.fleet, entry.tags) for entry in entries] == [
        ("b", "f", ["code"]), ("a", "f", ["code"]), ("a", "f", ["code"])
    ]  # fmt: skip
    scores = {(reward.request_id, reward.candidate): reward.reward for reward in traffic.rewards()}
    assert [(scores[entry.request_id, "a"], scores[entry.request_id, "b"]) for entry in entries] == [
        (-1.0, 1.0), (0.0, 0.0), (-1.0, -1.0)
    ]  # fmt: skip


@pytest.fixture
def stored(tmp_path):
    """The folder of two requests, the first in the last minute of October by the clock of this machine."""
    times = {"a": datetime(2026, 10, 31, 23, 59), "b": datetime(2026, 11, 1)}
    lines = [{"id": name, "query": name, "user": name, "time": time.timestamp()} for name, time in times.items()]
    with Traffic.open(tmp_path / "data") as traffic:
        import_traffic([write(tmp_path / "a.jsonl", *lines)], traffic, FLEET)
    return tmp_path / "data"


@pytest.mark.parametrize("options", [["--user", "a"], ["--request", "a"], ["--before", "2026-11-01"]])
def test_what_is_named_is_forgotten(stored, capsys, options):
    assert main(["learn", "forget", *options, "--data", str(stored)]) == 0
    assert "traffic.sqlite: 1" in capsys.readouterr().err
    with Traffic.open(stored) as traffic:
        assert [entry.query for entry in traffic.decisions()] == ["b"]


def test_a_wrong_call_forgets_nothing(stored, tmp_path, capsys):
    for wrong in ("2026-13-01", "november", "7", "-1d"):
        assert main(["learn", "forget", f"--before={wrong}", "--data", str(stored)]) == 2
        assert "or a date such as 2026-11-01" in capsys.readouterr().err
    assert main(["learn", "forget", "--before", "2962-11-01", "--data", str(stored)]) == 2
    assert "a date in the past for --before" in capsys.readouterr().err
    assert main(["learn", "forget", "--data", str(stored)]) == 2
    assert "Name the requests to delete" in capsys.readouterr().err
    assert main(["learn", "forget", "--user", "x", "--data", str(tmp_path / "none")]) == 2
    with Traffic.open(stored) as traffic:
        assert len(traffic.decisions()) == 2
    assert main(["learn", "forget", "--before", "1d", "--data", str(stored)]) == 0
    with Traffic.open(stored) as traffic:
        assert traffic.decisions() == []
