from __future__ import annotations

import numpy as np

from zooter_core.method.labels import LabelConfig, label
from zooter_core.method.tags import TagIndex
from zooter_core.router import clusters
from zooter_core.router.clusters import TIMES, by_words, cluster_tags, name_clusters

# Three groups of 100, far apart.
VECTORS = (10 * np.eye(8)[np.arange(300) % 3] + np.random.default_rng(0).normal(size=(300, 8))).astype(np.float32)


def test_like_queries_share_their_clusters():
    tags = cluster_tags(VECTORS)
    assert all(len(row) == TIMES for row in tags)
    of_group = [{tag for row in tags[group::3] for tag in row} for group in range(3)]
    assert not of_group[0] & of_group[1]
    assert not of_group[1] & of_group[2]
    assert all(len(names) > TIMES for names in of_group)  # a group is more than one cluster


def test_the_nearest_centre_by_hand():
    vectors, centres = np.array([[0.0, 0.0], [2.1, 0.0], [2.0, 5.0]]), np.array([[1.0, 0.0], [3.0, 0.0]])
    assert clusters.nearest(vectors, centres).tolist() == [0, 1, 0]  # the last is as near to both


def test_few_queries_are_one_cluster_and_a_seed_fixes_them():
    assert set(cluster_tags(VECTORS[:12])) == {tuple(f"cluster {turn}-0" for turn in range(TIMES))}
    before = np.random.get_state()[1].tolist()
    assert cluster_tags(VECTORS, 1) == cluster_tags(VECTORS, 1) != cluster_tags(VECTORS, 2)
    assert np.random.get_state()[1].tolist() == before  # the caller's numbers


def test_many_vectors_are_clustered_from_a_sample_and_batches(monkeypatch):
    """Four far directions, of which only a part is clustered at first: every vector joins those of its direction."""
    monkeypatch.setattr(clusters, "SAMPLE", 40)
    monkeypatch.setattr(clusters, "BATCH", 64)
    groups = np.arange(300) % 4
    noise = np.random.default_rng(0).normal(scale=0.05, size=(300, 8))
    vectors = (np.eye(8)[groups] + noise).astype(np.float16)
    centres, owners = clusters.clusterings(vectors, 4, np.random.default_rng(0), times=2)
    for assignment in owners:
        assert len({(group, owner) for group, owner in zip(groups.tolist(), assignment.tolist(), strict=True)}) == 4
    assert centres[0].shape == (4, 8)
    assert len(clusters.cluster_tags(vectors, times=2)) == 300


TEXTS = ["Write a poem about the sea", "Write a song about the sea", "How much is a book?", "How much is a lamp?"]
NUMBERS = TagIndex.of([("cluster 0-0", "cluster 1-1"), ("cluster 0-0", "cluster 1-1"), ("cluster 0-1",), ("other",)])


def test_of_fewer_different_vectors_than_clusters_each_keeps_its_own(monkeypatch):
    monkeypatch.setattr(clusters, "SAMPLE", 200)
    few = np.eye(8, dtype=np.float32)[np.arange(1000) % 5]
    tags = list(cluster_tags(few))
    assert [len(set(tags[start::5])) for start in range(5)] == [1] * 5
    assert len(set(tags[:5])) == 5


def test_clusters_are_named_by_their_words_and_names_differ() -> None:
    names = list(name_clusters(NUMBERS, TEXTS))
    assert names[0] == names[1] == ("about · sea · the", "about · sea · the (2)")
    assert names[2:] == [("cluster 0-1",), ("other",)]  # of one query each, so no word is common


def test_a_reader_sees_clusters_of_the_same_words_once() -> None:
    tags = [("sea · the", "sea · the (2)", "grade (1)"), ("sea · the (2)", "grade (2)"), ()]
    assert by_words(tags) == [("sea · the", "grade (1)"), ("sea · the", "grade (2)"), ()]


def test_names_change_no_label() -> None:
    scores, config = np.random.default_rng(0).normal(size=(4, 3)), LabelConfig(beta=0.3)
    before, after = (label(scores, ["x"] * 4, tags, config) for tags in (NUMBERS, name_clusters(NUMBERS, TEXTS)))
    assert before.enhanced.tobytes() == after.enhanced.tobytes()
