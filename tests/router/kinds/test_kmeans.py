from __future__ import annotations

import numpy as np
import pytest

from zooter_core.method.labels import normalise
from zooter_core.router.clusters import k_means, nearest
from zooter_core.router.distill import learn
from zooter_core.router.kinds import configure

VECTORS = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0], [0.0, 1.0]], dtype=np.float32)
SCORES = np.array([[4.0, 0.0], [2.0, 1.0], [0.0, 6.0], [3.0, 6.0], [0.0, 0.0]])


@pytest.mark.parametrize("seed", range(5))
def test_a_query_gets_the_mean_scores_of_its_cluster(seed):
    """The first is 2, .5, -3, -1.5 and 0 above the means of the queries, and the spread of this is sqrt(31 / 10).

    Two clear clusters: (2 + .5) / 2 spreads and (-3 - 1.5 + 0) / 3. Length does not matter.
    """
    head = learn(VECTORS, SCORES, ["a", "b"], "none", configure("kmeans", {"clusters": 2}, seed), scores=SCORES)
    logits = head.logits(np.array([[9.0, 2.0], [0.02, 0.3]], dtype=np.float32))
    assert logits == pytest.approx(np.array([[1.25, -1.25], [-1.5, 1.5]]) / 3.1**0.5)


def test_centres_are_the_means_of_their_vectors():
    centres, owners = k_means(VECTORS, 2, np.random.default_rng(0))
    assert sorted(centres.tolist()) == [pytest.approx([0.1 / 3, 1.0]), pytest.approx([1.0, 0.05])]
    assert np.array_equal(owners, nearest(VECTORS, centres))
    assert len(set(owners.tolist()[:2])) == len(set(owners.tolist()[2:])) == 1


def test_repeated_queries_leave_clusters_empty_and_do_no_harm():
    same = np.ones((4, 2), dtype=np.float32)
    head = learn(same, SCORES[:4], ["a", "b"], "none", configure("kmeans", {"clusters": 4}), scores=SCORES[:4])
    mean = normalise(SCORES[:4], "spread", ()).mean(axis=0)
    assert head.logits(np.ones((1, 2), dtype=np.float32))[0] == pytest.approx(mean, abs=1e-6)
