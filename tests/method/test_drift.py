"""Falls of a mean, and vectors that are far from others."""

from __future__ import annotations

import numpy as np
import pytest

from zooter_core.method.drift import clearest_fall, far_queries


def sums(week):
    """Counts, sums and sums of squares of rewards, shape (steps, n)."""
    return np.full(len(week), week.shape[1]), week.sum(axis=1), (week**2).sum(axis=1)


@pytest.mark.parametrize("steps", [2, 24])
def test_few_rewards_that_stay_are_seldom_called_fallen(steps):
    weeks = np.random.default_rng(0).normal(size=(2000, steps, 40))
    assert np.mean([clearest_fall(*sums(week), candidates=1) is not None for week in weeks]) < 0.06


def test_a_fall_is_found_at_its_step_with_its_interval():
    week = np.tile([[0.0, 2.0]], (6, 10))
    week[4:] -= 1.5
    fall = clearest_fall(*sums(week), candidates=3)
    assert (fall.step, fall.before, fall.after) == (4, 1.0, -0.5)
    error = np.sqrt(80 / 79 / 80 + 40 / 39 / 40)  # Welch: the variance of 0 and 2 is n / (n - 1)
    assert (fall.low, fall.high) == pytest.approx((1.5 - 2 * error, 1.5 + 2 * error), rel=1e-3)
    assert clearest_fall(*sums(week[::-1]), candidates=3) is None  # it rose


def test_too_few_rewards_tell_nothing():
    week = np.array([[5.0] * 29, [0.0] * 29])
    assert clearest_fall(*sums(week), candidates=1) is None
    assert clearest_fall(*sums(week[:1]), candidates=1) is None


def test_queries_are_far_that_are_less_similar_than_the_learned_ones_are_to_each_other():
    angles = np.radians(np.arange(0, 40, 2.0))  # each is 2 degrees from the next
    learned = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    queries = np.radians([1.0, 39.5, 41.0, 90.0])
    vectors = np.stack([np.cos(queries), np.sin(queries)], axis=1)
    assert far_queries(vectors, learned).tolist() == [False, False, True, True]
