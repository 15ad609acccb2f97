from __future__ import annotations

import math

import pytest

from support.length_rewards import QUERIES, Ahead, Lengths
from zooter_core.base.errors import Failure, WorkError, ZooterError
from zooter_core.base.records import Response
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.labelling.rewards import Unscored
from zooter_core.labelling.rewards.scoring import score_queries


def test_rewards_come_in_the_order_asked_for():
    results = score_queries(Lengths(), QUERIES)
    assert [scored.complete for scored in results] == [[1, 10]] * 10
    assert score_queries(Lengths(), []) == []
    assert score_queries(Lengths(), [("q", [])])[0].complete == []


def test_a_response_that_comes_twice_is_scored_once():
    model = Lengths()
    results = score_queries(model, [("q", ["a", "bb", "a"]), ("q", ["a"]), ("r", ["a"])])
    assert [scored.rewards for scored in results] == [(1, 2, 1), (1,), (1,)]
    assert model.scored == [("q", "a"), ("q", "bb"), ("r", "a")]


@pytest.mark.parametrize("bad", [0, 7, 9])
def test_one_item_that_raises_loses_no_other(bad):
    model = Lengths(raises=(f"{bad} and more",))
    results = score_queries(model, QUERIES)
    for number, scored in enumerate(results):
        assert scored.rewards == ((1, None) if number == bad else (1, 10))
    assert results[bad].reason == f"the reward model failed: CUDA error: {bad} and more"
    assert results[bad].complete is None
    assert model.calls < 12  # halves of halves, not one by one


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (1.1e30, "1.1e+30"),
        (-1e308, "-1e+308"),
        (None, "None"),
        ("x", "'x'"),
        (Unscored("why"), "why"),
    ],
)
def test_what_is_no_finite_number_is_set_aside(value, reason):
    results = score_queries(Lengths({"3": value}), QUERIES)
    assert [scored.rewards for scored in results if scored.reason] == [(None, 10)]
    assert reason in results[3].reason


def test_a_model_that_cannot_work_at_all_stops():
    class Broken:
        def score(self, pairs):
            raise WorkError("an endpoint", "none", "Start it.")

    with pytest.raises(WorkError, match=r"Start it"):
        score_queries(Broken(), QUERIES)
    with pytest.raises(WorkError, match=r"any of 20 responses.*first because: the reward is nan"):
        score_queries(Lengths(dict.fromkeys([text for _, texts in QUERIES for text in texts], math.nan)), QUERIES)


def test_a_model_that_gives_too_few_rewards_stops():
    class Few:
        def score(self, pairs):
            return [1.0]

    with pytest.raises(WorkError, match=r"20 rewards, but found 1"):
        score_queries(Few(), QUERIES)


def test_comparisons_make_one_reward_each():
    model = Ahead()
    (results,) = score_queries(model, [("q", ["a", "bbb", "cc"])])
    assert results.rewards == (pytest.approx(-1.5), pytest.approx(1.5), pytest.approx(0))
    assert len(model.scored) == 6


def test_a_comparison_without_a_number_sets_the_query_aside():
    results = score_queries(Ahead({"bb": math.nan}), [("q", ["a", "bb"]), ("r", ["a", "ccc"])])
    assert results[0].rewards == (None, None)
    assert results[1].rewards == (-2, 2)


def test_a_comparing_model_tells_its_progress(tiny_ensemble, monkeypatch):
    monkeypatch.setattr(Ensemble, "reward_model", Ahead())
    progress: list[int] = []
    results = tiny_ensemble.score_responses(QUERIES, progress.append)
    assert progress == [4, 8]
    assert [scored.rewards for scored in results] == [(-9, 9)] * 10


@pytest.fixture
def by_length(tiny_ensemble, monkeypatch):
    """An ensemble that ranks by length."""
    monkeypatch.setattr(Ensemble, "reward_model", Lengths())
    return tiny_ensemble


def test_rank_puts_the_best_first(by_length):
    ranked = by_length.rank_responses("q", [Response("base", "aa"), Response("one", "aaaa"), Response("two", "a")])
    assert [(r.response.candidate, r.reward, r.rank) for r in ranked] == [("one", 4, 1), ("base", 2, 2), ("two", 1, 3)]


def test_ties_keep_their_order(by_length):
    ranked = by_length.rank_responses("q", [Response("base", "bb"), Response("one", "aaa"), Response("two", "aa")])
    assert [(r.response.candidate, r.rank) for r in ranked] == [("one", 1), ("base", 2), ("two", 3)]


def test_failed_and_empty_responses_come_last_without_rank(by_length):
    failed = Response("base", "half of it", finish="error", error=Failure.of("no such folder"))
    ranked = by_length.rank_responses("q", [failed, Response("one", ""), Response("two", "a")])
    assert [(r.response.candidate, r.reward, r.rank) for r in ranked] == [
        ("two", 1, 1),
        ("base", None, None),
        ("one", None, None),
    ]


def test_rank_when_all_have_failed(by_length):
    ranked = by_length.rank_responses(
        "q", [Response(name, "", finish="error", error=Failure.of("no")) for name in ("base", "one", "two")]
    )
    assert [(r.response.candidate, r.rank) for r in ranked] == [(name, None) for name in ("base", "one", "two")]


def test_rank_with_a_comparing_model(tiny_ensemble, monkeypatch):
    monkeypatch.setattr(Ensemble, "reward_model", Ahead())
    ranked = tiny_ensemble.rank_responses("q", [Response("base", "aa"), Response("one", "aaaa"), Response("two", "")])
    assert [(r.response.candidate, r.reward, r.rank) for r in ranked] == [
        ("one", 2, 1),
        ("base", -2, 2),
        ("two", None, None),
    ]


def test_rank_without_a_reward_for_one(tiny_ensemble, monkeypatch):
    monkeypatch.setattr(Ensemble, "reward_model", Lengths({"aaaa": math.nan}))
    answers = [Response("base", "aa"), Response("one", "aaaa"), Response("two", "a")]
    ranked = tiny_ensemble.rank_responses("q", answers)
    assert [(r.response.candidate, r.rank) for r in ranked] == [("base", 1), ("two", 2), ("one", None)]
    monkeypatch.setattr(Ensemble, "reward_model", Lengths(raises=("aa", "a", "aaaa")))
    with pytest.raises(ZooterError, match=r"a reward for the responses, but found none: the reward model failed"):
        tiny_ensemble.rank_responses("q", answers)
