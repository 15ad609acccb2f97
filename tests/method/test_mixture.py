"""The mixture of predictors, and the evidence for it, against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from zooter_core.method import mixture

NAN = np.nan
# Two candidates: the first is better by 2 on two queries, the second on the two others.
SCORES = np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
RELATIVE = np.array([[1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, 1.0]])
FOLDS = np.array([0, 1, 0, 1])


def test_scores_count_relative_to_those_of_the_same_query():
    assert mixture.relative(SCORES) == pytest.approx(RELATIVE)
    gaps = mixture.relative(np.array([[5.0, 7.0, NAN], [1.0, NAN, NAN]]))
    assert gaps == pytest.approx(np.array([[-1.0, 1.0, NAN], [0.0, NAN, NAN]]), nan_ok=True)


def test_the_level_is_the_mean():
    assert mixture.level(np.array([[3.0, 1.0], [5.0, 1.0]])) == pytest.approx([1.5, -1.5])
    assert mixture.level(np.array([[3.0, 1.0, NAN]] * 2)) == pytest.approx([1.0, -1.0, 0.0])


def test_a_size_is_a_root_mean_square():
    assert mixture.size(np.array([3.0, -4.0])) == pytest.approx(12.5**0.5)
    assert mixture.size(np.array([3.0, NAN])) == 3.0
    assert mixture.size(np.zeros(3)) == mixture.size(np.array([NAN])) == 0.0
    assert mixture.normalised(np.zeros(3)).tolist() == [0.0, 0.0, 0.0]


def test_predictors_of_different_scales_count_by_their_weights():
    """Both are right about two queries, and one about the others; sizes 1 and 10; weights 3 and 1."""
    right, half = RELATIVE, 10 * np.array([[1.0, -1.0], [1.0, -1.0], [1.0, -1.0], [1.0, -1.0]])
    mix, factors = mixture.mixed(np.array([right + 7, half]), [3.0, 1.0])  # 7 for all candidates means nothing
    # 3 + 1 = 4 on the first two queries, -3 + 1 = -2 on the others; the root mean square is sqrt(10).
    assert mix[:, 0] == pytest.approx(np.array([4, 4, -2, -2]) / 10**0.5)
    assert factors == pytest.approx(np.array([3.0, 0.1]) / 10**0.5)
    assert np.tensordot(factors, np.array([right, half]), axes=1) == pytest.approx(mix)


def test_a_predictor_that_knows_nothing_counts_for_nothing():
    mix, factors = mixture.mixed(np.array([RELATIVE, np.full((4, 2), 3.0)]), [1.0, 5.0])
    assert mix == pytest.approx(RELATIVE)
    assert factors == pytest.approx([1.0, 0.0])


def test_the_slope_over_its_standard_error_by_hand():
    """One fold: x = 1, 1, -1, -1 and y = 1, 1, -1, 1, for the first candidate, and the opposite for the second.

    The fold's means of y are .5 and -.5, so y = .5, .5, -1.5, .5. The slope is (.5 + .5 + 1.5 - .5) / 4 = .5, what is
    left for a query is x (y - x / 2) for both candidates: 0, 0, 2, -2; its root sum of squares is sqrt(8), over 8.
    """
    scores = np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 0.0]])
    assert mixture.significance(RELATIVE, scores, np.zeros(4, int)) == pytest.approx(0.5 / (8**0.5 / 8))


def test_a_perfect_predictor_leaves_no_doubt_and_a_wrong_one_none_either():
    assert mixture.significance(RELATIVE, SCORES, FOLDS) == np.inf
    assert mixture.significance(-RELATIVE, SCORES, FOLDS) == -np.inf
    assert mixture.significance(np.zeros((4, 2)), SCORES, FOLDS) == 0.0
    assert mixture.significance(RELATIVE, np.ones((4, 2)), FOLDS) == 0.0  # all candidates score the same


def test_what_a_fold_lacks_is_no_evidence():
    """A predictor that only knows the mean of the other folds is wrong about each fold, by chance alone."""
    rng = np.random.default_rng(0)
    scores, folds = rng.normal(size=(30, 3)), np.arange(30) % 5
    assert mixture.significance(mixture.cross_fitted_levels(scores, folds), scores, folds) == 0.0


@pytest.mark.parametrize(("t", "share"), [(-4, 0), (0, 0), (4, 0), (8, 0.75), (40, 0.99), (np.inf, 1)])
def test_the_share_of_the_mixture(t, share):
    assert mixture.shrinkage(t) == pytest.approx(share)
    assert mixture.shrinkage(2 * t, mixture.CLEAR_FAR) == pytest.approx(share)  # a limit of 8


def test_how_like_the_others_a_query_is():
    assert mixture.reach(np.arange(101) / 100) == pytest.approx((0.1, 0.3))
    low, high = mixture.reach(np.ones(5))  # the same query five times
    assert low == 1 < high


def test_noise_gets_next_to_nothing_and_a_signal_all():
    rng = np.random.default_rng(1)
    signal, folds = rng.normal(size=(400, 3)), np.arange(400) % 5
    noise = [mixture.shrinkage(mixture.significance(rng.normal(size=(400, 3)), signal, folds)) for _ in range(50)]
    assert np.median(noise) == 0.0
    assert mixture.shrinkage(mixture.significance(signal + rng.normal(size=(400, 3)), signal, folds)) > 0.97


def test_one_predictor_stands_alone_only_if_it_is_significantly_better():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(200, 3))
    wrong = rng.normal(size=(200, 3))
    assert mixture.better_alone(np.array([wrong, scores]), wrong, scores) == 1
    few = slice(0, 4)
    assert mixture.better_alone(np.array([wrong[few], scores[few]]), wrong[few], scores[few]) is None
    assert mixture.better_alone(np.array([scores, scores]), scores, scores) is None


def test_a_missing_score_counts_for_nothing():
    scores = np.concatenate([SCORES, [[NAN, 1.0]]])
    mix = np.concatenate([RELATIVE, [[-1.0, 1.0]]])
    folds = np.array([0, 1, 0, 1, 0])
    assert mixture.chosen(mix, scores)[-1] == 1.0
    assert np.isnan(mixture.chosen(-mix, scores)[-1])
    assert mixture.significance(mix, scores, folds) > 2


def test_each_group_is_spread_over_the_folds():
    groups = np.array(["a"] * 10 + ["b"] * 5)
    folds = mixture.stratified(groups, 5, seed=1)
    assert np.bincount(folds[:10]).tolist() == [2] * 5
    assert np.bincount(folds[10:]).tolist() == [1] * 5
    assert folds.tolist() == mixture.stratified(groups, 5, seed=1).tolist()
    assert folds.tolist() != mixture.stratified(groups, 5, seed=2).tolist()
    assert (mixture.stratified(groups, 10, seed=1) % 5).tolist() == folds.tolist()


def test_places_are_from_0_for_the_worst_to_1_for_the_best():
    assert mixture.places(np.array([0.3, -0.8, 0.5])).tolist() == [0.5, 0.0, 1.0]
    assert mixture.places(np.array([[1.0, 1.0 + 1e-12, -2.0], [0.0, 0.0, 0.0]])).tolist() == [
        [0.75, 0.75, 0],
        [0.5] * 3,
    ]


@pytest.mark.parametrize(("lead", "start"), [(0.05, 0.2), (0.15, 0.1), (0.5, 0.2)])
def test_a_head_start_is_the_largest_that_loses_nothing(lead, start):
    """The second candidate leads on one query. A start of .2 would take a lead of .15 from it, where it is better.

    A lead of .5 is out of reach, and that of .05 may go, since the first candidate is as good there.
    """
    predictions = np.array([[0.0, lead], [1.0, 0.0]])
    scores = np.array([[1.0 if lead == 0.05 else 0.0, 1.0], [1.0, 0.0]])
    order, weights = np.array([[1.0, 0.0], [1.0, 0.0]]), np.ones((2, 1))
    assert mixture.head_start(predictions, order, weights, scores) == start
    assert mixture.head_start(predictions, order, 0 * weights, scores) == 0.2  # no query gets any


def test_the_support_of_similar_queries_by_hand():
    """The two most similar of four: gains of 1 and 3 have a mean of 2 and a standard error of 1."""
    scores = np.array([[0.0, 1.0, 5.0], [0.0, 3.0, NAN], [9.0, 0.0, 0.0], [9.0, 0.0, 0.0]])
    first, last = [0.9, 0.8, 0.1, 0.0], [0.0, 0.1, 0.8, 0.9]
    t = mixture.support(np.array([first, last, first]), scores, np.array([0, 0, 1]))
    # The third candidate: 5 and a missing score, which is no gain: a mean and a standard error of 2.5.
    assert t[:2] == pytest.approx(np.array([[0.0, 2.0, 1.0], [0.0, -np.inf, -np.inf]]))
    assert t[2] == pytest.approx([-2.0, 0.0, 1.0])  # 4 and 0 against the second


def test_who_lacks_support_falls_behind_the_best_by_its_level():
    """The best has .1 more. A support of .6 is enough, one of .4 is not."""
    support = np.array([[0.0, 0.6, 0.4], [0.0, 0.4, 0.4]])
    utilities = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, -3.0]])
    result = mixture.supported(utilities, support, np.array([0.5, 0.25, 0.0]), np.array([0, 0]))
    assert result.tolist() == [[1.1, 2.0, 0.5], [1.1, 0.75, -3.0]]
