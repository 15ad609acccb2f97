from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from zooter_core.distill import fit_head
from zooter_core.heads import DistillConfig
from zooter_core.router import RouterHead

ROOT = Path(__file__).resolve().parents[2]
VECTORS = torch.eye(4)


@pytest.fixture
def folder(tmp_path):
    labels = np.array([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5], [1.0, 0.0]])
    fit_head(VECTORS.numpy(), labels, ["a", "b"], "none", DistillConfig(epochs=3)).save_pretrained(tmp_path)
    return tmp_path


def test_a_folder_that_names_no_kind_is_zooter(folder):
    expected = RouterHead.from_pretrained(folder).eval()(VECTORS)
    config = json.loads((folder / "config.json").read_text())
    assert config.pop("kind") == "zooter"
    (folder / "config.json").write_text(json.dumps(config))
    head = RouterHead.from_pretrained(folder).eval()
    assert head.config.kind == "zooter"
    assert torch.equal(head(VECTORS), expected)


def test_its_weights_have_the_names_that_they_had_before_there_were_kinds(folder):
    names = {name for name, _ in RouterHead.from_pretrained(folder).named_parameters()}
    assert names == {"body.0.weight", "body.0.bias", "body.3.weight", "body.3.bias"}


def test_the_embedded_router_loads_whole():
    head, loading = RouterHead.from_pretrained(ROOT / "models" / "embedded" / "router", output_loading_info=True)
    assert head.config.kind == "zooter"
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]


def test_the_labels_are_learned_and_not_the_scores():
    labels, scores = np.array([[0.9, 0.1]] * 4), np.array([[0.0, 1.0]] * 4)
    config = DistillConfig(epochs=100, rate=1e-2, dropout=0.0)
    head = fit_head(VECTORS.numpy(), labels, ["a", "b"], "none", config, scores=scores)
    assert torch.softmax(head(VECTORS), dim=-1).detach().numpy() == pytest.approx(labels, abs=0.02)
