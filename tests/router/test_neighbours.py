from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.records import Query
from zooter_core.data.scores import Scores
from zooter_core.method.labels import LabelConfig, held_back, lot
from zooter_core.method.tags import TagIndex
from zooter_core.router import neighbours as neighbours_module
from zooter_core.router.neighbours import ARRAYS, RECORDS, Neighbours, principal, sample_rows

# Three queries on the axes of a plane: the second lies between the others.
VECTORS = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
LABELS = np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]])
LEARNED = Scores(
    (
        Query("1", "Add 2 and 3", "sums", ("math",)),
        Query("2", "Count the words", None, ("math", "text")),
        Query("3", "Write a poem", "poems", ("text", "text")),
    ),
    ("a", "b"),
    np.zeros((3, 2)),
)


PROBABILITIES = np.array([[0.9, 0.1], [0.5, 0.5], [0.125, 0.875]])
REWARDS = np.array([[2.0, -1.5], [0.25, 0.25], [-3.0, 1.0]])


def neighbours(texts: bool = True, rewards: np.ndarray = REWARDS) -> Neighbours:
    return Neighbours.of(replace(LEARNED, scores=rewards), VECTORS, LABELS, PROBABILITIES, texts)


def test_the_nearest_come_first_with_their_labels():
    first, second = neighbours().nearest(np.array([1.0, 0.0]), 2)
    assert (first.id, first.similarity, first.label, first.text) == ("1", 1.0, {"a": 0.75, "b": 0.25}, "Add 2 and 3")
    assert (second.id, second.dataset, second.tags) == ("2", None, ("math", "text"))
    assert second.similarity == pytest.approx(0.6)


def test_a_tag_has_the_mean_label_of_its_queries():
    """math: queries 1 and 2, (.75 + .5) / 2; text: 2 and 3, the tag that comes twice counting once."""
    shares = neighbours().tag_shares()
    assert shares == {"math": (2, {"a": 0.625, "b": 0.375}), "text": (2, {"a": 0.375, "b": 0.625})}
    assert neighbours().share("a") == 0.5


@pytest.mark.parametrize("texts", [True, False])
def test_saved_and_loaded_they_are_the_same_with_or_without_texts(tmp_path, texts):
    neighbours(texts).save(tmp_path)
    assert ("Count" in (tmp_path / RECORDS).read_text()) == texts
    assert {name: array.dtype for name, array in load_file(tmp_path / ARRAYS).items()} == {
        **dict.fromkeys(("vectors", "labels", "probabilities", "map"), np.dtype(np.float16)),
        **dict.fromkeys(("map_mean", "map_axes"), np.dtype(np.float32)),
        "rewards": np.dtype(np.float64),
    }
    loaded = Neighbours.load(tmp_path)
    assert [n.id for n in loaded.nearest(VECTORS[1])] == ["2", "3", "1"]
    assert [n.text for n in loaded.nearest(VECTORS[1], 1)] == (["Count the words"] if texts else [None])
    assert loaded.rewards.tolist() == REWARDS.tolist()
    np.testing.assert_allclose(loaded.probabilities, PROBABILITIES, atol=1e-3)
    np.testing.assert_allclose(loaded.projection(VECTORS), loaded.places, atol=1e-3)
    assert loaded.nearest(VECTORS[2], 1)[0].rewards == {"a": -3.0, "b": 1.0}


