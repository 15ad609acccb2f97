from __future__ import annotations

import numpy as np
import pytest
import torch

from zooter_core.errors import ZooterError
from zooter_core.method import calibration
from zooter_core.method.labels import kl
from zooter_core.router.distill import distill, fit_head, trial, with_copies
from zooter_core.router.kinds import DistillConfig

POOL = ["math", "writer"]
SUMS = [f"Add up {n} apples and {n + 3} apples" for n in range(30)]
TEXTS = [f"Write about the sea {word}" for word in ("at", "by", "in", "of", "on", "to", "up", "as", "we", "he")]
QUERIES = SUMS[:20] + TEXTS[:8]
LABELS = np.array([[0.9, 0.1]] * 20 + [[0.2, 0.8]] * 8)
NEW = SUMS[20:] + TEXTS[8:]
QUICK = DistillConfig(epochs=5)


def learn(encoder, config=QUICK, **more):
    return distill(QUERIES, LABELS, POOL, encoder, config, **more)


def test_a_separable_problem_is_learned(tiny_encoder):
    router = learn(tiny_encoder, DistillConfig(epochs=60, rate=1e-2))
    assert kl(LABELS, router.probabilities(QUERIES)).mean() < 0.01
    choices = router.probabilities(NEW).argmax(axis=1)
    assert choices.tolist() == [0] * 10 + [1] * 2


def test_what_is_learned_is_the_distribution_and_not_the_winner_alone(tiny_encoder):
    router = learn(tiny_encoder, DistillConfig(epochs=100, rate=1e-2, dropout=0.0))
    assert router.probabilities(QUERIES) == pytest.approx(LABELS, abs=0.1)


def test_a_seed_fixes_the_router(tiny_encoder):
    first = learn(tiny_encoder).probabilities(NEW)
    torch.rand(5)
    assert np.array_equal(learn(tiny_encoder).probabilities(NEW), first)
    assert not np.array_equal(learn(tiny_encoder, DistillConfig(epochs=5, seed=1)).probabilities(NEW), first)


def test_training_leaves_the_callers_random_numbers_alone(tiny_encoder):
    before = torch.get_rng_state()
    learn(tiny_encoder)
    assert torch.equal(torch.get_rng_state(), before)


def test_progress_tells_every_epoch_and_its_loss(tiny_encoder):
    told: list[tuple[int, float]] = []
    learn(tiny_encoder, DistillConfig(epochs=20, rate=1e-2), progress=lambda epoch, loss: told.append((epoch, loss)))
    assert [epoch for epoch, _ in told] == list(range(1, 21))
    assert told[-1][1] < told[0][1]


def test_the_router_knows_its_pool_and_encoder(tiny_encoder):
    router = learn(tiny_encoder, DistillConfig(epochs=1, hidden=7))
    assert router.candidates == ("math", "writer")
    assert (router.head.config.encoder, router.head.config.settings["hidden"]) == (tiny_encoder.reference, 7)
    assert not router.head.training


def test_the_encoder_stays_frozen(tiny_encoder):
    before = {name: weight.clone() for name, weight in tiny_encoder.model.state_dict().items()}
    learn(tiny_encoder)
    after = tiny_encoder.model.state_dict()
    assert all(torch.equal(weight, after[name]) for name, weight in before.items())


def test_one_query_is_enough(tiny_encoder):
    router = distill(["Hi"], np.array([[0.5, 0.5]]), POOL, tiny_encoder, QUICK)
    assert router.probabilities(["Hi"]).shape == (1, 2)


def test_no_query_is_refused(tiny_encoder):
    with pytest.raises(ZooterError, match="at least one query"):
        distill([], np.zeros((0, 2)), POOL, tiny_encoder, QUICK)


def test_edited_copies_are_learned_with_the_labels_of_their_queries(tiny_encoder):
    """Copies differ from what was asked, so that the head does; a number of copies and a seed fix it."""
    config = DistillConfig(epochs=5, augment=2)
    vectors = with_copies(QUERIES, tiny_encoder, config)
    assert vectors.shape == (3, len(QUERIES), 2 * tiny_encoder.width)
    assert np.array_equal(vectors[0], with_copies(QUERIES, tiny_encoder, QUICK))
    assert not np.allclose(vectors[1], vectors[0])
    assert not np.allclose(vectors[1], vectors[2])
    router = learn(tiny_encoder, config)
    assert np.array_equal(router.probabilities(NEW), learn(tiny_encoder, config).probabilities(NEW))
    assert not np.allclose(router.probabilities(NEW), learn(tiny_encoder).probabilities(NEW))
    flat = fit_head(vectors.reshape(-1, vectors.shape[-1]), np.tile(LABELS, (3, 1)), POOL, "", config)
    same = fit_head(vectors, LABELS, POOL, "", config)
    given = torch.from_numpy(vectors[0])
    assert torch.equal(flat(given), same(given))


def test_no_copy_of_a_query_set_aside_is_learned_in_a_trial():
    """Labels without a rule: training longer helps with those aside only if copies of them are learned."""
    dice = np.random.default_rng(0)
    asked = dice.normal(size=(200, 64)).astype(np.float32)
    labels = np.eye(2)[dice.integers(0, 2, 200)]
    config = DistillConfig(epochs=60, rate=1e-2, dropout=0.0)
    assert trial(np.stack([asked, asked]), labels, POOL, config, labels).epochs < 5
    leaking = np.concatenate([asked, asked]), np.tile(labels, (2, 1))  # as queries of their own
    assert trial(*leaking, POOL, config, leaking[1]).epochs > 15


def test_a_lucky_first_epoch_does_not_end_a_trial(monkeypatch):
    """The losses are those of the embedded fleet's labels, where it happened."""
    losses = iter([0.812, 0.838, 0.841, 0.830, 0.815, 0.808, 0.802, 0.795])
    monkeypatch.setattr(calibration, "temperature_of", lambda *_: 1.0)
    monkeypatch.setattr(calibration, "log_loss", lambda *_: next(losses))
    vectors = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    labels = np.eye(2)[np.arange(100) % 2]
    assert trial(vectors, labels, POOL, DistillConfig(), labels).epochs == 8
