from __future__ import annotations

import numpy as np
import pytest
from tiny import POOL

from zooter_core.data.scores import Scores
from zooter_core.errors import ZooterError
from zooter_core.method import labels
from zooter_core.method.labels import LabelConfig, held_back
from zooter_core.pipeline.sources import scores_of_neighbours
from zooter_core.records import Query
from zooter_core.router.neighbours import Neighbours


def kept(texts: bool) -> Neighbours:
    shares = labels.softmax(np.array([[2.0, 0.5, -1.0], [0.0, 9.0, 30.0]]), tau=0.5)
    learned = Scores((Query("a", "x", "sums", ("t",)), Query("b", "y")), POOL, shares)
    return Neighbours.of(learned, np.ones((2, 4)), shares, texts)


def test_relative_rewards_give_the_shares_back():
    found = scores_of_neighbours(kept(True), tau=0.5)
    assert found.scores[0] - found.scores[0, 0] == pytest.approx([0, -1.5, -3.0], abs=1e-5)
    assert labels.softmax(found.scores, 0.5) == pytest.approx(kept(True).labels, abs=1e-6)
    assert np.isfinite(found.scores).all()  # the second query has a share of nothing
    assert (found.queries[0].text, found.queries[0].dataset, found.queries[0].tags) == ("x", "sums", ("t",))


def test_rewards_are_taken_where_they_are_kept():
    rewards = np.array([[2.0, 0.5, -1.0], [0.0, 9.0, 30.0]])
    shares = labels.softmax(rewards, tau=0.5)
    learned = Scores((Query("a", "x"), Query("b", "y")), POOL, rewards)
    found = scores_of_neighbours(Neighbours.of(learned, np.eye(2, 4), shares, True, shares), tau=0.5)
    assert found.scores == pytest.approx(rewards)


def test_queries_without_texts_are_left_out():
    some = kept(True)
    del some.records[0]["text"]
    assert [query.text for query in scores_of_neighbours(some).queries] == ["y"]
    with pytest.raises(ZooterError, match="--keep-texts"):
        scores_of_neighbours(kept(False))


def test_a_share_of_them_is_held_back_although_none_was_of_their_run():
    config = LabelConfig(holdout=0.2)
    learned = [Query(f"q{n}", f"text {n}") for n in range(400)]
    learned = [query for query in learned if not held_back(query.id, config)]
    shares = np.full((len(learned), 3), 1 / 3)
    known = Neighbours.of(Scores(tuple(learned), POOL, shares), np.ones((len(learned), 4)), shares, True)
    found = scores_of_neighbours(known)
    assert 0.1 < np.mean([held_back(query.id, config) for query in found.queries]) < 0.3
