from __future__ import annotations

import numpy as np
import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Query
from zooter_core.data.scores import Scores
from zooter_core.evaluation import sweep as sweeping
from zooter_core.evaluation.sweep import _folds, figures, sweep
from zooter_core.method.labels import LabelConfig
from zooter_core.router.kinds import DistillConfig

SUMS = [f"Add up {n} apples and {n + 3} apples" for n in range(24)]
TEXTS = [f"Write about the sea {n} times" for n in range(16)]
QUERIES = tuple(Query(f"q{n}", text) for n, text in enumerate(SUMS + TEXTS))
SCORES = Scores(QUERIES, ("math", "writer"), np.array([[4.0, 0.0]] * 24 + [[0.0, 4.0]] * 16))
TAGS = [("sum",)] * 24 + [("text",)] * 16
QUICK = DistillConfig(epochs=40, rate=1e-2)


@pytest.fixture(autouse=True)
def one_seed(monkeypatch):
    monkeypatch.setattr(sweeping, "SEEDS", 1)


@pytest.fixture(scope="module")
def vectors(tiny_encoder) -> np.ndarray:
    return tiny_encoder.embed_all([query.text for query in QUERIES])


def test_each_beta_has_a_row_with_its_interval(vectors):
    calls: list[tuple[str, int, int]] = []
    configs = [LabelConfig(beta) for beta in (0.0, 0.3, 1.0)]
    result = sweep(SCORES, TAGS, vectors, configs, QUICK, lambda *call: calls.append(call))
    assert [row.beta for row in result.rows] == [0.0, 0.3, 1.0]
    assert calls[-1] == ("sweep", 15, 15)
    for row in result.rows:
        low, high = row.interval
        assert low <= row.mean <= high or (row.mean == 4.0 and np.isnan([low, high]).all())  # always right: no spread
        assert row.regret == pytest.approx(4.0 - row.mean)
        assert row.mean > 3.0  # the two kinds are easy to separate
    best = next(row for row in result.rows if result.is_best(row))
    assert best.mean == max(row.mean for row in result.rows)
    assert best.minus_best == (0.0, 0.0)
    verdict = result.verdict
    assert verdict is not None
    assert (verdict.against, verdict.source, verdict.hindsight, verdict.n) == ("math", "cross-validation", False, 40)
    assert verdict.difference == pytest.approx(best.mean - 4.0 * 24 / 40)  # `math`, the best single of every fold
    assert verdict.significant


def test_one_high_score_of_a_candidate_draws_no_queries_to_it(vectors):
    third = np.full((40, 1), np.nan)
    third[0] = 9.0
    scores = Scores(QUERIES, (*SCORES.candidates, "new"), np.hstack([SCORES.scores, third]))
    (row,) = sweep(scores, TAGS, vectors, [LabelConfig(0.0)], QUICK).rows
    assert row.n > 36  # hardly any goes to the third, which counts as average; half of them did


def test_a_gain_in_one_fold_alone_is_not_significant():
    """The routers of a fold are one router: its queries are not as many independent tries."""
    queries = tuple(Query(f"q{n}", "Hi") for n in range(600))
    scores = Scores(queries, ("a", "b"), np.array([[1.0, 0.0]] * 600))
    config, first = LabelConfig(), _folds(scores, 0) == 0
    one = figures(scores, {config: np.where(first, 3.0, 1.0)}).verdict
    every = figures(scores, {config: np.where(np.arange(600) % 2, 3.0, 1.0)}).verdict
    assert (one.significant, every.significant) == (False, True)
    assert one.difference == pytest.approx(2 * first.mean())


def test_wrong_tags_make_the_prior_worse_than_the_label(vectors):
    """With one tag for all, beta = 0 gives every query the same label: only the majority can be learned."""
    result = sweep(SCORES, [("all",)] * 40, vectors, [LabelConfig(0.0), LabelConfig(1.0)], QUICK)
    prior, plain = result.rows
    assert prior.mean == pytest.approx(4.0 * 24 / 40)
    assert plain.mean > prior.mean
    assert (result.best, result.differs) == ({"beta": 1.0, "tau": 1.0}, True)


def test_fewer_queries_than_folds_are_refused(vectors):
    with pytest.raises(ZooterError, match="at least 5 queries"):
        sweep(SCORES.subset([0, 30]), TAGS[:2], vectors[[0, 30]], [LabelConfig()], QUICK)
