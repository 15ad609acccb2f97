"""Router kind `bayes`: how far it goes from the best single candidate, and by what."""

from __future__ import annotations

import numpy as np
import pytest

from zooter_core.base.skills import SKILLS
from zooter_core.labelling.skills import WIDTH
from zooter_core.router.distill import learn
from zooter_core.router.kinds import configure
from zooter_core.router.kinds.bayes import OF_TEXT, BayesHead


def noise(*shape: int, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=scale, size=shape).astype(np.float32)


def fitted(vectors, scores):
    return learn(vectors, scores, ["a", "b", "c"], "none", configure("bayes"), scores=scores)


def test_logits_by_hand():
    """The query (3, 4) has the length 5; the weights are a level, and one for each number of the unit vector."""
    head = BayesHead(2, 2).on({"weight": np.array([[1.0, 0.0], [10.0, 0.0], [0.0, 5.0]])})
    assert head.logits(np.array([[3.0, 4.0]]))[0].tolist() == pytest.approx([1 + 10 * 0.6, 5 * 0.8])


def test_where_the_text_says_nothing_it_is_the_best_single_candidate():
    head = fitted(noise(300, 6), noise(300, 3, seed=1) + np.array([0.3, 0.0, 0.0]))
    assert (head.logits(noise(500, 6, seed=2)).argmax(axis=1) == 0).mean() > 0.95


def test_skills_are_learned_from_few_queries():
    """Half of 40 queries ask for one skill, half for another, and their vectors are noise otherwise."""
    half = np.arange(40) % 2

    def vectors(seed: int) -> np.ndarray:
        """The second half of a vector, whose first numbers are the skills, is the sentence's."""
        values = noise(40, 2 * WIDTH, scale=0.2, seed=seed)
        values[:, WIDTH : WIDTH + len(SKILLS)] = np.eye(len(SKILLS))[np.where(half, 5, 2)]
        return values

    scores = np.array([[1.0, 0.0, 0.4], [0.0, 1.0, 0.4]])[half] + noise(40, 3, scale=0.5)
    head = fitted(vectors(1), scores)
    assert (head.logits(vectors(2)).argmax(axis=1) == half).mean() > 0.9


def test_what_all_candidates_of_a_query_have_in_common_says_nothing():
    scores, vectors = noise(60, 3), noise(60, 6, seed=1)
    hard = fitted(vectors, scores + noise(60, 1, scale=10.0, seed=2))
    assert hard.logits(vectors) == pytest.approx(fitted(vectors, scores).logits(vectors), abs=1e-4)


def test_the_varied_scores_of_others_are_no_reason_to_leave_the_best(monkeypatch):
    """One candidate is best everywhere, and the text decides between the two others."""
    vectors, unseen = noise(50, 12), noise(500, 12, seed=3)
    side = vectors @ np.ones(12, np.float32)
    scores = np.stack([np.full(50, 0.8), 0.2 * side, -0.2 * side], axis=1) + noise(50, 3, seed=1)
    cautious = (fitted(vectors, scores).logits(unseen).argmax(axis=1) == 0).mean()
    monkeypatch.setattr("zooter_core.router.kinds.bayes.OF_TEXT", dict.fromkeys(OF_TEXT, 0.0))
    bold = (fitted(vectors, scores).logits(unseen).argmax(axis=1) == 0).mean()
    assert cautious > bold + 0.05
