"""ONNX models as the package onnx reads and writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from zooter_core.router import onnx_file
from zooter_core.router.graph import session

WEIGHTS = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
STATES = np.ones((2, 40), dtype=np.float32)


def layer() -> bytes:
    """A graph of one layer, (n, 40) -> (n, 8)."""
    nodes = [
        onnx_file.node("MatMul", ["states", "weights"], ["sums"], "layer"),
        onnx_file.node("LeakyRelu", ["sums"], ["vectors"], alpha=0.5),
        onnx_file.node("Transpose", ["vectors"], ["turned"], perm=[1, 0]),
    ]
    states = onnx_file.value("states", onnx_file.FLOAT, ["batch", "width"])
    outputs = [onnx_file.value(name, onnx_file.FLOAT) for name in ("vectors", "turned")]
    model = onnx_file.model(nodes, "a layer", [states], outputs, [onnx_file.tensor(WEIGHTS, "weights")])
    return bytes(model.SerializeToString())


def test_onnx_reads_what_is_written():
    model = onnx.load_from_string(layer())
    for value in model.graph.output:  # their shapes are not known here, and ONNX Runtime needs none
        value.type.tensor_type.shape.SetInParent()
    onnx.checker.check_model(model)
    assert model.opset_import[0].version == onnx_file.OPSET
    assert [node.op_type for node in model.graph.node] == ["MatMul", "LeakyRelu", "Transpose"]
    assert np.array_equal(onnx.numpy_helper.to_array(model.graph.initializer[0]), WEIGHTS)


def test_weights_in_a_file_of_their_own(tmp_path: Path) -> None:
    """ONNX Runtime, onnx and this module read them alike, and what is not declared here is kept."""
    path = tmp_path / "layer.onnx"
    model = onnx.load_from_string(layer())
    model.producer_name, model.graph.doc_string = "somebody", "a note"
    path.write_bytes(model.SerializeToString())
    before = session(str(path)).run(None, {"states": STATES})[0]
    onnx_file.write(onnx_file.read(path), path)
    assert path.stat().st_size < WEIGHTS.nbytes < (tmp_path / "layer.onnx.data").stat().st_size + 1
    assert np.array_equal(session(str(path)).run(None, {"states": STATES})[0], before)
    back = onnx.load(path)
    assert np.array_equal(onnx.numpy_helper.to_array(back.graph.initializer[0]), WEIGHTS)
    assert (back.producer_name, back.graph.doc_string) == ("somebody", "a note")
    assert onnx.load_from_string(onnx_file.read(path).SerializeToString()) == model
