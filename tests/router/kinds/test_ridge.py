from __future__ import annotations

import numpy as np
import pytest

from zooter_core.router.distill import fit_head
from zooter_core.router.kinds import settings_of

RANDOM = np.random.default_rng(1)
VECTORS = RANDOM.normal(size=(30, 5)).astype(np.float32)
SCORES = RANDOM.normal(loc=[0.0, 1.0, 2.0], size=(30, 3))
NEW = RANDOM.normal(size=(4, 5)).astype(np.float32)


def logits(penalty):
    head = fit_head(VECTORS, SCORES, list("abc"), "none", settings_of("ridge", {"penalty": penalty}), scores=SCORES)
    return head.logits(NEW)


@pytest.mark.parametrize("penalty", [0.01, 2.0, 50.0])
def test_it_is_least_squares_with_a_row_of_sqrt_penalty_for_each_weight(penalty):
    """|XW - Y|^2 + penalty |W|^2 is |[X; sqrt(penalty) I] W - [Y; 0]|^2, with X and Y less their means."""
    centre, level = VECTORS.mean(axis=0), SCORES.mean(axis=0)
    left = np.vstack([VECTORS - centre, np.sqrt(penalty) * np.eye(5)])
    right = np.vstack([SCORES - level, np.zeros((5, 3))])
    weight = np.linalg.lstsq(left, right)[0]
    assert logits(penalty) == pytest.approx((NEW - centre) @ weight + level, abs=1e-5)


def test_a_huge_penalty_leaves_the_mean_scores():
    assert logits(1e12) == pytest.approx(np.tile(SCORES.mean(axis=0), (4, 1)), abs=1e-5)


def test_linear_scores_are_predicted_as_they_are():
    weight = RANDOM.normal(size=(5, 3))
    scores = VECTORS @ weight + [1.0, 2.0, 3.0]
    head = fit_head(VECTORS, scores, list("abc"), "none", settings_of("ridge", {"penalty": 1e-9}), scores=scores)
    assert head.logits(NEW) == pytest.approx(NEW @ weight + [1.0, 2.0, 3.0], abs=1e-4)


def test_queries_that_do_not_fit_in_memory_together_teach_the_same(monkeypatch):
    together = logits(2.0)
    monkeypatch.setattr("zooter_core.router.kinds.base.AT_ONCE", 7)
    assert logits(2.0) == pytest.approx(together, abs=1e-6)
