"""Router kind `auto`: what it chooses where the text decides, where it says nothing, and where there is too little."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.three_groups import ANY, TABLE, VECTORS
from zooter_core.method.labels import complete, softmax
from zooter_core.router import distill
from zooter_core.router.distill import FEWEST, Scored, learn_auto_kind
from zooter_core.router.head import RouterHead
from zooter_core.router.kinds import configure

POOL = ("a", "b", "c")
CONFIG = configure("auto", {"epochs": 20, "rate": 1e-2})


def scored(vectors, scores, groups=None) -> Scored:
    labels = softmax(np.nan_to_num(scores), 0.2)
    return Scored(vectors, scores, np.zeros(len(scores)) if groups is None else groups, labels.__getitem__)


def trained(vectors, scores, config=CONFIG) -> tuple[RouterHead, np.ndarray]:
    head, earned = learn_auto_kind(scored(vectors, scores), POOL[: scores.shape[1]], "none", config)
    assert earned is not None
    return head, earned


@pytest.fixture(scope="module")
def plain() -> tuple[RouterHead, np.ndarray]:
    """What is learned from queries whose text decides."""
    return trained(VECTORS, TABLE)


def kinds(head: RouterHead) -> list[str]:
    return [part["kind"] for part in head.config.settings["parts"]]


def noise(count: int) -> np.ndarray:
    """Scores that the text says nothing about; the second candidate is a little better."""
    return np.random.default_rng(3).normal([0.0, 0.3, 0.0], size=(count, 3))


def test_where_the_text_decides_it_finds_that_out(plain):
    head, earned = plain
    assert kinds(head) == ["zooter", "kmeans", "kmeans", "bayes"]
    assert head.body.summary().startswith("Cross-validation chose a mixture of 100% zooter and kmeans, and 0% bayes")
    assert head.logits(VECTORS).argmax(axis=1).tolist() == TABLE.argmax(axis=1).tolist()
    assert earned.shape == (3, 60)
    assert np.bincount(earned[2].astype(int)).tolist() == [12] * 5  # the folds
    assert earned[0].mean() > earned[1].mean() + 0.3  # out of fold, the router beats the best single candidate


def test_where_the_text_says_nothing_it_is_the_best_single_candidate():
    vectors = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    head, earned = trained(vectors, noise(300))
    assert (head.logits(ANY).argmax(axis=1) == 1).mean() > 0.9
    assert earned[0].mean() == pytest.approx(earned[1].mean(), abs=0.05)


def test_a_query_unlike_all_that_it_learned_from_goes_to_the_best_single_candidate():
    """Sixty queries with much noise are evidence enough for queries like them, and not for those of another field."""
    scores = TABLE + np.random.default_rng(5).normal(scale=0.5, size=TABLE.shape) + np.array([0.05, 0.0, 0.0])
    head, _ = trained(VECTORS, scores)
    assert head.body.share > 0
    assert head.body.share_far < head.body.share
    unlike = -VECTORS
    assert head.body.near(VECTORS).mean() > 0.8
    assert head.body.near(unlike).max() == 0
    assert "For queries unlike these, the best single model has a weight of" in head.body.summary()
    best = np.full(60, scores.mean(axis=0).argmax())
    assert (head.logits(unlike).argmax(axis=1) == best).all()
    assert (head.logits(VECTORS).argmax(axis=1) == TABLE.argmax(axis=1)).mean() > 0.9


def test_from_few_queries_a_candidate_leads_only_where_it_did_better_on_similar_ones(plain, monkeypatch):
    head, _ = plain
    best, rest = TABLE.mean(axis=0).argmax(), np.arange(60) % 3
    assert "only where it did better on similar ones" in head.body.summary()
    state = dict(head.body.state)
    without = head.body.on(state | {"gains": np.zeros_like(state["gains"])})
    assert (without.logits(VECTORS).argmax(axis=1) == best).all()
    assert (head.body.logits(VECTORS).argmax(axis=1) == rest).all()
    monkeypatch.setattr(distill, "LANDMARKS", 59)  # one more query than that
    more, _ = trained(VECTORS, TABLE)
    assert not more.body.support
    assert "similar ones" not in more.body.summary()


@pytest.mark.parametrize("count", [1, FEWEST - 1])
def test_from_a_few_queries_it_is_the_best_single_candidate(count):
    head, earned = learn_auto_kind(
        scored(VECTORS[:count], noise(200)[-count:] + np.array([0, 9, 0])), POOL, "none", CONFIG
    )
    assert (kinds(head), earned) == ([], None)
    assert "nothing better than always using the best single model" in head.body.summary()
    assert set(head.logits(ANY).argmax(axis=1)) == {1}


def test_missing_and_equal_scores_are_no_obstacle():
    gaps = TABLE.copy()
    gaps[np.arange(60), np.arange(60) // 3 % 3] = np.nan
    head, earned = trained(VECTORS, gaps)
    assert head.logits(VECTORS).argmax(axis=1).tolist() == TABLE.argmax(axis=1).tolist()
    assert np.isnan(earned).any()
    equal, _ = trained(VECTORS, np.ones((60, 3)))  # favour nobody
    assert equal.probabilities(ANY) == pytest.approx(np.full((2000, 3), 1 / 3))
    one = np.where([True, True, False], TABLE, np.nan)  # nobody has scored the third candidate
    assert np.isfinite(trained(VECTORS, one)[0].logits(ANY)).all()


def test_a_win_of_a_missing_score_is_its_share_and_nothing_below_0(monkeypatch):
    completed = []
    monkeypatch.setattr(distill, "complete", lambda *tables: completed.append(complete(*tables)) or completed[-1])
    holes = np.where(np.random.default_rng(0).random(TABLE.shape) < 0.5, np.nan, TABLE)
    holes[np.isnan(holes).all(axis=1), 0] = 1.0
    trained(VECTORS, holes)
    assert (completed[0] >= 0).all()
    assert completed[0].sum(axis=1) == pytest.approx(1)


def test_of_many_queries_some_compare_and_all_teach(monkeypatch):
    monkeypatch.setattr(distill, "MOST_TRIED", 40)
    head, earned = trained(VECTORS, TABLE)
    assert np.isfinite(earned).all(axis=0).sum() == 40
    assert head.logits(VECTORS).argmax(axis=1).tolist() == TABLE.argmax(axis=1).tolist()


def test_a_kind_that_is_clearly_better_stands_alone():
    """Whether a text is above or below a plane through many dimensions is what regression is for, and clusters not."""
    vectors = np.random.default_rng(1).normal(size=(600, 40)).astype(np.float32)
    side = vectors @ np.ones(40, np.float32)
    scores = np.stack([side, -side], axis=1).astype(np.float64)
    head, _ = trained(vectors, scores, replace(CONFIG, epochs=1, rate=1e-9))  # the imitation of labels learns nothing
    assert kinds(head) == ["bayes"]
    assert head.body.summary().startswith("Cross-validation chose bayes, a regression")


def test_labels_of_a_fold_are_made_without_it_and_progress_tells_what_is_left():
    calls: list[np.ndarray] = []
    steps: list[tuple[int, int]] = []

    def labels(rows):
        calls.append(rows)
        return softmax(TABLE[rows], 0.2)

    queries = replace(scored(VECTORS, TABLE), labels=labels)
    learn_auto_kind(queries, POOL, "none", CONFIG, compared=lambda *step: steps.append(step))
    assert sorted(map(len, calls)) == [48] * 5 + [60]  # five folds, and the end
    assert steps == [(number, 20) for number in range(21)]
