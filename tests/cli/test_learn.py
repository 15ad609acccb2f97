"""`zooter learn` as a user meets it: a turn, what it says, and the switches by hand."""

from __future__ import annotations

import json
import os
import signal

import pytest

from support.scripted_server import serving
from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.config.edit import add_candidates, change_candidate, set_table
from zooter_core.config.fleet import load_fleet
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import LoggedDecision
from zooter_core.learn.versions import Versions


@pytest.fixture
def replies():
    """What the two models answer."""
    return {"one": lambda query: "It depends.", "two": lambda query: f"About {query[:20]}: 42."}


@pytest.fixture
def folder(tmp_path, monkeypatch, tiny_fleet, replies):
    """A fleet of two scripted servers with the tiny router's encoder and reward model, and 150 decisions."""
    with serving() as server:
        server.replies = replies
        keys = {"backend": "openai", "base_url": server.url}
        mine = tmp_path / "mine"
        candidates = [keys | {"name": name, "model": name, "routed_as": name} for name in server.replies]
        add_candidates(mine, candidates)
        set_table(mine, "router", {"path": str(tiny_fleet / "router")})
        set_table(mine, "reward", {"kind": "scalar", "model": str(tiny_fleet / "reward"), "max_tokens": 128})
        with Traffic.open(tmp_path / "data") as traffic:
            traffic.add(
                LoggedDecision(
                    f"r{n}", 1000.0 + n, f"What is {n} + 3?", choice="one", candidate="one", probability=0.5,
                    answer="It depends.",
                )
                for n in range(150)
            )  # fmt: skip
        yield mine


@pytest.fixture
def learn(zooter, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("os.nice", lambda increment: 0)
    return lambda *arguments: zooter("learn", *arguments, "--data", tmp_path / "data", fleet=folder)


def test_a_turn_and_the_switches_by_hand(learn, folder):
    code, out, err = learn("--once", "--share", "0.1")
    assert code == 0, err
    assert "150 decisions judged" in out
    assert "New challenger: routers/0001." in out
    before = (folder / "fleet.toml").read_text()
    versions = Versions(load_fleet(folder))
    versions.state.pairs = [-0.5]
    versions.save()
    code, out, _ = learn("status")
    assert code == 0
    assert "Challenger: routers/0001, 1 pair, 0.500 less reward on average." in out
    code, _, err = learn("promote")
    assert code == 0
    assert "names routers/0001 now: 1 pair, 0.500 less reward on the latest ones." in err
    assert load_fleet(folder).router.path == str(folder / "routers" / "0001")
    code, _, err = learn("rollback")
    assert code == 0
    assert "`zooter learn pause`" in err
    assert (folder / "fleet.toml").read_text() == before
    figures = json.loads(learn("status", "--json")[1])
    assert [event["event"] for event in figures["events"]] == ["promote", "rollback"]
    (folder / "other").symlink_to(load_fleet(folder).router.path)
    set_table(folder, "router", {"path": "other"})
    assert "router -> other" in next(
        line for line in learn("status")[1].splitlines() if "changed in fleet.toml" in line
    )


def test_a_pause_holds_until_resume(learn):
    assert learn("pause")[0] == 0
    _, out, err = learn("--once", "--json")
    assert json.loads(out)["judged"] == 0
    assert "until `zooter learn resume`" in err
    assert "Learning is paused." in learn("status")[1]
    assert learn("resume")[0] == 0
    assert json.loads(learn("--once", "--json")[1])["judged"] > 0


def test_a_wrong_call_is_one_message(refused, learn, folder, tmp_path):
    assert "nowhere" in refused(2, "learn", "status", fleet=tmp_path / "nowhere")
    assert "less than or equal to 1" in refused(2, "learn", "--once", "--share", "2", fleet=folder)
    assert "`zooter learn --once` first" in refused(2, "learn", "promote", fleet=folder)
    assert "`zooter learn status` lists them" in refused(2, "learn", "rollback", fleet=folder)
    assert "embedded" in refused(2, "learn", "--once", fleet=EMBEDDED_FLEET)
    assert "give its --data" in refused(2, "learn", "--once", "--data", tmp_path / "none", fleet=folder)
    assert "no --once with `zooter learn pause`" in refused(2, "learn", "pause", "--once", fleet=folder)


def test_a_turn_that_is_terminated_says_so(learn, replies):
    def reply(query: str) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        return "42"

    before = signal.getsignal(signal.SIGTERM)
    replies["two"] = reply
    try:
        code, out, err = learn("--once", "--share", "0.1")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert code == 0, err
    assert "Stopped before the turn was complete" in out
    assert "within --budget-usd" not in out


def test_a_reward_model_that_fails_is_named(learn, folder):
    judge = load_fleet(folder).candidates[0].endpoint  # whose answers have no verdict
    table = {"backend": "openai", "base_url": judge.base_url, "model": "one"}
    former = {"model": None, "max_tokens": None}
    set_table(folder, "reward", {**former, "kind": "judge", "mode": "single", "judge": table})
    code, out, err = learn("--once", "--share", "0.1")
    assert code == 0, err
    assert "The reward model failed on 150 queries (no verdict in the judge's text" in out


def test_a_turn_says_how_far_it_has_come_and_what_ended_it(learn, folder, monkeypatch):
    monkeypatch.setattr("zooter_core.cli.bars.EVERY", 0)
    change_candidate(folder, "two", {"usd_per_million_tokens": 1e6})
    code, out, err = learn("--once", "--share", "1", "--budget-usd", "300")
    assert code == 0, err
    assert "16 decisions judged, 16 answers asked for ..." in err
    assert "answers, within --budget-usd" in out


def test_without_a_budget_the_kept_answers_alone_are_judged(learn):
    result = json.loads(learn("--once", "--json", "--budget-usd", "0")[1])
    assert (result["judged"], result["calls"], result["waiting"]) == (150, 0, False)
    assert json.loads(learn("pause", "--json")[1])["paused"]


def test_a_learner_that_is_followed_leaves_nothing_to_promote(refused, learn, folder):
    versions = Versions(load_fleet(folder))
    versions.state.follows = True
    versions.save()
    assert "serves already" in refused(2, "learn", "promote", fleet=folder)
    assert "later routers serve too" in learn("status")[1]


def test_two_learners_do_not_work_on_one_fleet(refused, folder, tmp_path):
    from zooter_core.base.files import locked

    (folder / "routers").mkdir()
    with locked(folder / "routers" / "learn.lock", "the test"):
        message = refused(2, "learn", "--once", "--data", tmp_path / "data", fleet=folder)
    assert "another process" in message
