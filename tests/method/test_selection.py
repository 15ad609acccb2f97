"""Selection on four queries worked by hand. One candidate earns `one`, the best of the two most probable `two`.

| query | probabilities | scores  | 1 - (p1 - p2) | one  | two  | three |
|-------|---------------|---------|---------------|------|------|-------|
| q1    | .5 .3 .2      | 1, 4, 9 | .8            | a: 1 | b: 4 | c: 9  |
| q2    | .9 .06 .04    | 5, 6, 0 | .16           | a: 5 | b: 6 | b: 6  |
| q3    | .4 .2 .4      | 2, 8, 3 | 1             | a: 2 | c: 3 | b: 8  |
| q4    | .1 .7 .2      | 7, 3, 1 | .5            | b: 3 | b: 3 | a: 7  |
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.method.selection import MOST, Outputs, best_of, curve, expected_gains, lift, lifts, margin, report

PROBABILITIES = np.array([[0.5, 0.3, 0.2], [0.9, 0.06, 0.04], [0.4, 0.2, 0.4], [0.1, 0.7, 0.2]])
TABLE = np.array([[1.0, 4.0, 9.0], [5.0, 6.0, 0.0], [2.0, 8.0, 3.0], [7.0, 3.0, 1.0]])
COSTS = np.tile([1.0, 2.0, 4.0], (4, 1))
MARGINS = margin(PROBABILITIES)
TWO = best_of(PROBABILITIES, TABLE, 2)


# Unsureness


def test_margin_looks_at_the_two_most_probable():
    assert pytest.approx([0.8, 0.16, 1.0, 0.5]) == MARGINS
    assert margin(np.ones((2, 1))).tolist() == [0.0, 0.0]


def test_the_expected_gain_is_the_mean_over_similar_queries():
    """a then b: 2, 0 and nothing known, so 1. b then a: 0, 2 and 0. c then a and b: b and a lead by 3 and 2."""
    rewards = np.array([[1.0, 3.0, 0.0], [2.0, 0.0, 0.0], [np.nan, 5.0, np.nan]])
    similarities = np.ones((1, 3))
    for columns, gain in (([0, 1], 1), ([1, 0], 2 / 3), ([2, 0, 1], 2.5), ([0], 0)):
        assert expected_gains(similarities, rewards, np.array([columns])) == pytest.approx([gain])


def test_a_tenth_of_the_queries_learned_from_count_as_similar():
    """Of 400 queries the 40 most similar, on which b leads by 1; on the others it leads by 9."""
    rewards = np.tile([0.0, 9.0], (400, 1))
    rewards[100:140, 1] = 1
    similarities = np.linspace(0.4, 0, 400)[None, :].repeat(2, axis=0)
    similarities[0, 100:140] = 0.9
    gains = expected_gains(similarities, rewards, np.array([[0, 1], [0, 1]]))
    assert gains.tolist() == [1, 9]
    assert expected_gains(similarities[:1], rewards * np.nan, np.array([[0, 1]])).tolist() == [0]


# Curves and areas


def test_best_of_two_and_of_three():
    assert (TWO.one.tolist(), TWO.several.tolist()) == ([1, 5, 2, 3], [4, 6, 3, 3])
    assert best_of(PROBABILITIES, TABLE, 3).several.tolist() == [9, 6, 8, 7]
    assert (TWO.cost_of_one.tolist(), TWO.cost_of_several.tolist()) == ([1] * 4, [2] * 4)


def test_the_judges_favourite_is_kept_at_its_true_score():
    """The judge likes a in q1 and q2, c in q3 and q4; equals (q1) go to the more probable."""
    rewards = np.array([[1.0, 1.0, 9.0], [2.0, 1.0, 0.0], [0.0, 9.0, 1.0], [0.0, -np.inf, -5.0]])
    assert best_of(PROBABILITIES, TABLE, 2, rewards).several.tolist() == [1, 5, 3, 1]


def test_several_responses_each_are_judged_one_by_one():
    """q1: the first judgement keeps b (4), the second a (1); q2: both a (5); q3: a (2), then c (3); q4: b (3) twice."""
    first = [[0.0, 1.0, 9.0], [1.0, 0.0, 0.0], [1.0, 9.0, 0.0], [0.0, 1.0, 0.0]]
    second = [[1.0, 0.0, 9.0], [1.0, 0.0, 0.0], [0.0, 9.0, 1.0], [0.0, 1.0, 0.0]]
    rewards = np.stack([first, second], axis=2)
    assert best_of(PROBABILITIES, TABLE, 2, rewards).several.tolist() == [2.5, 5, 2.5, 3]


def test_costs_are_of_all_that_run():
    """q1 and q2 run a and b, q3 a and c, q4 b and c."""
    top = best_of(PROBABILITIES, TABLE, 2, costs=COSTS)
    assert (top.cost_of_one.tolist(), top.cost_of_several.tolist()) == ([1, 1, 1, 2], [3, 3, 5, 6])


def test_curve_goes_from_the_least_sure_on():
    """In the order q3, q1, q4, q2 a second candidate adds 1, 3, 0 and 1, each a fourth of it in the mean."""
    points = curve(MARGINS, TWO)
    assert points.share.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert points.cost == pytest.approx([1, 1.25, 1.5, 1.75, 2])
    assert points.score == pytest.approx([2.75, 3.0, 3.75, 3.75, 4.0])
    assert points.threshold == pytest.approx([1.0, 0.8, 0.5, 0.16, 0.16])
    assert [(limit < MARGINS).mean() for limit in points.threshold] == points.share.tolist()


def test_queries_of_one_value_stay_together():
    points = curve(np.array([0.5, 0.5, 0.9, 0.5]), TWO)
    assert points.share.tolist() == [0, 0.25, 1]
    assert points.score == pytest.approx([2.75, 3.0, 4.0])


def test_area_above_random():
    """By trapezoids (2.75 / 2 + 3 + 3.75 + 3.75 + 4 / 2) / 4 = 3.46875; random (2.75 + 4) / 2 = 3.375."""
    assert lift(MARGINS, TWO) == pytest.approx(3.46875 - 3.375)


def test_area_over_costs():
    """Extra costs 4, 2, 4, 2 of q3, q1, q4, q2: (4 * .5 + 2 * 2.5 + 4 * 4 + 2 * 4.5) / 12 / 4 - 1.25 / 2."""
    assert lift(MARGINS, best_of(PROBABILITIES, TABLE, 2, costs=COSTS)) == pytest.approx(32 / 48 - 0.625)


def test_a_tie_counts_as_the_mean_of_its_orders():
    top = best_of(PROBABILITIES, TABLE, 2, costs=COSTS)
    orders = [lift(np.array(values), top) for values in ([0.6, 0.5, 0.9, 0.1], [0.5, 0.6, 0.9, 0.1])]
    assert lift(np.array([0.5, 0.5, 0.9, 0.1]), top) == pytest.approx(np.mean(orders))


@pytest.mark.parametrize("costs", [None, COSTS])
def test_random_orders_have_the_area_of_a_straight_line_on_average(costs):
    top = best_of(PROBABILITIES, TABLE, 2, costs=costs)
    orders = [lift(np.array(values, dtype=float), top) for values in itertools.permutations(range(4))]
    assert np.mean(orders) == pytest.approx(0, abs=1e-12)
    assert lift(np.ones(4), top) == pytest.approx(0, abs=1e-12)


def test_candidates_that_cost_nothing_have_no_area():
    assert lift(MARGINS, best_of(PROBABILITIES, TABLE, 2, costs=np.zeros((4, 3)))) == 0


def test_a_resampled_query_counts_as_often_as_it_was_drawn():
    counts, rows = np.array([2.0, 0.0, 1.0, 1.0]), [0, 0, 2, 3]
    repeated = best_of(PROBABILITIES[rows], TABLE[rows], 2)
    assert lift(MARGINS, TWO, counts) == pytest.approx(lift(MARGINS[rows], repeated))


def test_resampling_is_the_same_each_time_and_for_all_values():
    assert np.array_equal(lifts(MARGINS, TWO, draws=20), lifts(MARGINS, TWO, draws=20))
    assert lifts(-MARGINS, TWO, draws=20) == pytest.approx(-lifts(MARGINS, TWO, draws=20))


# Report


def test_report_of_each_k():
    figures = report(Outputs(PROBABILITIES), TABLE)
    assert [(row.k, row.trigger) for row in figures.curves] == [(2, "margin"), (3, "margin")]
    row = figures.curves[0]
    assert (row.area, row.area_random, row.gain) == pytest.approx((3.46875, 3.375, 0.09375))
    assert row.interval[0] <= row.gain <= row.interval[1]
    assert [(point.calls, point.score) for point in row.points] == [
        (1, 2.75), (1.25, 3.0), (1.5, 3.75), (1.75, 3.75), (2, 4.0)
    ]  # fmt: skip
    assert row.points[0].dollars is None
    priced = report(Outputs(PROBABILITIES), TABLE, costs=COSTS).curves[0]
    assert [priced.points[end].dollars for end in (0, -1)] == [1.25, 4.25]


def test_a_report_goes_by_the_gain_where_it_is_known():
    """q1 and q3 come first and add 3 and 1, then q2 adds 1; also with the candidates in another order."""
    outputs = Outputs(PROBABILITIES[:, [2, 0, 1]], np.array([0.9, 0.1, 0.9, 0.0])).in_order([1, 2, 0])
    row = report(outputs, TABLE).curves[0]
    assert row.trigger == "gain"
    assert [(point.calls, point.score) for point in row.points] == [(1, 2.75), (1.5, 3.75), (1.75, 4.0), (2, 4.0)]


def test_a_margin_that_knows_beats_random():
    """A hundred queries; the second candidate is better exactly where the router is unsure.

    From .5 the curve rises to 1 at a half and stays there: .75 / 2 + 1 / 2, where random has .75.
    """
    sure = np.tile([[0.9, 0.1]], (50, 1)) - np.linspace(0, 0.1, 50)[:, None] * [1, -1]
    rows = np.concatenate([sure, np.tile([[0.6, 0.4]], (50, 1))])
    table = np.array([[1.0, 0.0]] * 50 + [[0.0, 1.0]] * 50)
    (row,) = report(Outputs(rows), table).curves
    assert row.beats_random
    assert row.gain == pytest.approx(0.125)


def test_report_of_many_queries_shows_a_dozen_points_and_at_most_four_candidates():
    rows = np.random.default_rng(0).dirichlet(np.ones(6), size=200)
    figures = report(Outputs(rows), rows)
    assert {row.k for row in figures.curves} == set(range(2, MOST + 1))
    assert [round(point.calls - 1, 9) for point in figures.curves[0].points] == [0, 0.05, *np.arange(1, 11) / 10]


def test_report_of_a_pool_of_one_is_refused():
    with pytest.raises(ZooterError, match="two candidates or more"):
        report(Outputs(np.ones((2, 1))), np.ones((2, 1)))
