from __future__ import annotations

import random
import sqlite3
import stat
import threading
from contextlib import closing

import pytest

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.cli.main import main
from zooter_core.config.fleet import Fleet
from zooter_core.learn.traffic import FILE, HOUR, USEFUL, Traffic, data_folder
from zooter_core.learn.traffic_rows import FEEDBACK, SAMPLE, LoggedDecision, LoggedReward


@pytest.fixture
def traffic(tmp_path):
    with Traffic.open(tmp_path / "data") as opened:
        yield opened


def decision(number: int, **values) -> LoggedDecision:
    fields = {
        "candidate": "small",
        "choice": "small",
        "probability": 0.7,
        "probabilities": {"small": 0.7, "large": 0.3},
        "tags": ["code"],
        "dollars": 0.5,
        "tokens": 10,
    }
    fields |= {"request_id": f"req-{number}", "time": 1000.0 * number, "query": f"query {number}"}
    return LoggedDecision(**fields | values)


def test_a_decision_comes_back_as_it_was(traffic):
    entry = decision(1, key="anna", user="u1", context="earlier", finish="stop", answer="☕", chore=True)
    assert traffic.add([entry]) == 1
    (read,) = traffic.decisions()
    entry.number = 1
    assert read == entry
    assert traffic.decision("req-1") == entry
    assert traffic.decision("req-2") is None
    assert traffic.add([entry, decision(2)]) == 1  # a request is added once