def gaining(vectors: np.ndarray, middle: np.ndarray | None) -> Neighbours:
    """400 queries on which the second of two candidates leads by 0, 1, 2, ... 9, for forty queries in a row each."""
    count = 400
    rewards = np.stack([np.zeros(count), np.arange(count) // 40], axis=1)
    learned = Scores(tuple(Query(str(n), f"text {n}") for n in range(count)), ("a", "b"), rewards)
    sure = np.tile([0.9, 0.1], (count, 1))
    return Neighbours.of(learned, vectors, sure, sure, middle=middle)


def test_an_expected_gain_is_ranked_among_those_of_the_training_queries(tmp_path, monkeypatch):
    """On a circle, the most similar queries of row n are those around it, so the gains are about 0 to 9, evenly."""
    monkeypatch.setattr(neighbours_module, "AT_ONCE", 3)  # of four queries
    angles = np.arange(400) * np.pi / 800
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    queries, columns = circle[[20, 180, 220, 379]], np.array([[0, 1]] * 4)
    by_sentence = gaining(circle, None)
    ranks = by_sentence.gain_ranks(np.hstack([np.zeros_like(queries), queries]), columns)
    assert ranks == pytest.approx([0.0, 0.43, 0.53, 0.95], abs=0.06)
    assert by_sentence.gain_ranks(np.hstack([queries, queries]), columns[:, ::-1]).tolist() == [0, 0, 0, 0]
    gaining(np.ones_like(circle), circle).save(tmp_path)  # told apart by the middle layer alone
    loaded = Neighbours.load(tmp_path)
    assert loaded.gain_ranks(np.hstack([queries, np.ones_like(queries)]), columns) == pytest.approx(ranks, abs=0.06)


def test_a_training_query_is_not_among_those_that_are_similar_to_it():
    """One of 21 has a gain, which is expected of all others, as it is among the 20 most similar of each."""
    angles = np.arange(21) * np.pi / 60
    arc = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    rewards = np.stack([np.zeros(21), np.where(np.arange(21) == 10, 20.0, 0.0)], axis=1)
    learned = Scores(tuple(Query(str(n), f"text {n}") for n in range(21)), ("a", "b"), rewards)
    sure = np.tile([0.9, 0.1], (21, 1))
    ranks = Neighbours.of(learned, arc, sure, sure).gain_ranks(np.tile(arc[10:11], 2), np.array([[0, 1]]))
    assert ranks == pytest.approx([1 / 21])


def test_their_scores_are_the_rewards_of_queries_with_texts():
    stored = neighbours()
    scores = stored.scores()
    assert scores.scores == pytest.approx(REWARDS)
    first = scores.queries[0]
    assert (first.text, first.dataset, first.tags) == ("Add 2 and 3", "sums", ("math",))
    stored = replace(stored, queries=[replace(stored.queries[0], text=""), *stored.queries[1:]])
    assert [query.text for query in stored.scores().queries] == ["Count the words", "Write a poem"]
    with pytest.raises(ZooterError, match="Take the score file"):
        neighbours(texts=False).scores()


def test_some_of_their_scores_are_held_back_although_none_was_in_the_run():
    config = LabelConfig(holdout=0.2)
    queries = [Query(f"q{n}", f"text {n}") for n in range(400)]

    def drawn(queries) -> np.ndarray:
        lots = [lot(query.id, config.seed) for query in queries]
        return held_back(lots, [query.dataset or "all" for query in queries], config.holdout)

    queries = [query for query, out in zip(queries, drawn(queries), strict=True) if not out]
    shares = np.full((len(queries), 3), 1 / 3)
    learned = Scores(tuple(queries), ("a", "b", "c"), shares)
    scores = Neighbours.of(learned, np.ones((len(queries), 4)), shares, shares, texts=True).scores()
    assert 0.1 < np.mean(drawn(scores.queries)) < 0.3


def test_rewards_are_saved_as_they_are(tmp_path):
    rewards = np.asfortranarray(1000 + REWARDS / 3)
    rewards[0, 1] = np.nan
    neighbours(rewards=rewards).save(tmp_path)
    np.testing.assert_array_equal(Neighbours.load(tmp_path).rewards, rewards)


def test_broken_files_are_one_clear_error_and_a_folder_without_them_has_none(tmp_path):
    assert Neighbours.load(tmp_path) is None
    none = json.dumps({"candidates": ["a", "b"], "queries": []}).encode()
    for name, content in ((ARRAYS, None), (ARRAYS, b"no"), (RECORDS, b"{"), (RECORDS, none)):
        neighbours().save(tmp_path)
        if content is None:
            (tmp_path / name).unlink()
        else:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(WorkError, match="complete neighbours in"):
            Neighbours.load(tmp_path)


def test_a_bounded_sample_has_rare_tags():
    """Ten of 1,000 queries have a tag of their own: by chance one would be among 100, here about half of the weight."""
    tags = TagIndex.of([("rare",) if row % 100 == 0 else ("common",) for row in range(1000)])
    rows = sample_rows(tags, most=100)
    assert len(set(rows.tolist())) == 100
    assert (np.diff(rows) > 0).all()
    assert sum(tags[int(row)] == ("rare",) for row in rows) >= 9
    assert sample_rows(tags, most=1000).tolist() == list(range(1000))
    assert len(sample_rows(TagIndex.of([()] * 50), most=10)) == 10


# A rectangle of 4 by 2 around (1, 1, 5): the first axis is the long side, the second the short one.
CORNERS = np.array([[-1.0, 0.0, 5.0], [-1.0, 2.0, 5.0], [3.0, 0.0, 5.0], [3.0, 2.0, 5.0]])


def test_the_axes_are_the_directions_of_most_difference():
    projection = principal(CORNERS)
    assert projection.mean.tolist() == [1.0, 1.0, 5.0]
    np.testing.assert_allclose(projection.axes, [[1, 0], [0, 1], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(projection(CORNERS), [[-2, -1], [-2, 1], [2, -1], [2, 1]], atol=1e-6)
    np.testing.assert_allclose(projection(np.array([2.0, 1.5, 99.0])), [1.0, 0.5], atol=1e-6)  # its part in the plane


@pytest.mark.parametrize("vectors", [np.ones((1, 3)), np.ones((4, 3)), np.ones((4, 1))])
def test_vectors_that_do_not_differ_lie_at_one_place(vectors):
    assert principal(vectors)(vectors).tolist() == [[0.0, 0.0]] * len(vectors)
