from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import time

import pytest

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.learn.traffic import FILE, HOUR, Traffic
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
    entry = decision(1, key="anna", user="u1", context="earlier", finish="stop", answer="☕ \udce9", chore=True)
    assert traffic.add(entry) == 1
    (read,) = traffic.decisions()
    entry.number, entry.answer = 1, "☕ ?"
    assert read == entry
    assert traffic.decision("req-1") == entry
    assert traffic.decision("req-2") is None


def test_a_request_is_added_once(traffic):
    assert traffic.add([decision(1), decision(1), decision(2)]) == 2
    assert traffic.add(decision(2)) == 0
    assert sum(total.n for total in traffic.totals()) == 2


def test_decisions_come_in_the_order_in_which_they_were_added(traffic):
    traffic.add(decision(number) for number in (3, 1, 2))  # the clock was set back
    assert [entry.request_id for entry in traffic.decisions()] == ["req-3", "req-1", "req-2"]
    assert [entry.request_id for entry in traffic.decisions(after=1)] == ["req-1", "req-2"]
    assert [entry.request_id for entry in traffic.decisions(limit=2)] == ["req-3", "req-1"]
    assert [entry.request_id for entry in traffic.newest(1)] == ["req-2"]


def test_more_than_a_page_is_read(traffic):
    traffic.add(decision(number) for number in range(2500))
    traffic.add_rewards(LoggedReward(f"req-{number}", name, 1) for number in range(1200) for name in ("a", "b"))
    assert [entry.number for entry in traffic.decisions()] == list(range(1, 2501))
    assert len({(reward.request_id, reward.candidate) for reward in traffic.rewards()}) == 2400
    assert len(list(traffic.rewards_of([f"req-{number}" for number in range(900)]))) == 1800


def test_a_reward_replaces_the_one_of_the_same_source(traffic):
    traffic.add(decision(1))
    traffic.add_rewards([LoggedReward("req-1", "small", 1, FEEDBACK, time=5), LoggedReward("req-1", "small", 3)])
    traffic.add_rewards([LoggedReward("req-1", "small", -1, FEEDBACK, time=HOUR)])
    assert [(reward.source, reward.reward) for reward in traffic.rewards()] == [("feedback", -1), ("reward model", 3)]
    totals = [(hour, source, n, total) for hour, _, source, _, n, total, _ in traffic.reward_totals()]
    assert totals == [(0, "reward model", 1, 3), (1, "feedback", 1, -1)]


def test_a_reward_of_a_deleted_request_is_dropped(traffic):
    assert traffic.add_rewards([LoggedReward("req-1", "small", 1)]) == 0
    assert list(traffic.rewards()) == []


def test_rewards_are_chosen_by_why(traffic):
    traffic.add(decision(number) for number in (1, 2))
    traffic.add_rewards([LoggedReward("req-1", "small", 1, why=SAMPLE, inclusion=0.05, time=10)])
    traffic.add_rewards([LoggedReward("req-2", "small", 2, time=20)])
    assert [reward.inclusion for reward in traffic.rewards(why=SAMPLE)] == [0.05]


def plain_sum(entries, since, until):
    chosen = [entry for entry in entries if since <= entry.time < until]
    return len(chosen), sum(entry.dollars or 0 for entry in chosen)


@pytest.mark.parametrize(("since", "until"), [(0, 10**6), (500, 3500), (3600, 7200), (3700, 3800), (5000, 40_000)])
def test_totals_are_the_sums_of_a_period(traffic, since, until):
    entries = [decision(number, time=617.0 * number, dollars=None if number % 3 else number) for number in range(100)]
    traffic.add(entries)
    totals = traffic.totals(since, until)
    assert (sum(total.n for total in totals), sum(total.dollars for total in totals)) == plain_sum(
        entries, since, until
    )


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


def test_a_deletion_needs_a_condition(traffic):
    with pytest.raises(ValueError, match="say what"):
        traffic.delete()