def test_its_files_are_private_and_a_folder_without_any_says_how_to_begin(traffic, tmp_path):
    traffic.add([decision(1)])
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in traffic.path.parent.iterdir()}
    assert FILE in modes
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(traffic.path.parent.stat().st_mode) == 0o700
    with pytest.raises(ZooterError, match="zooter serve --learn"):
        Traffic.open(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()
    (tmp_path / FILE).write_bytes(b"something else" * 1000)
    with pytest.raises(WorkError, match="not a database"):
        Traffic.open(tmp_path)


def test_chores_and_what_has_neither_router_nor_reward_teach_nothing(traffic):
    traffic.add([decision(1), decision(2, chore=True), *(decision(number, probability=None) for number in (3, 4))])
    traffic.add_rewards([LoggedReward("req-4", "small", 1.0)])
    assert [entry.request_id for entry in traffic.newest(20, USEFUL)] == ["req-4", "req-1"]
    assert len(traffic.newest()) == 4


def test_more_than_a_page_is_read_in_the_order_in_which_it_was_added(traffic):
    numbers = [3, 1, *range(4, 1502)]  # the clock was set back
    traffic.add(decision(number) for number in numbers)
    rewarded = [f"req-{number}" for number in numbers[:600]]
    traffic.add_rewards(LoggedReward(name, candidate, 1) for name in rewarded for candidate in "ab")
    assert [entry.request_id for entry in traffic.decisions()] == [f"req-{number}" for number in numbers]
    assert [entry.number for entry in traffic.decisions()] == list(range(1, 1501))
    assert [entry.request_id for entry in traffic.decisions(after=1, limit=2)] == ["req-1", "req-4"]
    assert [entry.request_id for entry in traffic.newest(1)] == ["req-1501"]
    assert len({(reward.request_id, reward.candidate) for reward in traffic.rewards()}) == 1200
    assert len(traffic.rewards_for(rewarded[:550])) == 1100


def test_a_reward_replaces_the_one_of_the_same_source(traffic):
    traffic.add([decision(1)])
    traffic.add_rewards([LoggedReward("req-1", "small", 1, FEEDBACK, time=5), LoggedReward("req-1", "small", 3)])
    traffic.add_rewards([LoggedReward("req-1", "small", -1, FEEDBACK, time=HOUR)])
    assert [(reward.source, reward.reward) for reward in traffic.rewards()] == [("feedback", -1), ("reward model", 3)]
    totals = [(hour, source, n, total) for hour, _, source, _, n, total, _ in traffic.reward_totals()]
    assert totals == [(0, "reward model", 1, 3), (1, "feedback", 1, -1)]
    traffic.add_rewards([LoggedReward("req-1", "large", 1, why=SAMPLE, inclusion=0.05)])
    assert [reward.inclusion for reward in traffic.rewards(why=SAMPLE)] == [0.05]
    traffic.add_rewards([LoggedReward("req-9", "small", 1)])  # its request has been deleted
    assert len(traffic.rewards()) == 3


@pytest.mark.parametrize(("since", "until"), [(0, 10**6), (500, 3500), (3600, 7200), (3700, 3800), (5000, 40_000)])
def test_totals_are_the_sums_of_a_period(traffic, since, until):
    entries = [decision(number, time=617.0 * number) for number in range(100)]
    traffic.add(entries)
    inside = [entry for entry in entries if since <= entry.time < until]
    totals = traffic.totals(since, until)
    assert sum(total.n for total in totals) == len(inside)


def test_totals_by_hours_tell_routed_from_named(traffic):
    traffic.add([decision(1), decision(4), decision(5, probability=None, candidate=None), decision(6, chore=True)])
    totals = [(total.hour, total.candidate, total.routed, total.chore, total.n) for total in traffic.totals(hours=1)]
    assert totals == [
        (0, "small", True, False, 1),
        (1, "", False, False, 1),
        (1, "small", True, False, 1),
        (1, "small", True, True, 1),
    ]


@pytest.mark.parametrize("chosen", [{"key": "anna"}, {"user": "u"}, {"request_id": "req-1"}, {"older_than": 1500.0}])
def test_a_deletion_takes_rewards_and_sums_with_it(traffic, chosen):
    traffic.add([decision(1, key="anna", user="u"), decision(2)])
    traffic.add_rewards([LoggedReward("req-1", "small", 1), LoggedReward("req-2", "small", 2)])
    assert traffic.delete(**chosen) == 1
    assert [entry.request_id for entry in traffic.decisions()] == ["req-2"]
    assert [reward.request_id for reward in traffic.rewards()] == ["req-2"]
    assert sum(total.n for total in traffic.totals()) == 1
    assert [total for *_, n, total, _ in traffic.reward_totals()] == [2]
    with pytest.raises(ValueError, match="say what"):
        traffic.delete()


def files_with(text: str, traffic: Traffic) -> list[str]:
    return [path.name for path in traffic.path.parent.iterdir() if text.encode() in path.read_bytes()]


def test_a_deletion_leaves_no_copies_that_sqlite_made_when_it_moved_rows(traffic):
    chance = random.Random(1)
    for part in range(12):
        entries = [decision(25 * part + n, user=f"u{chance.randrange(9)}") for n in range(25)]
        for entry in entries:
            entry.request_id = f"{chance.getrandbits(64)}"
            entry.query = f"secret of {entry.user}. " * chance.choice((1, 10, 100))
        traffic.add(entries)
        traffic.add_rewards(
            LoggedReward(entry.request_id, name, 1.0, answer=entry.query[:600]) for entry in entries for name in "ab"
        )
        traffic.delete(user=(user := f"u{part % 9}"))
        assert files_with(f"secret of {user}.", traffic) == []
    assert traffic._database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.fixture
def reader(traffic):
    """Another program that reads what is there now."""
    traffic.add([decision(number, user="ada", query="a secret") for number in range(60)])
    with closing(sqlite3.connect(traffic.path, check_same_thread=False)) as other:
        other.execute("BEGIN")
        other.execute("SELECT COUNT(*) FROM decisions").fetchall()
        yield other


def test_a_deletion_that_somebody_keeps_from_its_end_says_what_is_left_and_ends_when_it_is_called_again(
    traffic, reader, monkeypatch, capsys
):
    monkeypatch.setattr("zooter_core.learn.traffic.WAIT_SECONDS", 0.2)
    call = ["learn", "forget", "--user", "ada", "--data", str(traffic.path.parent)]
    assert main(call) == 1
    message = " ".join(capsys.readouterr().err.split())
    assert f"60 requests are deleted, but their texts are still in {traffic.path}-wal" in message
    monkeypatch.setattr("zooter_core.learn.traffic.WAIT_SECONDS", 20)
    ending = threading.Timer(0.2, reader.close)
    ending.start()
    assert main(call) == 0  # it waits for who reads
    assert files_with("a secret", traffic) == []
    ending.join()


@pytest.mark.parametrize("user", ["u" * 200, "u" * 201, "ü" * 5000])
def test_the_requests_of_a_user_are_found_however_long_the_id_is(traffic, user):
    same_beginning = user[:200] + "x" * 300
    traffic.add([decision(1, user=user), decision(2, other_user=user), decision(3, user=same_beginning), decision(4)])
    assert all(len(entry.user or "") <= 200 for entry in traffic.decisions())
    assert traffic.delete(user=user) == 2
    assert [entry.request_id for entry in traffic.decisions()] == ["req-3", "req-4"]


def test_a_file_of_an_earlier_version_is_refused(traffic):
    traffic._database.execute("ALTER TABLE decisions DROP COLUMN thought_tokens")
    with pytest.raises(WorkError, match=r"traffic\.sqlite was written by an earlier version of Zooter"):
        Traffic.open(traffic.path.parent)


def test_a_transaction_that_fails_leaves_nothing(traffic):
    def entries():
        yield decision(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        traffic.add(entries())
    assert (traffic.decisions(), traffic.totals()) == ([], [])


# The folder of a fleet's traffic

NAMES = ["mine", "/somewhere", "../history", "..", "", "a\0b", "x" * 300, "Bücher & mehr"]


@pytest.fixture
def data_root(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    return tmp_path / "xdg" / "zooter"


@pytest.mark.parametrize("name", NAMES)
def test_no_name_of_a_fleet_leads_elsewhere_and_no_two_fleets_share_a_folder(data_root, tmp_path, name):
    (data_root / "history").mkdir(parents=True)
    (data_root / "serve").mkdir()
    folders = {data_folder(Fleet(name, tmp_path / folder, ())) for folder in ("one", "two")}
    assert len(folders) == 2
    assert {folder.parent for folder in folders} == {data_root / "traffic"}
    with Traffic.open(folders.pop()) as traffic:
        traffic.add([decision(1)])
