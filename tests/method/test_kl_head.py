"""The head that imitates completed labels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zooter_core.method.kl_head import completed_labels, fit_kl
from zooter_core.method.labels import softmax


def test_a_single_reward_leaves_the_predicted_shares():
    logits = np.log(np.array([[0.5, 0.3, 0.2]]))
    assert completed_labels(np.array([[np.nan, 9.0, np.nan]]), logits, 1.0, 1.0) == pytest.approx(
        np.array([[0.5, 0.3, 0.2]])
    )


def test_two_rewards_share_what_the_missing_candidate_leaves():
    """Rewards 0 and log 3 at tau 1: 1/4 and 3/4 of the .8 that remain."""
    logits = np.log(np.array([[0.5, 0.3, 0.2]]))
    labels = completed_labels(np.array([[0.0, 2 * math.log(3), np.nan]]), logits, 2.0, 1.0)
    assert labels == pytest.approx(np.array([[0.2, 0.6, 0.2]]))


def test_the_intercept_alone_reaches_the_mean_label():
    """Where all vectors are the same, the softmax of the intercept is the mean label, but for its penalty."""
    x, labels = np.zeros((2000, 1)), np.tile([[0.9, 0.1], [0.5, 0.5]], (1000, 1))
    head = fit_kl(x, labels, np.ones(2000), penalty=1.0)
    assert softmax(head(x[:1]))[0] == pytest.approx([0.7, 0.3], abs=2e-3)


def test_a_query_that_faded_counts_less():
    x, labels = np.zeros((2000, 1)), np.tile([[0.9, 0.1], [0.5, 0.5]], (1000, 1))
    head = fit_kl(x, labels, np.tile([3.0, 1.0], 1000), penalty=1.0)
    assert softmax(head(x[:1]))[0] == pytest.approx([0.8, 0.2], abs=2e-3)
