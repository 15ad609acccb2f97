from __future__ import annotations

import math

import numpy as np
import pytest

from zooter_core.router.distill import fit_head
from zooter_core.router.kinds import settings_of

VECTORS = np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]], dtype=np.float32)
SCORES = np.array([[4.0, 0.0], [0.0, 8.0], [5.0, 5.0]])


def logits(query, **settings):
    head = fit_head(VECTORS, SCORES, ["a", "b"], "none", settings_of("knn", settings), scores=SCORES)
    return head.logits(np.array([query], dtype=np.float32))


@pytest.mark.parametrize(("query", "row"), [([5.0, 1.0], 0), ([0.1, 1.0], 1), ([-1.0, 0.5], 2)])
def test_with_one_neighbour_the_logits_are_its_scores(query, row):
    assert logits(query, k=1)[0].tolist() == SCORES[row].tolist()


def test_neighbours_weigh_by_their_similarity():
    """Cosines 1 and 0 at temperature 1 / ln 3 weigh 3 to 1: 0.75 (4, 0) + 0.25 (0, 8) = (3, 2)."""
    assert logits([7.0, 0.0], k=2, temperature=1 / math.log(3))[0] == pytest.approx([3.0, 2.0])


def test_a_high_temperature_gives_the_plain_mean():
    """(4 + 0 + 5) / 3 and (0 + 8 + 5) / 3."""
    assert logits([1.0, 0.0], k=3, temperature=1e6)[0] == pytest.approx([3.0, 13 / 3], rel=1e-4)


def test_more_neighbours_than_queries_are_all_of_them():
    assert logits([1.0, 0.3], k=50) == pytest.approx(logits([1.0, 0.3], k=3))
