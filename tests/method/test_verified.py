"""Rewards with verified outcomes: their order, their scale, and gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zooter_core.method.verified import mean_and_deviation, verified_figures, verified_rewards

NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(arrays(np.float64, 8, elements=NUMBERS), arrays(np.bool_, 8))
def test_right_responses_come_before_wrong_ones_and_in_the_reward_models_order(rewards, right):
    values = verified_rewards(rewards, right.astype(np.float64))
    if right.any() and not right.all():
        assert values[right].min() > values[~right].max()
    for group in (right, ~right):
        assert (np.diff(values[group][np.argsort(rewards[group], kind="stable")]) >= 0).all()


def test_what_is_not_verified_stays_and_what_is_missing_is_missing():
    rewards, outcomes = np.array([[1.0, np.nan, 3.0]]), np.array([[np.nan, np.nan, np.nan]])
    assert np.array_equal(verified_rewards(rewards, outcomes), rewards, equal_nan=True)
    assert np.isnan(verified_rewards(rewards, np.array([[1.0, np.nan, 0.0]]))[0, 1])


def test_equal_rewards_have_a_scale_of_one():
    assert mean_and_deviation(np.full((3, 2), 5.0)) == (5.0, 1.0)
    assert verified_rewards(np.full(2, 5.0), np.array([1.0, 0.0])).tolist() == [6.0, 4.0]
    nearly = np.array([1e6, 1e6, np.nextafter(1e6, 0)])
    assert verified_rewards(nearly, np.array([1.0, 0.0, 0.0])).round(3).tolist() == [1e6 + 1, 1e6 - 1, 1e6 - 1]


def test_agreement_counts_pairs_of_a_right_and_a_wrong_response():
    """Query 1: the right response has 2, the wrong ones 1 and 2: one agreement and a tie. Query 2 has no key."""
    rewards = np.array([[[2.0], [1.0], [2.0]], [[5.0], [1.0], [1.0]]])
    outcomes = np.array([[[1.0], [0.0], [0.0]], np.full((3, 1), np.nan)])
    figures = verified_figures(("a", "b", "c"), rewards, outcomes)
    assert figures is not None
    assert (figures.n, figures.pairs, figures.agreement) == (1, 2, pytest.approx(0.75))
    assert figures.right == {"a": 1.0, "b": 0.0, "c": 0.0}
    assert verified_figures(("a",), rewards[:, :1], np.full((2, 1, 1), np.nan)) is None
