"""The baselines, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zooter_core.base.records import Query
from zooter_core.data.scores import Scores
from zooter_core.evaluation.baselines import AT_ONCE, completed, nearest, predicted, simple

VECTORS = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], dtype=np.float32)
SCORES = np.array([[4.0, 0.0], [0.0, 8.0], [5.0, 5.0]], dtype=np.float32)


def test_neighbours_weigh_by_their_similarity():
    """Cosines 1 and 0 at temperature 1 / ln 3 weigh 3 to 1: 0.75 (4, 0) + 0.25 (0, 8) = (3, 2)."""
    query = np.array([[7.0, 0.0]], dtype=np.float32)
    assert predicted(query, VECTORS, SCORES, 2, temperature=1 / math.log(3))[0] == pytest.approx([3.0, 2.0])


@pytest.mark.parametrize("k", [1, 2, 5])
def test_of_equally_near_queries_the_first_ones_count(k):
    """Queries 1, 2, 4, 5, ... are all the same; each has scores of its own, so that the mean tells which were taken."""
    same, other = [1.0, 0.0], [0.0, 1.0]
    vectors = np.array([other if row % 3 == 0 else same for row in range(300)], dtype=np.float32)
    scores = np.array([[2.0**-row, 0.0] for row in range(300)])
    first = [row for row in range(300) if row % 3][:k]
    query = np.array([same], dtype=np.float32)
    assert predicted(query, vectors, scores, k)[0] == pytest.approx(scores[first].mean(axis=0))


def test_many_queries_are_compared_in_parts():
    queries = np.tile(np.array([[5.0, 1.0], [0.1, 1.0]], dtype=np.float16), (AT_ONCE, 1))
    assert predicted(queries, VECTORS, SCORES, 1).tolist() == [[4, 0], [0, 8]] * AT_ONCE


def test_a_gap_is_filled_from_the_queries_with_that_candidates_score():
    """The third query lacks the second score: of the first and the second, cosines -1 and 0, the second is nearer."""
    gaps = SCORES.copy()
    gaps[2, 1] = np.nan
    assert completed(VECTORS, gaps, 1).tolist() == [[4, 0], [0, 8], [5, 8]]
    assert np.isnan(gaps[2, 1])


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
    assert scores_of["best per data set"].tolist() == [1.0, 6.0, 9.0]  # a in x, c in y, the best single where it is new
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
