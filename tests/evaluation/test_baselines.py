from __future__ import annotations

import numpy as np
import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Query
from zooter_core.data.scores import Scores
from zooter_core.evaluation.evaluate import nearest, simple

TEST_SCORES = Scores(
    (Query("1", "q1", "x"), Query("2", "q2", "y"), Query("3", "q3", "new")),
    ("a", "b", "c"),
    np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]),
)


def learned(*rows: tuple[str, list[float]]) -> Scores:
    queries = tuple(Query(str(n), f"t{n}", name) for n, (name, _) in enumerate(rows))
    return Scores(queries, TEST_SCORES.candidates, np.array([row for _, row in rows]))


def test_they_learn_from_other_scores_than_they_are_judged_by():
    """In x a wins twice by a little, in y c wins once by a lot. Means: a (.6 + 0) / 2, b .25, c (.1 + 1) / 2."""
    rows = [("x", [0.6, 0.5, 0.1]), ("x", [0.6, 0.5, 0.1]), ("y", [0.0, 0.0, 1.0])]
    scores_of = simple(TEST_SCORES, learned(*rows))
    assert scores_of["majority"].tolist() == [1.0, 4.0, 7.0]  # a
    assert scores_of["best single"].tolist() == [3.0, 6.0, 9.0]  # c
    assert scores_of["best a data set"].tolist() == [1.0, 6.0, 9.0]  # a in x, c in y, the best single where it is new
    assert scores_of["random"].tolist() == [2.0, 5.0, 8.0]


def test_knn_takes_what_like_queries_earned(tiny_encoder):
    texts = [f"Add up {n} apples" for n in range(6)] + [f"Write about the sea {n}" for n in range(6)]
    references = Scores(
        tuple(Query(str(n), text) for n, text in enumerate(texts)),
        ("a", "b"),
        np.array([[1.0, 0.0]] * 6 + [[0.0, 1.0]] * 6),
    )
    queries = Scores((Query("1", "Add up 7 apples"), Query("2", "Write about the sea 7")), ("a", "b"), np.eye(2))
    assert nearest(queries, references, tiny_encoder).tolist() == [1.0, 1.0]


def test_knn_of_many_queries_has_vectors_in_half_precision(tiny_encoder, monkeypatch):
    monkeypatch.setattr("zooter_core.router.text_encoder.MOST_IN_MEMORY", 1)
    test_knn_takes_what_like_queries_earned(tiny_encoder)


def test_scores_of_another_pool_are_refused():
    with pytest.raises(ZooterError, match="the same candidates"):
        TEST_SCORES.in_order(("a", "b"))
    assert TEST_SCORES.in_order(("c", "a", "b")).scores[0].tolist() == [3.0, 1.0, 2.0]
