from __future__ import annotations

import json

import numpy as np
import pytest

from zooter_core.method.labels import softmax
from zooter_core.router.distill import learn
from zooter_core.router.head import RouterHead
from zooter_core.router.kinds import DistillConfig
from zooter_core.router.kinds.zooter import ZooterHead

VECTORS = np.eye(4, dtype=np.float32)


def test_a_folder_that_names_no_kind_is_zooter(tmp_path):
    labels = np.array([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5], [1.0, 0.0]])
    saved = learn(VECTORS, labels, ["a", "b"], "none", DistillConfig(epochs=3))
    saved.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config.pop("kind") == "zooter"
    (tmp_path / "config.json").write_text(json.dumps(config))
    head = RouterHead.load(tmp_path)
    assert head.config.kind == "zooter"
    assert np.array_equal(head.logits(VECTORS), saved.logits(VECTORS))


def test_one_member_is_a_plain_mlp_worked_by_hand():
    """logits = gelu(x W + b) V + c, as log-probabilities: two inputs, two hidden units, two candidates.

    Hidden before gelu: (1, 0), after: (0.8413, 0); logits: (2.5240, 0.5).
    """
    head, query = ZooterHead(2, 2, hidden=2, dropout=0.5), np.array([[1.0, 1.0]])
    head.state = {
        "inner": np.array([[[1.0, 0.0], [0.0, 2.0]]]),
        "inner_bias": np.array([[[0.0, -2.0]]]),
        "outer": np.array([[[3.0, 0.0], [0.0, 1.0]]]),
        "outer_bias": np.array([[[0.0, 0.5]]]),
    }
    assert softmax(head.logits(query))[0].tolist() == pytest.approx([0.8833, 0.1167], abs=1e-4)
    assert head.logits(query)[0].tolist() == pytest.approx([-0.1241, -2.1482], abs=1e-3)


def test_the_labels_are_learned_and_not_the_scores():
    labels, scores = np.array([[0.9, 0.1]] * 4), np.array([[0.0, 1.0]] * 4)
    config = DistillConfig(epochs=100, rate=1e-2, dropout=0.0)
    head = learn(VECTORS, labels, ["a", "b"], "none", config, scores=scores)
    assert softmax(head.logits(VECTORS)) == pytest.approx(labels, abs=0.02)
