from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from zooter_core.base.errors import ZooterError
from zooter_core.router import finetune as module
from zooter_core.router.encoder import Encoder, Encoders
from zooter_core.router.finetune import Training
from zooter_core.router.kinds import DistillConfig, configure
from zooter_core.router.router import Router

QUERIES = [f"Add up {n} apples and {n + 3} apples" for n in range(80)] + [f"Write about the sea {n}" for n in range(50)]
LABELS = np.array([[0.9, 0.1]] * 80 + [[0.1, 0.9]] * 50)
POOL = ["math", "writer"]
CONFIG = DistillConfig(rate=1e-2, finetune="all", epochs=2)


class StoppedError(Exception):
    pass


@pytest.fixture(scope="module")
def vectors(tiny_encoder):
    return tiny_encoder.embed_all(QUERIES)


@pytest.fixture(scope="module")
def plain(tiny_encoder, vectors):
    """The router and the losses of a training that nothing disturbs."""
    return learn(tiny_encoder, vectors)


@pytest.fixture
def new_accelerator():
    """Settings of an Accelerator last as long as the process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def learn(encoder: Encoder, vectors, config=CONFIG, stop_after: int | None = None, checkpoint=None):
    """The router and the mean loss of each epoch. The training stops after a number of batches."""
    left = stop_after

    def steps(done: int, total: int) -> None:
        nonlocal left
        if left is not None:
            left -= 1
            if left == 0:
                raise StoppedError

    training = Training(QUERIES, vectors, LABELS, LABELS, POOL, encoder, config, checkpoint)
    return training.run(steps), training.losses


def changed(encoder, router: Router) -> set[str]:
    before = encoder.model.state_dict()
    return {name for name, weight in router.encoder.model.state_dict().items() if not torch.equal(weight, before[name])}


def test_all_but_the_word_embeddings_learn(tiny_encoder, plain):
    router, losses = plain
    assert router.probabilities(QUERIES).argmax(axis=1).tolist() == [0] * 80 + [1] * 50
    names = changed(tiny_encoder, router)
    assert any(".0." in name for name in names)
    assert not any("word_embeddings" in name for name in names)
    assert len(losses) == 2
    assert router.head.config.calibration_temperature != 1.0


def test_only_the_last_layer_learns(tiny_encoder, vectors):
    last = len(tiny_encoder.model.encoder.layer) - 1
    router, _ = learn(tiny_encoder, vectors, replace(CONFIG, finetune="last"))
    assert all(f".{last}." in name for name in changed(tiny_encoder, router))


def test_the_encoder_that_came_is_left_alone(tiny_encoder, plain):
    before = Encoder(tiny_encoder.reference)
    weights, first = before.model.state_dict(), before.embed(QUERIES[:3])
    assert all(torch.equal(weight, weights[name]) for name, weight in tiny_encoder.model.state_dict().items())
    assert np.array_equal(tiny_encoder.embed(QUERIES[:3]), first)
    assert not np.allclose(plain[0].encoder.embed(QUERIES[:3]), first)


def test_saved_and_loaded_it_routes_the_same(plain, tmp_path):
    router, _ = plain
    router.save(tmp_path / "router")
    (tmp_path / "router").rename(tmp_path / "moved")  # its encoder goes with it
    assert json.loads((tmp_path / "moved" / "config.json").read_text())["encoder"] == "encoder"
    loaded = Router.load(tmp_path / "moved", Encoders())
    assert np.allclose(loaded.probabilities(QUERIES), router.probabilities(QUERIES), atol=1e-6)


def test_a_seed_fixes_it_and_few_queries_are_enough(tiny_encoder):
    config = DistillConfig(finetune="last", epochs=1)
    vectors = tiny_encoder.embed(["Hi", "Ho"])
    lessons = (["Hi", "Ho"], vectors, np.eye(2), np.eye(2), POOL)
    one, other = (Training(*lessons, tiny_encoder, config).run() for _ in range(2))
    assert np.array_equal(one.probabilities(["Hi"]), other.probabilities(["Hi"]))


@pytest.mark.parametrize("config", [DistillConfig(), DistillConfig(finetune="first"), configure("kmeans")])
def test_what_cannot_be_fine_tuned_is_refused(tiny_encoder, config):
    with pytest.raises(ZooterError, match="--finetune last or all"):
        Training(["Hi"], tiny_encoder.embed(["Hi"]), np.eye(2)[:1], np.eye(2)[:1], POOL, tiny_encoder, config)


def test_a_training_that_was_stopped_ends_as_one_that_was_not(tiny_encoder, vectors, plain, tmp_path, monkeypatch):
    """An epoch has seven batches. The callback of the tenth step comes before its checkpoint."""
    uninterrupted, losses = plain
    monkeypatch.setattr(module, "SAVE_SECONDS", 0.0)
    path = tmp_path / "router" / "finetune.checkpoint"
    with pytest.raises(StoppedError):
        learn(tiny_encoder, vectors, stop_after=10, checkpoint=path)
    assert path.is_file()
    batches: list[list[int]] = []
    step = Training._step
    monkeypatch.setattr(Training, "_step", lambda self, batch: batches.append(batch) or step(self, batch))
    router, again = learn(tiny_encoder, vectors, checkpoint=path)
    assert len(batches) == 14 - 9
    assert again == losses
    assert np.array_equal(router.probabilities(QUERIES), uninterrupted.probabilities(QUERIES))


def test_checkpoints_are_private_and_others_or_damaged_ones_are_ignored(tiny_encoder, vectors, tmp_path, monkeypatch):
    saves, save = [], Training._save
    monkeypatch.setattr(Training, "_save", lambda self: saves.append(self.position.epoch) or save(self))
    path = tmp_path / "finetune.checkpoint"
    learn(tiny_encoder, vectors, checkpoint=path)
    assert saves == [2, 3]  # at the ends of the two epochs: five minutes are not over
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    other = replace(CONFIG, seed=1, epochs=1)
    expected = learn(tiny_encoder, vectors, other)[1]
    assert learn(tiny_encoder, vectors, other, checkpoint=path)[1] == expected
    path.write_bytes(path.read_bytes()[:1000])
    assert learn(tiny_encoder, vectors, other, checkpoint=path)[1] == expected


def without_dropout(encoder: Encoder) -> Encoder:
    twin = encoder.copy()
    for layer in twin.model.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    return twin


def test_accumulated_gradients_are_those_of_the_batch(tiny_encoder, vectors, monkeypatch, new_accelerator):
    encoder, config = without_dropout(tiny_encoder), replace(CONFIG, dropout=0.0)
    reference, losses = learn(encoder, vectors, config)
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "3")
    sizes: list[int] = []
    real = Training._loss
    monkeypatch.setattr(Training, "_loss", lambda self, rows: sizes.append(len(rows)) or real(self, rows))
    router, divided = learn(encoder, vectors, config)
    assert sizes[:6] == [6, 5, 5, 6, 5, 5]
    assert divided == pytest.approx(losses, abs=1e-5)
    assert np.allclose(router.probabilities(QUERIES), reference.probabilities(QUERIES), atol=1e-3)
