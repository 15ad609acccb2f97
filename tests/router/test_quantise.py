"""Graphs with 7-bit weights: columns of huge numbers, and tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zooter_core.router import onnx_file
from zooter_core.router.graph import session
from zooter_core.router.quantise import _shrink, quantise

WIDTH, HUGE = 40, 3


def two_layers(path: Path) -> list[np.ndarray]:
    """A graph of two layers on the same states, (1, n, WIDTH) -> (1, n, 6), written to a file; their weights."""
    weights = [np.random.default_rng(seed).normal(size=(WIDTH, 3)).astype(np.float32) for seed in (0, 1)]
    nodes = [
        onnx_file.node("MatMul", ["states", "one"], ["first"], "a"),
        onnx_file.node("MatMul", ["states", "two"], ["second"], "b"),
        onnx_file.node("Concat", ["first", "second"], ["vectors"], axis=-1),
    ]
    stored = [onnx_file.tensor(one, name) for one, name in zip(weights, ("one", "two"), strict=True)]
    states, vectors = (onnx_file.value(name, onnx_file.FLOAT) for name in ("states", "vectors"))
    path.write_bytes(onnx_file.model(nodes, "two layers", [states], [vectors], stored).SerializeToString())
    return weights


def states(seed: int) -> np.ndarray:
    """Numbers about 1, and about 200 in one column."""
    numbers = np.random.default_rng(seed).normal(size=(1, 5, WIDTH)).astype(np.float32)
    numbers[..., HUGE] *= 200
    return numbers


def test_a_huge_column_leaves_the_others_their_bits(tmp_path):
    """The column has weights of 0, so that all of the result is made of the others: one scale for all would lose it."""
    exact, fast = tmp_path / "graph.onnx", tmp_path / "fast.onnx"
    two_layers(exact)
    model = onnx_file.read(exact)
    for one in model.graph.initializer:
        weights = onnx_file.array(one).copy()
        weights[HUGE] = 0
        one.CopyFrom(onnx_file.tensor(weights, one.name))
    exact.write_bytes(model.SerializeToString())
    quantise(exact, fast, [{"states": states(seed)} for seed in range(20)], prefix="")
    expected, actual = (session(str(path)).run(None, {"states": states(999)})[0] for path in (exact, fast))
    assert 0 < np.abs(actual - expected).max() < 0.05 * np.abs(expected).max()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fast.onnx", "graph.onnx"]


def test_a_table_has_a_scale_for_each_row():
    table = np.array([[1, -2, 0.5], [1000, 3, -500], [0, 0, 0]], dtype=np.float32)
    node = onnx_file.node("Gather", ["table", "numbers"], ["rows"], "words")
    numbers, rows = onnx_file.value("numbers", onnx_file.INT64), onnx_file.value("rows", onnx_file.FLOAT)
    model = onnx_file.model([node], "a table", [numbers], [rows], [onnx_file.tensor(table, "table")])
    _shrink(model.graph, [node])
    (looked_up,) = session(model.SerializeToString()).run(None, {"numbers": np.array([[1, 0, 2]])})
    assert looked_up[0] == pytest.approx(table[[1, 0, 2]], abs=4)  # 1000 / 127 is 7.9: half of it, at most
    assert looked_up[0, 1] == pytest.approx(table[0], abs=0.008)
