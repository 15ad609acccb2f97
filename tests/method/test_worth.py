"""The equations of worth.py, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zooter_core.method.metrics import t_quantile
from zooter_core.method.worth import (
    SLOWEST,
    SUM,
    Estimate,
    agreement,
    ratio_of_means,
    regression_mean,
    rules,
    weighted_mean,
)

NAN = math.nan


def test_a_query_drawn_half_as_often_counts_twice():
    # weights 1/.5 = 2, 2, 1/.25 = 4: (2*1 + 2*3 + 4*5) / 8 = 28 / 8
    estimate = weighted_mean(np.array([1.0, 3.0, 5.0]), np.array([0.5, 0.5, 0.25]))
    assert estimate.mean == pytest.approx(3.5)
    # shares 1/4, 1/4, 1/2; away from the mean -2.5, -.5, 1.5: .390625 + .015625 + .5625 = .96875; times 3/2
    assert estimate.error == pytest.approx(math.sqrt(0.96875 * 1.5))
    half = t_quantile(0.975, 2) * estimate.error
    assert (estimate.low, estimate.high) == pytest.approx((3.5 - half, 3.5 + half))


def test_with_one_probability_it_is_the_usual_interval():
    values = np.array([1.0, 2.0, 4.0, 5.0])
    estimate = weighted_mean(values, np.full(4, 0.05))
    assert estimate.mean == 3
    assert estimate.error == pytest.approx(values.std(ddof=1) / 2)


def test_a_query_without_a_value_is_left_out():
    estimate = weighted_mean(np.array([1.0, NAN, 3.0]), np.full(3, 0.1))
    assert (estimate.mean, estimate.n) == (2, 2)
    assert math.isnan(weighted_mean(np.array([NAN]), np.array([0.1])).mean)
    one = weighted_mean(np.array([2.0]), np.array([0.1]))
    assert one.mean == 2
    assert math.isnan(one.low)


def test_a_regression_corrects_an_unlucky_sample():
    covariates = np.linspace(0, 1, 50)[:, None]  # the sample's mean is .5, that of all queries .7
    values = 2 * covariates[:, 0] + 1  # exactly: the slope is 2, the residuals are 0
    estimate = regression_mean(values, np.full(50, 0.1), covariates, np.array([0.7]))
    assert estimate.mean == pytest.approx(2 * 0.7 + 1)
    assert estimate.error == pytest.approx(0, abs=1e-12)


def test_a_regression_needs_a_sample():
    values, covariates = np.array([1.0, 2.0]), np.array([[0.0], [1.0]])
    assert regression_mean(values, np.full(2, 0.1), covariates, np.array([0.7])) == weighted_mean(
        values, np.full(2, 0.1)
    )


def test_a_ratio_of_costs():
    # routing cost 1 and 2, the other rule 4 and 2: 3 / 6. Away: (1 - 2) / 3 = -1/3 and (2 - 1) / 3 = 1/3
    estimate = ratio_of_means(np.array([1.0, 2.0]), np.array([4.0, 2.0]), np.full(2, 0.5))
    assert estimate.mean == pytest.approx(0.5)
    assert estimate.error == pytest.approx(math.sqrt((1 / 6) ** 2 * 2 * 2))
    assert math.isnan(ratio_of_means(np.array([1.0]), np.array([0.0]), np.array([0.5])).mean)


def test_what_each_rule_would_have_had():
    rewards = np.array([[1.0, 3.0, 2.0], [4.0, NAN, 0.0]])
    had = rules(rewards, np.array([0, 2]))
    assert had["routing"].tolist() == [1, 0]
    assert had["rmr"].tolist() == [3, 4]
    assert had["0"].tolist() == [1, 4]
    assert had["random"][0] == 2
    assert math.isnan(had["random"][1])
    dollars = np.array([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])
    assert rules(dollars, np.array([0, 2]), SUM)["rmr"].tolist() == [6, 3]
    assert rules(dollars, np.array([0, 2]), SLOWEST)["rmr"].tolist() == [3, 1]
    members = np.array([[True, False, True], [True, True, True]])  # the second candidate joined later
    assert rules(dollars, np.array([0, 2]), SUM, members)["rmr"].tolist() == [4, 3]
    assert rules(dollars, np.array([0, 2]), SLOWEST, members)["random"].tolist() == [2, 1]
    assert rules(-dollars, np.array([0, 2]), SLOWEST, members)["rmr"].tolist() == [-1, -1]


def test_agreement_counts_pairs():
    # pairs (2,1) (2,3) (4,1) (4,3): 3 of 4 are in order
    estimate = agreement(np.array([2.0, 4.0]), np.array([1.0, 3.0]))
    assert estimate.mean == 0.75
    # of the liked .5 and 1, of the disliked 1 and .5: both variances are 1/8
    assert estimate.error == pytest.approx(math.sqrt(0.125 / 2 + 0.125 / 2))
    assert agreement(np.ones(5), np.ones(5)).mean == 0.5
    assert math.isnan(agreement(np.ones(5), np.array([])).mean)


def test_little_data_is_never_significant():
    assert not Estimate(1.0, 0.9, 1.1, 0.05, 29).significant
    assert Estimate(1.0, 0.9, 1.1, 0.05, 30).significant
    assert not Estimate(1.0, -0.1, 2.1, 0.05, 300).significant
    assert not Estimate(1.0, NAN, NAN, NAN, 300).significant
