"""What a router learns from incomplete scores, on synthetic queries: each of three candidates is best at one topic.

benchmarks/missing_scores.py measures the same on public scores.
"""

from __future__ import annotations

import numpy as np
import pytest

from zooter_core.method import labels
from zooter_core.pipeline.train import SCORE_LABELS
from zooter_core.router.distill import learn
from zooter_core.router.kinds import DistillConfig

POOL = ["a", "b", "c"]
SKILLS = np.where(np.eye(3) > 0, 0.8, 0.4)  # topic, candidate: the chance of a right answer
DICE = np.random.default_rng(0)
CENTRES = DICE.normal(size=(3, 16))
TOPICS = DICE.integers(0, 3, 900)
VECTORS = (CENTRES[TOPICS] + DICE.normal(size=(900, 16))).astype(np.float32)
SCORES = (DICE.random((900, 3)) < SKILLS[TOPICS]).astype(float)
NEW_TOPICS = np.arange(300) % 3
NEW = (CENTRES[NEW_TOPICS] + DICE.normal(size=(300, 16))).astype(np.float32)


def choices(table: np.ndarray) -> np.ndarray:
    """The candidates chosen for the new queries by a router that learned from these scores."""
    tags = [(f"topic {topic}",) for topic in TOPICS]
    targets = labels.label(table, ["all"] * len(table), tags, SCORE_LABELS).enhanced
    head = learn(VECTORS, targets, POOL, "", DistillConfig(), scores=table)
    return head.probabilities(NEW).argmax(axis=1)


def earned(chosen: np.ndarray) -> float:
    """The expected score, in points."""
    return float(100 * SKILLS[NEW_TOPICS, chosen].mean())


@pytest.fixture(scope="module")
def with_all_scores() -> np.ndarray:
    return choices(SCORES)


def test_without_thirty_percent_of_the_scores_a_router_earns_the_same_within_half_a_point(with_all_scores):
    dice = np.random.default_rng(1).random(SCORES.shape)
    missing = (dice < 0.3) & (dice < np.sort(dice, axis=1)[:, 1:2])  # two scores stay of each query
    assert 0.2 < missing.mean() < 0.3
    assert earned(with_all_scores) > 75
    assert earned(choices(np.where(missing, np.nan, SCORES))) > earned(with_all_scores) - 0.5


@pytest.mark.parametrize("column", range(3))
def test_a_candidate_with_a_tenth_of_its_scores_is_chosen_where_it_is_best(with_all_scores, column):
    table = SCORES.copy()
    table[np.random.default_rng(2).random(len(table)) >= 0.1, column] = np.nan
    chosen = choices(table) == column
    assert chosen[column == NEW_TOPICS].mean() > 0.85
    assert chosen[column != NEW_TOPICS].mean() < 0.1