def test_nothing_of_a_deleted_text_stays_on_the_disk(traffic):
    secret = "a-secret-that-nobody-else-writes" * 100
    traffic.add([decision(1, query=secret, key="anna"), decision(2)])
    traffic.delete(key="anna")
    for path in traffic.path.parent.iterdir():
        assert b"a-secret-that-nobody" not in path.read_bytes(), path


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_its_files_are_private(traffic):
    traffic.add(decision(1))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in traffic.path.parent.iterdir()}
    assert FILE in modes
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(traffic.path.parent.stat().st_mode) == 0o700


def test_two_processes_may_write(traffic):
    with Traffic.open(traffic.path.parent) as other:
        other.add(decision(1))
        traffic.add(decision(2))
        assert len(list(other.decisions())) == 2


def test_no_traffic_says_how_to_begin(tmp_path):
    with pytest.raises(ZooterError, match="zooter serve --learn"):
        Traffic.open(tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_one_message(tmp_path):
    (tmp_path / FILE).write_bytes(b"something else" * 1000)
    with pytest.raises(WorkError, match="not a database"):
        Traffic.open(tmp_path)


def test_a_full_disk_leaves_what_was_there(traffic):
    traffic.add(decision(1))
    traffic._database.execute("PRAGMA max_page_count = 30")
    with pytest.raises(WorkError, match="full"):
        traffic.add(decision(number, answer="x" * 10_000) for number in range(2, 100))
    assert [entry.number for entry in traffic.decisions()] == [1]
    traffic._database.execute("PRAGMA max_page_count = 100000")
    assert traffic.add(decision(2)) == 1


def test_a_torn_log_loses_the_last_transaction_alone(tmp_path):
    with Traffic.open(tmp_path) as traffic:
        traffic.add(decision(1))
        traffic._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        traffic.add(decision(2))
        database, log = (tmp_path / name for name in (FILE, f"{FILE}-wal"))
        copies = database.read_bytes(), log.read_bytes()[:-100]
    other = tmp_path / "other"
    other.mkdir()
    (other / FILE).write_bytes(copies[0])
    (other / f"{FILE}-wal").write_bytes(copies[1])
    with Traffic.open(other) as traffic:
        assert [entry.request_id for entry in traffic.decisions()] == ["req-1"]
        assert traffic._database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


WRITER = """
import sys
from pathlib import Path
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import LoggedDecision, LoggedReward
traffic, first = Traffic.open(Path(sys.argv[1])), int(sys.argv[2])
print("ready", flush=True)
for number in range(first, first + 10**6, 20):
    names = [f"req-{n}" for n in range(number, number + 20)]
    traffic.add(LoggedDecision(name, 60.0 * number, "q", candidate="a", dollars=1.0) for name in names)
    traffic.add_rewards(LoggedReward(name, "a", 1.0, time=60.0 * number) for name in names)
    if number % 3 == 0:
        traffic.delete(request_id=names[0])
"""


def test_a_killed_writer_leaves_a_sound_file(tmp_path):
    for turn in range(5):
        call = [sys.executable, "-c", WRITER, str(tmp_path), str(turn * 10**6)]
        with subprocess.Popen(call, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.2 + 0.05 * turn)
            process.kill()
        with Traffic.open(tmp_path) as traffic:
            assert traffic._database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            entries = list(traffic.decisions())
            assert sum(total.n for total in traffic.totals()) == len(entries)
            assert sum(total.dollars for total in traffic.totals()) == len(entries)
            rewards = list(traffic.rewards())
            assert sum(n for *_, n, _, _ in traffic.reward_totals()) == len(rewards)
            assert {reward.request_id for reward in rewards} <= {entry.request_id for entry in entries}
    assert entries


def test_sqlite_is_recent_enough():
    assert sqlite3.sqlite_version_info >= (3, 35)  # ON CONFLICT without a target
