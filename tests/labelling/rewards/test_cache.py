from __future__ import annotations

import math
import os
import sqlite3
import stat
import threading
from dataclasses import replace

import pytest

from support import tiny_models
from support.length_rewards import QUERIES, Ahead, Lengths
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.labelling.rewards import reward_model
from zooter_core.labelling.rewards.cache import ScoreCache
from zooter_core.labelling.rewards.scoring import score_queries


def test_known_rewards_are_not_worked_out_again(tmp_path):
    cache = ScoreCache("model 1", tmp_path / "rewards.sqlite")
    model = Lengths()
    first = score_queries(model, QUERIES, cache)
    assert score_queries(model, QUERIES, cache) == first
    assert model.calls == 1
    score_queries(model, [*QUERIES, ("new", ["text"])], cache)
    assert model.scored[20:] == [("new", "text")]
    score_queries(model, QUERIES)  # without it
    assert len(model.scored) == 41


def test_comparisons_are_known_in_a_wider_pool(tmp_path):
    cache = ScoreCache("ranker", tmp_path / "rewards.sqlite")
    model = Ahead()
    score_queries(model, [("q", ["a", "bb"])], cache)
    (wider,) = score_queries(model, [("q", ["a", "bb", "ccc"])], cache)
    assert len(model.scored) == 2 + 4
    assert wider == score_queries(Ahead(), [("q", ["a", "bb", "ccc"])])[0]


def test_what_failed_is_not_kept(tmp_path):
    cache = ScoreCache("model", tmp_path / "rewards.sqlite")
    score_queries(Lengths({"3": math.nan}, raises=("4",)), QUERIES, cache)
    assert all(scored.complete == [1, 10] for scored in score_queries(Lengths(), QUERIES, cache))


def test_another_model_knows_nothing(tmp_path):
    path = tmp_path / "rewards.sqlite"
    ScoreCache("one", path).put({("q", "a"): 1.5})
    assert ScoreCache("one", path).get([("q", "a"), ("qa", ""), ("", "qa")]) == {("q", "a"): 1.5}
    assert ScoreCache("other", path).get([("q", "a")]) == {}


def test_many_keys_at_once(tmp_path):
    cache = ScoreCache("one", tmp_path / "rewards.sqlite")
    rewards = {("q", str(n)): n / 7 for n in range(1300)}
    cache.put(rewards)
    assert cache.get(list(rewards)) == rewards  # to the last digit


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to look at" * 40])
def test_a_damaged_file_is_no_reason_to_fail(tmp_path, content):
    path = tmp_path / "rewards.sqlite"
    path.write_bytes(content)
    model = Lengths()
    for _ in range(2):
        assert score_queries(model, QUERIES, ScoreCache("one", path))[0].complete == [1, 10]


@pytest.mark.parametrize("number", [9e999, -9e999, 1e200, None])
def test_a_kept_reward_that_is_none_is_worked_out_again(tmp_path, number):
    path = tmp_path / "rewards.sqlite"
    score_queries(Lengths(), QUERIES, ScoreCache("one", path))
    with sqlite3.connect(path) as file:
        file.execute("UPDATE rewards SET reward = ?", (number,))
    model = Lengths()
    assert score_queries(model, QUERIES, ScoreCache("one", path))[3].complete == [1, 10]
    assert len(model.scored) == 20


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    cache = ScoreCache("one", tmp_path / "file" / "rewards.sqlite")
    assert score_queries(Lengths(), QUERIES, cache)[0].complete == [1, 10]


def test_a_table_of_another_program_is_left_alone(tmp_path):
    path = tmp_path / "rewards.sqlite"
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE rewards (something TEXT)")
    assert score_queries(Lengths(), QUERIES, ScoreCache("one", path))[0].complete == [1, 10]


def test_threads_write_at_once(tmp_path):
    path = tmp_path / "rewards.sqlite"
    parts = [{("q", f"{part} {n}"): float(n) for n in range(50)} for part in range(6)]
    threads = [threading.Thread(target=ScoreCache("one", path).put, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for part in parts:
        assert ScoreCache("one", path).get(list(part)) == part


@pytest.fixture
def counted(fleet_copy, tmp_path, monkeypatch):
    """The tiny fleet with its reward model's calls counted."""
    calls: list[int] = []

    def load(config, backend, spare):
        model = reward_model(config, backend)
        score = model.score
        model.score = lambda pairs: calls.append(len(pairs)) or score(pairs)
        return model

    monkeypatch.setattr("zooter_core.fleet.models.rewards.reward_model", load)
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path / "cache"))
    return load_fleet(fleet_copy), calls


def test_an_ensemble_keeps_rewards_between_starts(counted):
    fleet, calls = counted
    first = Ensemble(fleet).score_responses(QUERIES)
    assert Ensemble(fleet).score_responses(QUERIES) == first
    assert calls == [20]


def test_the_cache_can_be_turned_off(counted):
    fleet, calls = counted
    off = replace(fleet, reward=replace(fleet.reward, cache=False))
    assert off.fingerprint() == fleet.fingerprint()  # a run may turn it off
    for _ in range(2):
        Ensemble(off).score_responses(QUERIES)
    assert calls == [20, 20]


def test_other_weights_or_settings_know_nothing(counted, fleet_copy):
    fleet, calls = counted
    first = Ensemble(fleet).score_responses(QUERIES)
    Ensemble(replace(fleet, reward=replace(fleet.reward, max_tokens=64))).score_responses(QUERIES)
    assert calls == [20, 20]
    tiny_models.save_reward_model(fleet_copy / "reward", seed=9)
    other = Ensemble(load_fleet(fleet_copy)).score_responses(QUERIES)
    assert calls == [20, 20, 20]
    assert other != first


REWARDS = {("q", "r"): 0.5}
private = pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")


def rights(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


@private
def test_nobody_else_can_read_it(open_umask, monkeypatch, tmp_path):
    monkeypatch.delenv("ZOOTER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    ScoreCache("model").put(REWARDS)
    assert rights(tmp_path / "zooter") == 0o700
    assert rights(tmp_path / "zooter" / "rewards.sqlite") == 0o600


@private
def test_one_that_others_could_read_is_narrowed_when_it_is_read(open_umask, monkeypatch, tmp_path):
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path))
    ScoreCache("model").put(REWARDS)
    (tmp_path / "rewards.sqlite").chmod(0o644)
    tmp_path.chmod(0o755)
    assert ScoreCache("model").get(list(REWARDS)) == REWARDS
    assert rights(tmp_path / "rewards.sqlite") == 0o600
    assert rights(tmp_path) == 0o755  # the user named it
