from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from zooter_core.router import training
from zooter_core.router.encoder import Encoder
from zooter_core.router.finetune import finetune
from zooter_core.router.kinds import DistillConfig

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
    losses: list[float] = []
    left = stop_after

    def steps(done: int, total: int) -> None:
        nonlocal left
        if left is not None:
            left -= 1
            if left == 0:
                raise StoppedError

    router = finetune(
        QUERIES, vectors, LABELS, POOL, encoder, config, lambda epoch, loss: losses.append(loss),
        checkpoint=checkpoint, steps=steps,
    )  # fmt: skip
    return router, losses


@pytest.mark.parametrize("stop_after", [1, 5, 7, 10])  # an epoch has seven batches
def test_a_training_that_was_stopped_ends_as_one_that_was_not(
    tiny_encoder, vectors, plain, tmp_path, monkeypatch, stop_after
):
    uninterrupted, losses = plain
    monkeypatch.setattr(training, "SAVE_SECONDS", 0.0)
    path = tmp_path / "router" / "finetune.checkpoint"
    with pytest.raises(StoppedError):
        learn(tiny_encoder, vectors, stop_after=stop_after, checkpoint=path)
    assert path.is_file() == (stop_after > 1)  # the callback comes before the checkpoint
    batch_sizes: list[int] = []
    monkeypatch.setattr(training.Training, "_step", counting(batch_sizes, training.Training._step))
    router, again = learn(tiny_encoder, vectors, checkpoint=path)
    assert len(batch_sizes) == 14 - (stop_after - 1)
    assert again == losses
    assert np.array_equal(router.probabilities(QUERIES), uninterrupted.probabilities(QUERIES))


def counting(sizes, real):
    def step(self, batch):
        sizes.append(len(batch))
        return real(self, batch)

    return step


def test_checkpoints_are_private_and_written_now_and_then(tiny_encoder, vectors, tmp_path, monkeypatch):
    saves: list[int] = []
    real = training.Training._save

    def save(self) -> None:
        real(self)
        saves.append(self.position.epoch)

    monkeypatch.setattr(training.Training, "_save", save)
    path = tmp_path / "finetune.checkpoint"
    learn(tiny_encoder, vectors, checkpoint=path)
    assert saves == [2, 3]  # at the ends of the two epochs: five minutes are not over
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_of_other_settings_and_a_damaged_one_are_ignored(tiny_encoder, vectors, tmp_path):
    path = tmp_path / "finetune.checkpoint"
    learn(tiny_encoder, vectors, checkpoint=path)
    other = replace(CONFIG, seed=1)
    expected = learn(tiny_encoder, vectors, other)[1]
    assert learn(tiny_encoder, vectors, other, checkpoint=path)[1] == expected
    path.write_bytes(path.read_bytes()[:1000])
    assert learn(tiny_encoder, vectors, other, checkpoint=path)[1] == expected


def without_dropout(encoder: Encoder) -> Encoder:
    twin = encoder.copy()
    for module in twin.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return twin


def test_accumulated_gradients_are_those_of_the_batch(tiny_encoder, vectors, monkeypatch, new_accelerator):
    encoder, config = without_dropout(tiny_encoder), replace(CONFIG, dropout=0.0)
    reference, losses = learn(encoder, vectors, config)
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "3")
    sizes: list[int] = []
    real = training.Training._loss
    monkeypatch.setattr(training.Training, "_loss", lambda self, rows: sizes.append(len(rows)) or real(self, rows))
    router, divided = learn(encoder, vectors, config)
    assert sizes[:6] == [6, 5, 5, 6, 5, 5]
    assert divided == pytest.approx(losses, abs=1e-5)
    assert np.allclose(router.probabilities(QUERIES), reference.probabilities(QUERIES), atol=1e-3)


def test_bfloat16_is_used_where_it_is_asked_for(tiny_encoder, vectors, plain, monkeypatch, new_accelerator):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    kinds: set[torch.dtype] = set()
    real = training.pool

    def pool(model, middle, tokens):
        model.encoder.layer[0].output.dense.register_forward_hook(lambda layer, inputs, output: kinds.add(output.dtype))
        return real(model, middle, tokens)

    monkeypatch.setattr(training, "pool", pool)
    router, losses = learn(tiny_encoder, vectors)
    assert kinds == {torch.bfloat16}
    assert losses == pytest.approx(plain[1], abs=0.02)
    assert {weight.dtype for weight in router.encoder.model.parameters()} == {torch.float32}
