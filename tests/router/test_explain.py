from __future__ import annotations

import numpy as np
import pytest

from zooter_core.data.scores import Scores
from zooter_core.records import Decision, Query, Tag
from zooter_core.router.explain import MOST_PIECES, explain, pieces_of
from zooter_core.router.neighbours import Neighbours


class Counting:
    """A router for which every `add` in a query makes `a` likelier by a tenth, and every `poem` less likely."""

    candidates = ("a", "b")

    class encoder:  # noqa: N801
        @staticmethod
        def embed(texts):
            return np.array([[0.0, 1.0]] * len(texts))

        @staticmethod
        def sentence(vectors):
            return vectors

    def probabilities(self, queries, exact=False):
        first = [0.5 + 0.1 * query.count("add") - 0.2 * query.count("poem") for query in queries]
        return np.array([[p, 1 - p] for p in first])


def decided(query: str, *tags: str) -> Decision:
    row = Counting().probabilities([query])[0]
    return Decision.of(query, dict(zip("ab", row.tolist(), strict=True)), tuple(Tag(name, 1.0) for name in tags))


def parts(query: str) -> list[str]:
    return [query[start:end] for start, end in pieces_of(query)]


def test_words_are_left_out_one_at_a_time():
    """With both `add` a has .7; without one of them .6, so each is worth .1."""
    found = explain(Counting(), decided("add 2 add 3"))
    assert [(piece.text, round(piece.contribution, 6)) for piece in found.pieces] == [
        ("add", 0.1), ("2", 0.0), ("add", 0.1), ("3", 0.0),
    ]  # fmt: skip
    assert (found.candidate, found.tags, found.neighbours) == ("a", [], [])


def test_what_speaks_against_the_choice_is_negative():
    found = explain(Counting(), decided("add add add poem"))
    assert found.candidate == "a"
    assert found.pieces[-1].contribution == pytest.approx(-0.2)


def test_tags_and_like_queries_come_from_the_labels():
    learned = Scores((Query("1", "x", None, ("sum",)), Query("2", "y", None, ("text",))), ("a", "b"), np.zeros((2, 2)))
    near = Neighbours.of(learned, np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[0.9, 0.1], [0.3, 0.7]]), False)
    found = explain(Counting(), decided("add 2", "sum", "unheard"), near, 1)
    assert [(tag.name, tag.queries, round(tag.contribution, 3)) for tag in found.tags] == [("sum", 1, 0.3)]  # .9 - .6
    assert [neighbour.id for neighbour in found.neighbours] == ["1"]
    assert found.to_json()["neighbours"][0]["text"] is None


def test_rewards_of_like_queries_are_told_where_they_are_kept():
    queries = (Query("1", "x"), Query("2", "y"))
    learned = Scores(queries, ("a", "b"), np.array([[2.0, 0.5], [1.0, 3.0]]))
    vectors, labels = np.array([[0.0, 1.0], [1.0, 0.0]]), np.full((2, 2), 0.5)
    kept = Neighbours.of(learned, vectors, labels, False, np.full((2, 2), 0.5))
    assert explain(Counting(), decided("add"), kept, 1).to_json()["neighbours"][0]["rewards"] == {"a": 2.0, "b": 0.5}
    older = Neighbours.of(learned, vectors, labels, False)
    assert "rewards" not in explain(Counting(), decided("add"), older, 1).to_json()["neighbours"][0]


def test_a_query_of_one_word_is_explained():
    assert explain(Counting(), decided("add")).pieces[0].contribution == pytest.approx(0.1)


def test_long_queries_are_taken_by_sentences_or_by_runs_of_words():
    assert parts("one two  three") == ["one", "two", "three"]
    story = "Ana has 3.5 apples and some more. " * 10
    assert parts(story) == ["Ana has 3.5 apples and some more."] * 10
    endless = "word " * 1000
    assert len(parts(endless)) == MOST_PIECES
    assert " ".join(parts(endless)).split() == endless.split()
    assert len(parts("One. " * 500)) <= MOST_PIECES
