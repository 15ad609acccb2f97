from __future__ import annotations

import json

import numpy as np
import pytest

from zooter_core.errors import WorkError
from zooter_core.neighbours import ARRAYS, RECORDS, Neighbours
from zooter_core.records import Query
from zooter_core.scores import Scores

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


def made(texts: bool = True) -> Neighbours:
    return Neighbours.of(LEARNED, VECTORS, LABELS, texts)


def test_the_nearest_come_first_with_their_labels():
    first, second = made().nearest(np.array([1.0, 0.0]), 2)
    assert (first.id, first.similarity, first.label, first.text) == ("1", 1.0, {"a": 0.75, "b": 0.25}, "Add 2 and 3")
    assert (second.id, second.dataset, second.tags) == ("2", None, ("math", "text"))
    assert second.similarity == pytest.approx(0.6)


def test_a_tag_has_the_mean_label_of_its_queries():
    """math: queries 1 and 2, (.75 + .5) / 2; text: 2 and 3, the tag that comes twice counting once."""
    shares = made().tag_shares()
    assert shares == {"math": (2, {"a": 0.625, "b": 0.375}), "text": (2, {"a": 0.375, "b": 0.625})}
    assert made().share("a") == 0.5


@pytest.mark.parametrize("texts", [True, False])
def test_saved_and_loaded_they_are_the_same(tmp_path, texts):
    made(texts).save(tmp_path)
    found = Neighbours.load(tmp_path)
    assert [n.id for n in found.nearest(VECTORS[1])] == ["2", "3", "1"]
    assert [n.text for n in found.nearest(VECTORS[1], 1)] == (["Count the words"] if texts else [None])
    assert ("Count" in (tmp_path / RECORDS).read_text()) == texts


def test_a_folder_without_them_has_none(tmp_path):
    assert Neighbours.load(tmp_path) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / ARRAYS).unlink(),
        lambda folder: (folder / ARRAYS).write_bytes(b"no"),
        lambda folder: (folder / RECORDS).write_text("{"),
        lambda folder: (folder / RECORDS).write_text(json.dumps({"candidates": ["a", "b"], "queries": []})),
    ],
)
def test_broken_files_are_one_clear_error(tmp_path, damage):
    made().save(tmp_path)
    damage(tmp_path)
    with pytest.raises(WorkError, match="whole neighbours in"):
        Neighbours.load(tmp_path)
