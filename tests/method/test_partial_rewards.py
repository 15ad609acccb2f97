"""Regressions from rewards of which some are missing, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from zooter_core.method.partial_rewards import Sums, directions, fallen, onset, prequential_errors, shared_shift, spread

NAN = np.nan


def test_a_candidate_learns_from_its_rewards_alone():
    """One direction. a has rewards 3 and 1 at x = 1 and -1, b has 2 at x = 1; the level is (3 + 1 + 2) / 3 = 2.

    a: intercept 0 / (2 + 1) and slope (1 + 1) / (2 + 2) = .5. b: its reward is the level, so both are 0.
    """
    sums = Sums(2, 1, np.inf)
    sums.add(np.array([[1.0], [-1.0]]), np.array([[3.0, 2.0], [1.0, NAN]]))
    router = sums.solve(penalty=2.0)
    assert sums.level == 2
    assert router.weight == pytest.approx(np.array([[0.5, 0.0]]))
    assert router.bias == pytest.approx([2.0, 2.0])
    assert router(np.array([[2.0]])) == pytest.approx(np.array([[3.0, 2.0]]))


def test_a_candidate_without_rewards_is_predicted_at_the_level():
    sums = Sums(2, 1, np.inf)
    sums.add(np.array([[1.0], [-1.0]]), np.array([[3.0, NAN], [1.0, NAN]]))
    assert sums.solve(1.0)(np.array([[0.3]]))[0, 1] == 2.0


def test_old_queries_fade_by_their_half_life():
    """After 10 queries at a half-life of 10 the first reward counts half: level (.5 * 4 + 1 * 1) / 1.5 = 2."""
    sums = Sums(1, 1, 10.0)
    sums.add(np.array([[0.0]]), np.array([[4.0]]))
    sums.fade(10)
    sums.add(np.array([[0.0]]), np.array([[1.0]]))
    assert sums.weights == pytest.approx([1.5])
    assert sums.level == pytest.approx(2.0)


def test_ages_fade_queries_that_are_added_together():
    apart, together = Sums(1, 1, 10.0), Sums(1, 1, 10.0)
    x, rewards = np.array([[1.0], [2.0]]), np.array([[4.0], [1.0]])
    apart.add(x[:1], rewards[:1])
    apart.fade(7)
    apart.add(x[1:], rewards[1:])
    together.add(x, rewards, ages=np.array([7.0, 0.0]))
    assert together.squares == pytest.approx(apart.squares)
    assert together.products == pytest.approx(apart.products)


def test_it_is_a_ridge_regression():
    """Without gaps, fading and a penalised intercept: centre both sides, then solve."""
    rng = np.random.default_rng(0)
    x, rewards = rng.normal(size=(4000, 3)), rng.normal(size=(4000, 2))
    sums = Sums(2, 3, np.inf)
    sums.add(x, rewards)
    centred = x - x.mean(axis=0)
    weight = np.linalg.solve(centred.T @ centred + 30 * np.eye(3), centred.T @ (rewards - rewards.mean(axis=0)))
    assert sums.solve(30.0).weight == pytest.approx(weight, abs=1e-5)


def test_directions_are_the_principal_ones():
    axes = directions(np.array([[3.0, 0.0, 0.0], [0.0, 1.0, 0.0], [3.0, 0.0, 0.0]]), most=1)
    assert np.abs(axes) == pytest.approx(np.array([[1.0], [0.0], [0.0]]))
    assert directions(np.array([[3.0, 0.0], [1.0, 0.0]]), most=2).shape == (2, 1)  # the other direction is empty


def test_the_errors_of_each_candidate_where_another_has_a_reward_too():
    """Predicted (1, 0) against (2, 2): squares 1 and 4, one number each. A single reward does not count."""
    predicted = np.array([[1.0, 0.0], [5.0, 5.0]])
    errors = prequential_errors(predicted, np.array([[2.0, 2.0], [0.0, NAN]]))
    assert errors.tolist() == [[1.0, 4.0], [1.0, 1.0]]
    assert prequential_errors(predicted[1:], np.array([[0.0, NAN]])).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_a_shift_is_what_all_candidates_share_beyond_the_spread():
    predicted = np.array([[1.0, 2.0, 0.0], [3.0, 4.0, 0.0]] * 5)
    rewards = np.array([[6.0, 6.5, NAN], [7.0, NAN, NAN]] * 5)  # the first is 5 and 4 above, the second 4.5; spread .25
    assert shared_shift(predicted, rewards) == 4.5
    assert shared_shift(predicted, -rewards + 2 * predicted) == -4.5
    assert shared_shift(predicted[1:], rewards[1:]) is None  # nine queries say too little
    assert shared_shift(predicted, np.array([[6.0, 1.9, NAN], [7.0, NAN, NAN]] * 5)) == 0  # the second is not above
    assert shared_shift(predicted, np.array([[6.0, NAN, NAN], [7.0, NAN, NAN]] * 5)) is None  # the second is unknown
    small = np.array([[9.0, 2.1, NAN], [7.0, NAN, NAN]] * 5)  # 0.1 above, with a spread of 3.45
    assert shared_shift(predicted, small) == 0
    assert shared_shift(predicted, np.array([[6.0, NAN, NAN], [NAN, 9.0, NAN]] * 5)) is None  # no query has two
    assert shared_shift(predicted[:, :0], rewards[:, :0]) is None
    later = np.array([[0.0, NAN], [1.0, 0.0], [NAN, NAN], [5.0, NAN], [NAN, 6.0]])
    assert onset(np.zeros((5, 2)), later) == 3


def test_rewards_have_fallen_if_they_are_lower_than_predicted_and_those_of_others_are_not():
    """The first candidate is 1 +- 1 below, the second 0 +- 1: the error is sqrt(2 / 9) with ten rewards, .471; the
    spread is sqrt(.25), .5, or that of the query in which only one has a reward, which does not count."""
    alternating = np.tile([1.0, -1.0], 5)
    predicted = np.zeros((10, 2))
    rewards = np.stack([alternating - 1, alternating], axis=1)
    assert fallen(predicted, rewards).tolist() == [False, False]  # 2.1 standard errors
    longer = np.concatenate([rewards, rewards, rewards])
    assert fallen(np.zeros((30, 2)), longer).tolist() == [True, False]  # 1 / sqrt(2 * 30 / 29 / 30) = 3.8
    assert fallen(np.zeros((30, 2)), -longer).tolist() == [False, False]  # the first rose; the second stayed at 0
    alike = longer + np.array([1.0, 0.0])
    assert fallen(np.full((30, 2), 5.0), alike).tolist() == [False, False]  # both are 5 below
    assert fallen(predicted[:9], 1000 * rewards[:9]).tolist() == [False, False]  # nine rewards say too little
    wide = longer + np.stack([np.zeros(30), np.tile([9.0, 9.0, -9.0, -9.0, 0.0], 6)], axis=1)
    assert fallen(np.zeros((30, 2)), wide).tolist() == [False, False]  # 1 is less than half of such a spread
    assert not fallen(np.zeros((30, 2)), np.where(np.eye(2)[[0] * 15 + [1] * 15] > 0, longer, NAN)).any()  # no spread


def test_what_is_forgotten_counts_as_so_many_queries():
    sums = Sums(2, 1, np.inf)
    sums.add(np.ones((100, 1)), np.tile([2.0, 3.0], (100, 1)))
    sums.forget(0, 25)
    sums.forget(1, 1000)
    assert sums.weights.tolist() == [25, 100]
    assert sums.products[0].tolist() == [50, 50]


def test_the_spread_is_within_a_query():
    """(0, 2) and (5, 7, 6): squares 1, 1, 1, 1, 0."""
    rewards = np.array([[0.0, 2.0, NAN], [5.0, 7.0, 6.0], [100.0, NAN, NAN]])
    assert spread(rewards) == pytest.approx(np.sqrt(4 / 5))
    assert spread(rewards[2:]) == 0.0
