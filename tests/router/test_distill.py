from __future__ import annotations

import numpy as np
import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.method import calibration
from zooter_core.method.labels import kl
from zooter_core.router import distill
from zooter_core.router.distill import PATIENCE, Trial, learn, trial
from zooter_core.router.kinds import DistillConfig
from zooter_core.router.router import DistilledRouter

POOL = ["math", "writer"]
SUMS = [f"Add up {n} apples and {n + 3} apples" for n in range(30)]
TEXTS = [f"Write about the sea {word}" for word in ("at", "by", "in", "of", "on", "to", "up", "as", "we", "he")]
QUERIES = SUMS[:20] + TEXTS[:8]
LABELS = np.array([[0.9, 0.1]] * 20 + [[0.2, 0.8]] * 8)
NEW = SUMS[20:] + TEXTS[8:]
QUICK = DistillConfig(epochs=5)


def test_a_separable_problem_is_learned(tiny_encoder):
    config = DistillConfig(epochs=60, rate=1e-2)
    head = learn(tiny_encoder.embed_all(QUERIES), LABELS, POOL, tiny_encoder.reference, config)
    router = DistilledRouter(head, tiny_encoder)
    assert (router.candidates, head.config.encoder) == (("math", "writer"), tiny_encoder.reference)
    assert kl(LABELS, router.probabilities(QUERIES)).mean() < 0.01
    assert router.probabilities(NEW).argmax(axis=1).tolist() == [0] * 10 + [1] * 2


def test_no_query_is_refused():
    with pytest.raises(ZooterError, match="at least one query"):
        learn(np.zeros((0, 64), np.float32), np.zeros((0, 2)), POOL, "none", QUICK)


@pytest.mark.parametrize(
    ("losses", "epochs"),
    [
        # Those of the embedded fleet's labels: a lucky first epoch does not end a trial.
        ([0.812, 0.838, 0.841, 0.830, 0.815, 0.808, 0.802, 0.795], 8),
        ([float(number) for number in range(1 + PATIENCE)], 1),  # nothing gets better
    ],
)
def test_a_trial_judges_a_fifth_of_the_queries_and_ends_where_nothing_gets_better(monkeypatch, losses, epochs):
    judged: list[int] = []
    monkeypatch.setattr(calibration, "fit_temperature", lambda *_: 1.0)
    monkeypatch.setattr(
        calibration, "log_loss", lambda logits, *_: judged.append(len(logits)) or losses[len(judged) - 1]
    )
    vectors = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    labels = np.eye(2)[np.arange(100) % 2]
    config = DistillConfig() if epochs > 1 else DistillConfig(epochs=30)
    assert trial(vectors, labels, config, labels).epochs == epochs
    assert judged == [20] * len(losses)


def test_a_trial_goes_by_the_scores_that_there_are():
    """Without two thirds of one candidate's scores, the temperature is still found: no loss is NaN."""
    groups = np.arange(120) % 2
    vectors = (np.eye(2)[groups] + np.random.default_rng(0).normal(scale=0.6, size=(120, 2))).astype(np.float32)
    labels = np.where(np.eye(2)[groups] > 0, 0.9, 0.1)
    gaps = np.where((np.arange(120) % 3 > 0)[:, None] & [True, False], np.nan, labels)
    complete, sparse = (trial(vectors, labels, QUICK, scores) for scores in (labels, gaps))
    assert 0.5 < sparse.temperature / complete.temperature < 2


def test_a_trial_of_some_of_many_queries_sets_the_temperature(monkeypatch):
    monkeypatch.setattr(distill, "MOST_TRIED", 100)
    monkeypatch.setattr(distill, "trial", lambda vectors, *_: Trial(1, temperature=float(len(vectors))))
    vectors, labels = np.ones((120, 8), np.float32), np.full((120, 2), 0.5)
    assert learn(vectors, labels, POOL, "none", QUICK).config.calibration_temperature == 100
