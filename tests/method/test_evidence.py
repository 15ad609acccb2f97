"""The evidence of a regression's prior variances, against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from zooter_core.method import evidence

NAN = np.nan
ONES, ALONE = np.ones((2, 1)), np.array([0])


@pytest.mark.parametrize(("scores", "probable"), [([1.0, 1.0], [1 / 3, 2 / 3]), ([1.0, -1.0], [2 / 3, 1 / 3])])
def test_the_evidence_by_hand(scores, probable):
    """A level for two queries: C = I + r 11', whose determinant is 1 + 2 r. Scores of 1 and 1 have y' C^-1 y =
    2 / (1 + 2 r), so the evidence is the root of 1 + 2 r up to a factor: 1 and 2 for ratios of 0 and 1.5. Scores of 1
    and -1 have y' C^-1 y = 2, so it is 1 over that root."""
    grid, column = np.array([[0.0], [1.5]]), np.array(scores)[:, np.newaxis]
    assert evidence.shares(ONES, ALONE, column, grid) == pytest.approx(probable)
    even = np.log([1 / share for share in probable])  # what was improbable before needs more evidence
    assert evidence.shares(ONES, ALONE, column, grid, even) == pytest.approx([0.5, 0.5])


def test_candidates_add_their_evidence_each_on_its_own_queries():
    """Both have scores of 1 and 1; the second lacks the third query. For the first C has the determinant 1 + 3 r."""
    scores = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, NAN]])
    shares = evidence.shares(np.ones((3, 1)), ALONE, scores, np.array([[0.0], [0.5]]))
    # M = 5; squares: 3 + 2 at 0, and 3 / 2.5 + 2 / 2 = 2.2 at 0.5; determinants 1, and 2.5 * 2 = 5.
    ratio = (2.2 / 5) ** -2.5 / 5**0.5
    assert shares == pytest.approx(np.array([1.0, ratio]) / (1 + ratio))


def test_scores_that_all_tie_prefer_the_smallest_ratio():
    """Only the determinants count: 1 and 4, whose roots are 1 and 2."""
    shares = evidence.shares(ONES, ALONE, np.zeros((2, 1)), np.array([[0.0], [1.5]]))
    assert shares == pytest.approx([2 / 3, 1 / 3])


def test_a_group_that_says_nothing_is_improbable():
    """The first feature is the score, the second a coin."""
    dice = np.random.default_rng(0)
    features = dice.normal(size=(100, 2))
    scores = features[:, :1] + 0.5 * dice.normal(size=(100, 1))
    grid = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    shares = evidence.shares(features, np.array([0, 1]), scores, grid)
    assert shares.argmax() == 1
    assert shares[[0, 2]].max() < 1e-6


def test_the_posterior_mean_by_hand():
    """Two queries with scores of 1 and 1: x'x = x'y = 2, and the weight is 2 / (2 + 1 / r); of a ratio of 0 it is 0."""
    features, scores, ratios = np.ones((2, 2)), np.ones((2, 1)), np.array([0.5, 0.0])
    expected = pytest.approx(np.array([[0.5], [0.0]]))
    assert evidence.posterior(features, scores, ratios) == expected
    assert evidence.posterior_of_sums(features.T @ features, features.T @ scores, ratios) == expected


def test_candidates_with_scores_on_the_same_queries_come_together():
    scores = np.array([[1.0, NAN, 2.0, NAN], [3.0, 4.0, 5.0, NAN]])
    together = {tuple(columns.tolist()): scored.tolist() for scored, columns in evidence.scored_alike(scores)}
    assert together == {(0, 2): [True, True], (1,): [False, True]}
