"""Paired differences, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zooter_core.method import mixture
from zooter_core.method.verdict import difference, fewest, queries_needed, stands_out


def of(*values: float):
    """What these differences show, between scores that are 1 higher and 1."""
    return difference(np.array(values) + 1, np.ones(len(values)))


def test_a_difference_beyond_its_interval_is_significant():
    """1 to 6: the standard error is sqrt(3.5 / 6) = .7638, and t of five degrees is 2.571."""
    result = of(1, 2, 3, 4, 5, 6)
    assert (result.difference, result.n, result.differing) == (3.5, 6, 6)
    assert result.interval == pytest.approx((3.5 - 1.963, 3.5 + 1.963), abs=1e-3)
    assert (result.significant, result.queries_needed) == (True, None)


def test_one_that_its_interval_does_not_bear_out_says_how_many_queries_would():
    """Mean .5, variance 23.5 / 5 = 4.7: the half width is 2.571 sqrt(4.7 / 6) = 2.275; 7.85 * 4.7 / .25 = 147.6."""
    result = of(-3, -1, 1, 1, 2, 3)
    assert result.interval == pytest.approx((0.5 - 2.275, 0.5 + 2.275), abs=1e-3)
    assert (result.significant, result.queries_needed) == (False, 148)


def test_from_thirty_queries_on_the_interval_is_the_bootstraps():
    """Two hundred differences of 1 and a hundred of -1: 1/3 +- 1.96 * sqrt(8 / 9 / 300) = .107."""
    result = of(*[1.0] * 200, *[-1.0] * 100)
    assert result.interval == pytest.approx((1 / 3 - 0.107, 1 / 3 + 0.107), abs=0.012)
    assert result.significant


@pytest.mark.parametrize(
    ("values", "mean", "half"),
    [
        ((1, 1, 2, 2, 6, 6), 3, 6.572),  # means 1, 2, 6: 4.303 sqrt(7 / 3), for t of two degrees
        ((1, 3, 2, 4, 3, 5), 3, 2.484),  # means 2, 3, 4: 4.303 sqrt(1 / 3)
        ((1, 3, 1, 3, 1, 3), 2, 1.150),  # means without a spread: that of the queries, 2.571 sqrt(1.2 / 6)
    ],
)
def test_in_cross_validation_the_interval_is_that_of_the_folds_means(values, mean, half):
    result = difference(np.array(values, dtype=float), np.zeros(6), np.array([0.0, 0, 1, 1, 2, 2]))
    assert (result.difference, result.n, result.differing) == (mean, 6, 6)
    assert result.interval == pytest.approx((mean - half, mean + half), abs=1e-3)
    assert result.significant == (half < mean)


def test_folds_that_learn_from_each_other_have_a_wider_interval():
    """Means 1, 2, 6: the variance of their mean is 7 / 3 + 7 / 2 for 7 / 3. 6 * 7.85 * 35 / 6 / 9 = 30.5 queries."""
    values, folds = np.array([1, 1, 2, 2, 6, 6.0]), np.array([0.0, 0, 1, 1, 2, 2])
    result = difference(values, np.zeros(6), folds, corrected=True)
    half = 4.303 * math.sqrt(35 / 6)
    assert result.interval == pytest.approx((3 - half, 3 + half), abs=1e-2)
    assert (result.significant, result.queries_needed) == (False, 31)


def test_cross_validation_on_noise_is_seldom_significant():
    """Two ways to choose the best single candidate by the other folds: by all of their queries, and by half of them.

    Independent queries would give an interval that misses 0 in 12% of these draws.
    """
    folds, significant = np.arange(100) % 5, 0
    for seed in range(300):
        scores = np.random.default_rng(seed).normal(size=(100, 6))
        halves = np.where((np.arange(100) % 2 == 0)[:, None], scores, np.nan)
        one, other = (mixture.chosen(mixture.cross_fitted_levels(part, folds), scores) for part in (halves, scores))
        significant += difference(one, other, folds).significant
    assert significant / 300 <= 0.05


def test_rounding_is_no_difference():
    one = np.random.default_rng(0).integers(0, 1000, 200) / 1000
    shown = difference(one, (one / 3 + one / 3) + one / 3)
    assert (shown.difference, shown.differing, shown.significant) == (0, 0, False)


def test_a_query_without_both_scores_is_left_out():
    result = difference(np.array([1.0, np.nan, 3.0]), np.array([0.0, 1.0, np.nan]))
    assert (result.n, result.difference, result.interval) == (1, 1.0, None)


@pytest.mark.parametrize(
    ("values", "significant"),
    [([], False), ([1.0], False), ([0.0] * 20, False), ([0.5] * 5, False), ([0.5] * 6, True), ([-0.5] * 6, True)],
)
def test_without_a_spread_there_is_no_interval(values, significant):
    """Six queries with the same difference: a sign test gives 2 / 64 = 3%; five give 6%."""
    result = of(*values)
    assert (result.interval, result.significant, result.queries_needed) == (None, significant, None)
    assert result.n == len(values)
    assert math.isnan(result.difference) == (not values)


@pytest.mark.parametrize(("differing", "significant"), [(5, False), (6, True)])
def test_a_few_queries_that_differ_prove_nothing_whatever_the_interval(differing, significant):
    result = of(*[1.0] * differing, *[0.0] * (400 - differing))
    assert (result.differing, result.significant) == (differing, significant)
    assert result.interval[0] > 0


def test_more_queries_are_needed_until_six_differ():
    """Five of nine differ by 6: 7.85 * 10 / (10 / 3)^2 is 7.1, but it takes 6 * 9 / 5 = 10.8 until six differ."""
    assert of(*[6.0] * 5, *[0.0] * 4).queries_needed == 11


def test_the_queries_needed_grow_without_bound_as_the_difference_nears_0():
    assert queries_needed(np.array([-1.0, 1.0] * 10), 0.2) is None
    assert queries_needed(np.array([-1.0, 1.0] * 10) + 1e-9, 0.2) is None
    assert queries_needed(np.array([1.0, 2.0, 3.0]), 0.2) is None  # too few to say
    assert queries_needed(np.array([-1.0, 1.0] * 10) + 0.01, 0.2) == pytest.approx(7.85 * 20 * (0.2 / 0.01) ** 2)


def test_of_several_differences_each_must_stand_out_more():
    """1 to 8: the standard error is sqrt(6 / 8) = .866, so t is 5.196; the bound for one of three is 3.13 (99.17%)."""
    assert [fewest(tests) for tests in (1, 2, 22)] == [6, 7, 10]  # log2 of 40, 80 and 880
    values = np.arange(1.0, 9.0)
    assert stands_out(values, 3)
    assert stands_out(-values, 3)
    assert not stands_out(values, 10)  # of ten, nine queries must differ at least
    assert not stands_out(values - 4.2, 3)
    assert stands_out(np.full(8, 0.5), 3)
    assert not stands_out(np.zeros(8), 3)
