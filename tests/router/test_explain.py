from __future__ import annotations

import numpy as np
import pytest

from zooter_core.base.records import Decision, Query, Tag
from zooter_core.data.scores import Scores
from zooter_core.router.explain import MOST_PIECES, explain, split_query
from zooter_core.router.neighbours import Neighbours


class Words:
    """An encoder whose vectors count `add` and `poem`."""

    def embed(self, texts):
        return np.array([[text.count("add"), text.count("poem")] for text in texts])

    def sentence(self, vectors):
        return np.array([[0.0, 1.0]] * len(vectors))


class Counting:
    """A router for which every `add` in a query makes `a` likelier by a tenth, and every `poem` less likely."""

    candidates = ("a", "b")
    encoder = Words()

    def probabilities(self, queries):
        first = 0.5 + self.encoder.embed(queries) @ [0.1, -0.2]
        return np.stack([first, 1 - first], axis=1)


def decided(query: str, *tags: str) -> Decision:
    row = Counting().probabilities([query])[0]
    return Decision.of(query, dict(zip("ab", row.tolist(), strict=True)), tuple(Tag(name, 1.0) for name in tags))


def parts(query: str) -> list[str]:
    return [query[start:end] for start, end in split_query(query)]


def test_words_are_left_out_one_at_a_time():
    """With both `add` a has .7; without one of them .6, so each is worth .1."""
    explanation = explain(Counting(), decided("add 2 add 3"))
    assert [(piece.text, round(piece.contribution, 6)) for piece in explanation.pieces] == [
        ("add", 0.1), ("2", 0.0), ("add", 0.1), ("3", 0.0),
    ]  # fmt: skip
    assert (explanation.candidate, explanation.tags, explanation.neighbours) == ("a", [], [])


def test_what_speaks_against_the_choice_is_negative():
    explanation = explain(Counting(), decided("add add add poem"))
    assert explanation.candidate == "a"
    assert explanation.pieces[-1].contribution == pytest.approx(-0.2)
    assert explain(Counting(), decided("add")).pieces[0].contribution == pytest.approx(0.1)  # a query of one word


def test_tags_and_similar_queries_come_from_the_labels():
    queries = (Query("1", "x", None, ("sum",)), Query("2", "y", None, ("text",)))
    learned = Scores(queries, ("a", "b"), np.array([[2.0, 0.5], [1.0, 3.0]]))
    labels = np.array([[0.9, 0.1], [0.3, 0.7]])
    neighbours = Neighbours.of(learned, np.array([[0.0, 1.0], [1.0, 0.0]]), labels, labels)
    explanation = explain(Counting(), decided("add 2", "sum", "unheard"), neighbours, 1)
    (tag,) = explanation.tags
    assert (tag.name, tag.queries, round(tag.contribution, 3)) == ("sum", 1, 0.3)  # .9 - .6
    assert explanation.to_json()["neighbours"] == [
        {
            "id": "1", "similarity": 1.0, "label": {"a": 0.9, "b": 0.1}, "tags": ["sum"], "dataset": None,
            "text": None, "rewards": {"a": 2.0, "b": 0.5},
        }
    ]  # fmt: skip


def test_long_queries_are_taken_by_sentences_or_by_runs_of_words():
    assert parts("one two  three") == ["one", "two", "three"]
    story = "Ana has 3.5 apples and some more. " * 10
    assert parts(story) == ["Ana has 3.5 apples and some more."] * 10
    endless = "word " * 1000
    assert len(parts(endless)) == MOST_PIECES
    assert " ".join(parts(endless)).split() == endless.split()
    assert len(parts("One. " * 500)) <= MOST_PIECES
