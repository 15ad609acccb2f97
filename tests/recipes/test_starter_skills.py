"""The training of the skill classifier: its queries, its settings by cross-validation, and what it is measured by."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from recipes.starter import skills
from zooter_core.base.jsonl import read_records
from zooter_core.base.skills import SKILLS
from zooter_core.data.curate import Benchmarks, normalise


def test_generated_queries_are_none_of_the_tests():
    examples = skills.generated()
    counts = Counter(skill for _, skill in examples)
    assert set(counts) <= set(SKILLS)
    assert max(counts.values()) == skills.MOST
    assert len(set(examples)) > 0.98 * len(examples)
    tests = Benchmarks.read([skills.HELD_BACK, *(skills.TESTS / f"{name}.jsonl" for name in skills.EVIDENT)])
    assert not any(tests.overlap(normalise(query)) for query, _ in examples)


def test_a_head_learns_the_queries_that_count():
    """Two queries of each of two skills; the one that counts nothing is labelled wrongly."""
    vectors = np.zeros((5, 384))
    vectors[[0, 1], 0], vectors[[2, 3, 4], 1] = 1, 1
    head = skills.fit(vectors, np.array([3, 3, 7, 7, 5]), np.array([1.0, 1, 1, 1, 0]), 1e-5)
    assert head.probabilities(vectors).argmax(axis=1).tolist() == [3, 3, 7, 7, 7]
    decayed = skills.fit(vectors, np.array([3, 3, 7, 7, 5]), np.array([1.0, 1, 1, 1, 0]), 1.0)
    assert np.abs(decayed.weights).max() < np.abs(head.weights).max()


def test_the_expert_of_the_most_probable_group():
    """Three skills of mathematics with 0.2 each are more than one for chat with 0.4; what goes to chat adds up."""
    rows = np.zeros((3, 16))
    rows[0, [SKILLS.index(name) for name in ("arithmetic", "algebra", "word-problems", "facts")]] = 0.2, 0.2, 0.2, 0.4
    rows[1, [SKILLS.index(name) for name in ("verse", "facts", "summary")]] = 0.4, 0.3, 0.3
    rows[2, [SKILLS.index(name) for name in ("debugging", "advice")]] = 0.6, 0.4
    assert skills.experts_of(rows) == ["math", "chat", "code"]
    assert skills.right(["math", "chat"], ["math", "code"]) == 0.5


@pytest.mark.slow
def test_the_readme_says_how_much_was_learned_from():
    readme = (skills.STARTER.parent / "README.md").read_text(encoding="utf-8")
    assert f"{len(skills.generated()):,} of the embedded" in readme.replace("\n", " ")
    assert len(list(read_records(skills.HELD_BACK))) == 160
