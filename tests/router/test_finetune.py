from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from zooter_core.base.errors import ZooterError
from zooter_core.router.encoder import Encoders
from zooter_core.router.finetune import finetune
from zooter_core.router.kinds import DistillConfig, settings_of
from zooter_core.router.router import Router

SUMS = [f"Add up {n} apples and {n + 3} apples" for n in range(80)]
TEXTS = [f"Write about the sea {n} times" for n in range(40)]
QUERIES = SUMS + TEXTS
LABELS = np.array([[0.9, 0.1]] * 80 + [[0.1, 0.9]] * 40)
POOL = ["math", "writer"]


def learn(encoder, mode="all", **more) -> Router:
    config = DistillConfig(rate=1e-2, finetune=mode, epochs=2)
    return finetune(QUERIES, encoder.embed_all(QUERIES), LABELS, POOL, encoder, config, **more)


def changed(encoder, router: Router) -> set[str]:
    before = encoder.model.state_dict()
    return {name for name, weight in router.encoder.model.state_dict().items() if not torch.equal(weight, before[name])}


def test_all_but_the_word_embeddings_learn(tiny_encoder):
    epochs: list[int] = []
    router = learn(tiny_encoder, progress=lambda epoch, loss: epochs.append(epoch))
    assert router.probabilities(QUERIES).argmax(axis=1).tolist() == [0] * 80 + [1] * 40
    names = changed(tiny_encoder, router)
    assert any(".0." in name for name in names)
    assert not any("word_embeddings" in name for name in names)
    assert epochs == [1, 2]
    assert router.head.config.calibration_temperature != 1.0


def test_only_the_last_layer_learns(tiny_encoder):
    last = len(tiny_encoder.model.encoder.layer) - 1
    assert all(f".{last}." in name for name in changed(tiny_encoder, learn(tiny_encoder, "last")))


def test_the_encoder_that_came_is_left_alone(tiny_encoder):
    before = {name: weight.clone() for name, weight in tiny_encoder.model.state_dict().items()}
    vectors = tiny_encoder.embed(QUERIES[:3])
    router = learn(tiny_encoder)
    assert all(torch.equal(weight, before[name]) for name, weight in tiny_encoder.model.state_dict().items())
    assert np.array_equal(tiny_encoder.embed(QUERIES[:3]), vectors)
    assert not np.allclose(router.encoder.embed(QUERIES[:3]), vectors)


def test_saved_and_loaded_it_routes_the_same(tiny_encoder, tmp_path):
    router = learn(tiny_encoder)
    router.save(tmp_path / "router")
    (tmp_path / "router").rename(tmp_path / "moved")  # its encoder goes with it
    assert json.loads((tmp_path / "moved" / "config.json").read_text())["encoder"] == "encoder"
    loaded = Router.load(tmp_path / "moved", Encoders())
    assert np.allclose(loaded.probabilities(QUERIES), router.probabilities(QUERIES), atol=1e-6)


def test_a_seed_fixes_it_and_few_queries_are_enough(tiny_encoder):
    config = DistillConfig(finetune="last", epochs=1)
    vectors = tiny_encoder.embed(["Hi", "Ho"])
    one, other = (finetune(["Hi", "Ho"], vectors, np.eye(2), POOL, tiny_encoder, config) for _ in range(2))
    assert np.array_equal(one.probabilities(["Hi"]), other.probabilities(["Hi"]))


@pytest.mark.parametrize("config", [DistillConfig(), DistillConfig(finetune="first"), settings_of("knn")])
def test_what_cannot_be_fine_tuned_is_refused(tiny_encoder, config):
    with pytest.raises(ZooterError, match="--finetune last or all"):
        finetune(["Hi"], tiny_encoder.embed(["Hi"]), np.eye(2)[:1], POOL, tiny_encoder, config)
