from __future__ import annotations

import numpy as np

from zooter_core.method.labels import LabelConfig, label
from zooter_core.method.tags import TagIndex
from zooter_core.router.clusters import named

TEXTS = ["Write a poem about the sea", "Write a song about the sea", "How much is a book?", "How much is a lamp?"]
NUMBERS = TagIndex.of([("cluster 0-0", "cluster 1-1"), ("cluster 0-0", "cluster 1-1"), ("cluster 0-1",), ("other",)])


def test_clusters_are_named_by_their_words_and_names_differ() -> None:
    names = list(named(NUMBERS, TEXTS))
    assert names[0] == names[1] == ("about · sea · the", "about · sea · the (2)")
    assert names[2:] == [("cluster 0-1",), ("other",)]  # of one query each, so no word is common


def test_names_change_no_label() -> None:
    scores, config = np.random.default_rng(0).normal(size=(4, 3)), LabelConfig(beta=0.3)
    before, after = (label(scores, ["x"] * 4, tags, config) for tags in (NUMBERS, named(NUMBERS, TEXTS)))
    assert before.enhanced.tobytes() == after.enhanced.tobytes()
