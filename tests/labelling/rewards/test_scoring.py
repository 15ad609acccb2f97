from __future__ import annotations

import math
from dataclasses import replace

import pytest

from support import tiny_models
from zooter_core.base.errors import Failure, WorkError, ZooterError
from zooter_core.base.records import Response
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.labelling.rewards import PLAIN, Unscored, reward_model
from zooter_core.labelling.rewards.scoring import ScoreCache, score_queries

QUERIES = [(f"q{n}", [f"{n}", f"{n} and more"]) for n in range(10)]


class Lengths:
    """Rewards by length; counts the pairs and fails for some."""

    def __init__(self, special=None, raises=()):
        self.special, self.raises, self.scored, self.calls = special or {}, raises, [], 0

    def score(self, pairs):
        self.calls += 1
        self.scored += pairs
        if failing := [text for _, text in pairs if text in self.raises]:
            raise RuntimeError(f"CUDA error: {failing[0]}")
        return [self.special.get(text, float(len(text))) for _, text in pairs]


class Ahead:
    """Compares by length, a little in favour of the first."""

    def __init__(self, special=None):
        self.special, self.scored = special or {}, []

    def compare(self, triples):
        self.scored += triples
        return [self.special.get(one, len(one) - len(other) + 0.25) for _, one, other in triples]


def test_a_response_that_comes_twice_is_scored_once():
    model = Lengths()
    results = score_queries(model, [("q", ["a", "bb", "a"]), ("q", ["a"]), ("r", ["a"])])
    assert [scored.rewards for scored in results] == [(1, 2, 1), (1,), (1,)]
    assert model.scored == [("q", "a"), ("q", "bb"), ("r", "a")]


@pytest.mark.parametrize("bad", [0, 7])
def test_one_item_that_raises_loses_no_other(bad):
    model = Lengths(raises=(f"{bad} and more",))
    results = score_queries(model, QUERIES)
    for number, scored in enumerate(results):
        assert scored.rewards == ((1, None) if number == bad else (1, 10))
    assert results[bad].reason == f"the reward model failed: CUDA error: {bad} and more"
    assert results[bad].reason
    assert model.calls < 12  # halves of halves, not one by one


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "nan"), (-math.inf, "-inf"), (1.1e30, "1.1e+30"), (None, "None"), (Unscored("why"), "why"),
    ],
)  # fmt: skip
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
    texts = [text for _, texts in QUERIES for text in texts]
    with pytest.raises(WorkError, match=r"any of 20 responses.*first because: the reward is nan"):
        score_queries(Lengths(dict.fromkeys([*texts, *PLAIN], math.nan)), QUERIES)
    with pytest.raises(WorkError, match=r"any of 8 responses or comparisons.*because: the reward is nan"):
        score_queries(Ahead(dict.fromkeys([*texts, *PLAIN], math.nan)), QUERIES)


def test_many_queries_without_a_reward_are_at_fault_where_the_model_has_one_for_a_plain_text():
    texts = [text for _, texts in QUERIES for text in texts]
    for model in (Lengths(raises=texts), Ahead(dict.fromkeys(texts, math.nan))):
        assert [scored.rewards for scored in score_queries(model, QUERIES)] == [(None, None)] * 10


def test_a_comparison_without_a_number_sets_the_query_aside():
    results = score_queries(Ahead({"bb": math.nan}), [("q", ["a", "bb"]), ("r", ["a", "ccc"])])
    assert results[0].rewards == (None, None)
    assert results[1].rewards == (-2, 2)


FAILED = Response("base", "half of it", finish="error", error=Failure.of("no such folder"))


@pytest.mark.parametrize(
    ("responses", "ranked"),
    [
        (
            [Response("base", "aa"), Response("one", "aaaa"), Response("two", "aa")],
            [("one", 4, 1), ("base", 2, 2), ("two", 2, 2)],
        ),
        (
            [FAILED, Response("one", ""), Response("two", "a")],
            [("two", 1, 1), ("base", None, None), ("one", None, None)],
        ),
        (
            [Response("base", "aa"), Response("one", "nan"), Response("two", "a")],
            [("base", 2, 1), ("two", 1, 2), ("one", None, None)],
        ),
    ],
    ids=[
        "equal rewards share a rank",
        "failed and empty ones come last",
        "one has no reward",
    ],
)
def test_responses_are_ranked_by_their_rewards(tiny_ensemble, monkeypatch, responses, ranked):
    monkeypatch.setattr(Ensemble, "reward_model", Lengths({"nan": math.nan}))
    result = tiny_ensemble.rank_responses("q", responses)
    assert [(item.response.candidate, item.reward, item.rank) for item in result] == ranked


def test_responses_of_which_none_has_a_reward_have_no_ranking(tiny_ensemble, monkeypatch):
    monkeypatch.setattr(Ensemble, "reward_model", Lengths(raises=("aa", "a")))
    with pytest.raises(ZooterError, match=r"a reward for the responses, but found none: the reward model failed"):
        tiny_ensemble.rank_responses("q", [Response("base", "aa"), Response("two", "a")])


def test_known_rewards_are_not_worked_out_again(tmp_path):
    cache = ScoreCache("model 1", tmp_path / "rewards.sqlite")
    model = Lengths()
    first = score_queries(model, QUERIES, cache)
    assert score_queries(model, QUERIES, cache) == first
    assert model.calls == 1
    assert cache.get([("q0", "0"), ("q00", ""), ("", "q00")]) == {("q0", "0"): 1}
    score_queries(model, [*QUERIES, ("new", ["text"])], cache)
    assert model.scored[20:] == [("new", "text")]
    score_queries(model, QUERIES)  # without it
    assert len(model.scored) == 41


def test_what_a_stop_leaves_is_kept(tmp_path):
    class Stopped(Lengths):
        def score(self, pairs):
            if self.calls:
                raise KeyboardInterrupt
            return super().score(pairs)

    cache, stopped, model = ScoreCache("model", tmp_path / "rewards.sqlite"), Stopped(), Lengths()
    queries = [(f"q{n}", [f"{n}", f"{n} and more"]) for n in range(40)]
    with pytest.raises(KeyboardInterrupt):
        score_queries(stopped, queries, cache)
    score_queries(model, queries, cache)
    assert stopped.scored
    assert len(stopped.scored) + len(model.scored) == 80


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
    assert all(scored.rewards == (1, 10) for scored in score_queries(Lengths(), QUERIES, cache))


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


def test_an_ensemble_keeps_rewards_between_starts_but_not_for_other_weights_or_settings(counted, fleet_copy):
    fleet, calls = counted
    first = Ensemble(fleet).score_responses(QUERIES)
    assert Ensemble(fleet).score_responses(QUERIES) == first
    assert calls == [20]
    Ensemble(replace(fleet, reward=replace(fleet.reward, max_tokens=64))).score_responses(QUERIES)
    assert calls == [20, 20]
    tiny_models.save_reward_model(fleet_copy / "reward", seed=9)
    other = Ensemble(load_fleet(fleet_copy)).score_responses(QUERIES)
    assert calls == [20, 20, 20]
    assert other != first
