"""Graphs with 7-bit weights: columns of huge numbers, and tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zooter_core.router.bert import INPUTS
from zooter_core.router.graph import session
from zooter_core.router.quantise import SmallBert

WIDTH, HUGE = 40, 3
SETTINGS = {"hidden_size": WIDTH, "num_attention_heads": 1, "num_hidden_layers": 1}


def run(small: SmallBert, outputs: list[str], numbers: list[int]) -> list[Any]:
    """These outputs of its operators, for tokens of these numbers."""
    small.graph.outputs = outputs
    return session(small.graph.encode()).run(None, dict.fromkeys(INPUTS, np.array([numbers])))


def test_a_huge_column_leaves_the_others_their_bits():
    """The column has weights of 0, so that all of the result is made of the others: one scale for all would lose it."""
    states = np.random.default_rng(9).normal(size=(5, WIDTH)).astype(np.float32)
    states[..., HUGE] *= 200
    matrices = np.random.default_rng(0).normal(size=(2, 3, WIDTH)).astype(np.float32)
    matrices[..., HUGE] = 0
    largest = np.abs(states).max(axis=0)
    weights = {"one.weight": matrices[0], "two.weight": matrices[1]}
    small = SmallBert(SETTINGS, weights, {"one": largest, "two": largest})
    read = small.graph.add("Gather", small.graph.constant("states", states), INPUTS[0])
    results = run(small, [small._product(layer, read) for layer in ("one", "two")], [0, 1, 2, 3, 4])
    for actual, matrix in zip(results, matrices, strict=True):
        expected = states @ matrix.T
        assert 0 < np.abs(actual - expected).max() < 0.05 * np.abs(expected).max()
    assert b"".join(small.graph.nodes).count(b"DynamicQuantizeLinear") == 1  # of what both read


def test_a_table_has_a_scale_for_each_row():
    table = np.array([[1, -2, 0.5], [1000, 3, -500], [0, 0, 0]], dtype=np.float32)
    small = SmallBert(SETTINGS, {"words.weight": table}, {})
    (looked_up,) = run(small, [small._look_up("words", INPUTS[0])], [1, 0, 2])
    assert looked_up[0] == pytest.approx(table[[1, 0, 2]], abs=4)  # 1000 / 127 is 7.9: half of it, at most
    assert looked_up[0, 1] == pytest.approx(table[0], abs=0.008)
