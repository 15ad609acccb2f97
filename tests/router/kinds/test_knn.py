from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from zooter_core.router.distill import fit_head
from zooter_core.router.kinds import settings_of
from zooter_core.router.torch_router import HeadModule

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


@pytest.mark.parametrize("k", [1, 2, 5])
def test_of_equally_near_queries_the_first_ones_count(k):
    """Queries 1, 2, 4, 5, ... are all the same; each has scores of its own, so that the mean tells which were taken."""
    same, other = [1.0, 0.0], [0.0, 1.0]
    vectors = np.array([other if row % 3 == 0 else same for row in range(300)], dtype=np.float32)
    scores = np.array([[2.0**-row, 0.0] for row in range(300)])
    head = fit_head(vectors, scores, ["a", "b"], "none", settings_of("knn", {"k": k}), scores=scores)
    first = [row for row in range(300) if row % 3][:k]
    expected = pytest.approx(scores[first].mean(axis=0))
    query = np.array([same], dtype=np.float32)
    assert head.logits(query)[0] == expected
    assert HeadModule.of(head.body)(torch.from_numpy(query))[0].detach().numpy() == expected


def test_more_neighbours_than_queries_are_all_of_them():
    assert logits([1.0, 0.3], k=50) == pytest.approx(logits([1.0, 0.3], k=3))
