from __future__ import annotations

import math

import numpy as np
import pytest

from zooter_core.method import metrics
from zooter_core.method.metrics import (
    group_means,
    interval,
    mean_task_rank,
    quantile_interval,
    ranks,
    ratio_interval,
    t_quantile,
    uplift,
    wilson_interval,
    win_shares,
)


def test_ranks_of_each_row_count_from_the_highest():
    assert ranks(np.array([10.0, 30.0, 20.0])).tolist() == [3.0, 1.0, 2.0]
    assert ranks(np.array([[2.0, 1.0], [1.0, 1.0]])).tolist() == [[1.0, 2.0], [1.5, 1.5]]


def test_a_tie_shares_the_win():
    assert win_shares(np.array([[1.0, 3.0, 3.0], [2.0, 0.0, 1.0]])).tolist() == [[0, 0.5, 0.5], [1, 0, 0]]


def test_group_means_follow_the_order_of_the_first_rows():
    """b: rows 1 and 3, (1 + 5) / 2 and (2 + 4) / 2; a: row 2."""
    table = np.array([[1.0, 2.0], [7.0, 8.0], [5.0, 4.0]])
    means = group_means(table, ["b", "a", "b"])
    assert {name: row.tolist() for name, row in means.items()} == {"b": [3.0, 3.0], "a": [7.0, 8.0]}
    assert list(means) == ["b", "a"]


def test_interval_is_reproducible():
    values = np.random.default_rng(2).normal(size=50)
    assert interval(values) == pytest.approx((-0.2523, 0.2908), abs=1e-4)


@pytest.mark.parametrize("values", [[0.25] * 50, [0.25] * 10, [0.25], [0.3 - 0.1, 0.2], []])
def test_equal_values_have_no_interval(values):
    """0.3 - 0.1 is 0.2 but for rounding."""
    assert np.isnan(interval(np.array(values))).all()


def test_the_interval_of_few_values_is_students():
    """1 to 6: mean 3.5, standard deviation sqrt(3.5) = 1.871, its error .7638; t of five degrees is 2.571."""
    assert interval(np.arange(1.0, 7.0)) == pytest.approx((3.5 - 1.963, 3.5 + 1.963), abs=1e-3)
    assert interval(np.array([0.0, 1.0])) == pytest.approx((0.5 - 6.353, 0.5 + 6.353), abs=1e-3)  # 12.706 * .5


def test_the_interval_of_few_differences_among_many_queries_is_students():
    """Six of a hundred are 1: the variance is (6 - 100 * .06^2) / 99 = .05697, and t of 99 degrees is 1.984."""
    half = 1.984 * math.sqrt(0.05697 / 100)
    assert interval(np.array([1.0] * 6 + [0.0] * 94)) == pytest.approx((0.06 - half, 0.06 + half), abs=1e-5)


def test_noise_in_few_differences_among_many_queries_is_seldom_an_effect():
    """The percentile bootstrap finds one in 10% of such draws."""
    dice, missed = np.random.default_rng(0), 0
    for _ in range(1000):
        low, high = interval(np.concatenate([dice.normal(size=8), np.zeros(92)]))
        missed += low > 0 or high < 0
    assert missed / 1000 < 0.06


def test_from_thirty_values_on_it_is_the_bootstraps():
    """A mean of values that are never negative has no interval that is: here it is near .09 +- .05."""
    low, high = interval(np.array([0.0] * 100 + [1.0] * 10))
    assert 0.03 < low < 0.06 < 0.12 < high < 0.16


@pytest.mark.parametrize(
    ("share", "freedom", "expected"),
    [
        (0.975, 1, 12.706), (0.975, 2, 4.303), (0.975, 3, 3.182), (0.975, 4, 2.776), (0.975, 9, 2.262),
        (0.975, 29, 2.045), (0.995, 5, 4.032), (0.995, 10, 3.169), (0.999, 7, 4.785), (0.999, 60, 3.232),
    ],
)  # fmt: skip
def test_quantiles_of_students_t_are_those_of_the_tables(share, freedom, expected):
    assert t_quantile(share, freedom) == pytest.approx(expected, rel=3e-3)


def test_an_interval_does_not_depend_on_how_many_draws_are_made_at_once(monkeypatch):
    above, below = np.random.default_rng(1).uniform(1, 2, size=(2, 50))
    expected = interval(above), ratio_interval(above, below)
    monkeypatch.setattr(metrics, "AT_ONCE", 170)
    assert (interval(above), ratio_interval(above, below)) == expected


def test_ratio_interval_of_a_constant_ratio_is_a_point():
    """However the queries are drawn, each pair has the same ratio: drawn apart they would not."""
    below = np.arange(1.0, 51.0)
    assert ratio_interval(below / 4, below) == pytest.approx((0.25, 0.25))


def test_a_ratio_to_nothing_has_no_interval():
    assert ratio_interval(np.ones(30), np.zeros(30)) is None
    assert ratio_interval(np.ones(30), np.arange(30.0) == 0) is None  # in a third of the draws there is nothing
    assert ratio_interval(np.full(30, 1e30), np.full(30, 5e-324)) is None  # larger than any number
    assert ratio_interval(np.ones(29), np.ones(29)) is None  # too few queries


def test_quantile_interval_is_the_middle():
    assert quantile_interval(np.arange(101.0)) == pytest.approx((2.5, 97.5))


@pytest.mark.parametrize(
    ("hits", "count", "expected"),
    [(5, 10, (0.2366, 0.7634)), (0, 10, (0.0, 0.2775)), (1, 1, (0.2065, 1.0)), (8, 10, (0.4902, 0.9433))],
)
def test_wilson_interval_by_hand(hits, count, expected):
    """8 of 10: z^2 = 3.8416, centre (.8 + .19208) / 1.38416 = .7167, half 1.96 / 1.38416 sqrt(.016 + .0096) = .2266."""
    assert wilson_interval(hits / count, count) == pytest.approx(expected, abs=5e-5)


def test_a_missing_score_takes_no_part_in_a_win():
    shares = win_shares(np.array([[1.0, np.nan, 1.0], [np.nan, 3.0, 2.0]]))
    assert np.array_equal(shares, [[0.5, np.nan, 0.5], [np.nan, 1.0, 0.0]], equal_nan=True)


def test_a_subset_where_a_method_has_no_score_is_left_out_of_the_ranks():
    means = {"one": np.array([1.0, np.nan]), "two": np.array([2.0, 5.0])}
    assert mean_task_rank(means) == {"one": 2.0, "two": 1.0}
    assert uplift(means) == {"one": 0.0, "two": 1.0}
    assert np.isnan(list(mean_task_rank({"one": np.array([np.nan])}).values())).all()


def test_the_interval_is_over_the_numbers_that_there_are():
    values = np.random.default_rng(0).normal(size=40)
    assert interval(np.append(values, [np.nan] * 5)) == interval(values)
    assert np.isnan(interval(np.array([np.nan]))).all()


def test_the_interval_of_many_values_is_that_of_the_normal_distribution():
    """Resampled as blocks; both ends within 5% of 1.96 standard errors, and a rest of the rows matters little."""
    values = np.random.default_rng(1).exponential(size=50_001)
    error = values.std() / len(values) ** 0.5
    low, high = interval(values)
    assert (values.mean() - low) / error == pytest.approx(1.96, rel=0.08)
    assert (high - values.mean()) / error == pytest.approx(1.96, rel=0.08)
