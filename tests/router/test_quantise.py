"""Graphs with 7-bit weights: columns of huge numbers, and tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zooter_core.router import onnx_file
from zooter_core.router.graph import session
from zooter_core.router.quantise import SmallBert

WIDTH, HUGE = 40, 3
SETTINGS = {"hidden_size": WIDTH, "num_attention_heads": 1, "num_hidden_layers": 1}


def run(small: SmallBert, outputs: list[str], name: str, numbers: np.ndarray) -> list[Any]:
    """The outputs of the operators that were added, for an input of this name."""
    kind = onnx_file.FLOAT if numbers.dtype == np.float32 else onnx_file.INT64
    ends = [onnx_file.value(one, onnx_file.FLOAT) for one in outputs]
    weights = list(small.graph.constants.values())
    model = onnx_file.model(small.graph.nodes, [onnx_file.value(name, kind)], ends, weights)
    return session(model.SerializeToString()).run(None, {name: numbers})


def test_a_huge_column_leaves_the_others_their_bits():
    """The column has weights of 0, so that all of the result is made of the others: one scale for all would lose it."""
    states = np.random.default_rng(9).normal(size=(1, 5, WIDTH)).astype(np.float32)
    states[..., HUGE] *= 200
    matrices = np.random.default_rng(0).normal(size=(2, 3, WIDTH)).astype(np.float32)
    matrices[..., HUGE] = 0
    largest = np.abs(states).max(axis=(0, 1))
    weights = {"one.weight": matrices[0], "two.weight": matrices[1]}
    small = SmallBert(SETTINGS, weights, {"one": largest, "two": largest})
    results = run(small, [small._product(layer, "states") for layer in ("one", "two")], "states", states)
    for actual, matrix in zip(results, matrices, strict=True):
        expected = states @ matrix.T
        assert 0 < np.abs(actual - expected).max() < 0.05 * np.abs(expected).max()
    assert [node.op_type for node in small.graph.nodes].count("DynamicQuantizeLinear") == 1  # of what both read


def test_a_table_has_a_scale_for_each_row():
    table = np.array([[1, -2, 0.5], [1000, 3, -500], [0, 0, 0]], dtype=np.float32)
    small = SmallBert(SETTINGS, {"words.weight": table}, {})
    (looked_up,) = run(small, [small._look_up("words", "numbers")], "numbers", np.array([[1, 0, 2]]))
    assert looked_up[0] == pytest.approx(table[[1, 0, 2]], abs=4)  # 1000 / 127 is 7.9: half of it, at most
    assert looked_up[0, 1] == pytest.approx(table[0], abs=0.008)
