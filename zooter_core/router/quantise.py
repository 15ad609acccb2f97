"""BERT with weights of 7 bits, whose layers multiply bytes on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.router.bert import Array, Bert, Weights
from zooter_core.router.graph import session
from zooter_core.router.onnx_file import FLOAT, Graph, node

MOST = 64  # the largest magnitude of a weight in 7 bits
USUAL = 0.95  # the share of the columns whose numbers are of a usual size
TINY = np.finfo(np.float32).tiny


def quantise(settings: Mapping[str, Any], weights: Weights, texts: Sequence[Mapping[str, NDArray[np.int64]]]) -> Graph:
    """The graph of an encoder's vectors, with 7-bit weights.

    Args:
        settings: the contents of its config.json.
        texts: the tokens of one batch each; they show which columns have huge numbers.

    Raises:
        Exception: ONNX Runtime has errors of its own for a graph that it cannot run.
    """
    return SmallBert(settings, weights, _largest(Bert(settings, weights), texts)).vectors()


def _largest(exact: Bert, texts: Sequence[Mapping[str, NDArray[np.int64]]]) -> dict[str, Array]:
    """The largest magnitude in each column of each layer's inputs, shape (width,), over some texts."""
    exact.states()
    exact.graph.outputs = sorted(set(exact.read.values()))
    watching = session(exact.graph.encode())
    largest: dict[str, Array] = {}
    for tokens in texts:
        for name, states in zip(exact.graph.outputs, watching.run(None, tokens), strict=True):
            peaks = np.abs(states).reshape(-1, states.shape[-1]).max(axis=0)
            largest[name] = np.maximum(peaks, largest.get(name, 0))
    return {layer: largest[name] for layer, name in exact.read.items()}


class SmallBert(Bert):
    """One scale for each column of a layer's weights, and one for its inputs, computed at each pass.

    7 bits, because with 8 a processor without AVX-512 VNNI adds two products in 16 bits and overflows. Columns with
    huge numbers are divided before a layer, whose weights are multiplied for them: the others keep their bits.

    Args:
        largest: the largest magnitude in each column of each layer's inputs.
    """

    def __init__(self, settings: Mapping[str, Any], weights: Weights, largest: Mapping[str, Array]) -> None:
        super().__init__(settings, weights)
        self.largest = largest
        self._as_bytes: dict[str, list[str]] = {}  # inputs -> bytes, scale and zero; several layers may take the same

    def _look_up(self, table: str, numbers: str) -> str:
        """A scale for each row of the table."""
        add, rows = self.graph.add, self.weights[f"{table}.weight"]
        scales = np.abs(rows).max(axis=1, keepdims=True).clip(TINY) / 127
        small = self.graph.constant(f"{table} bytes", np.rint(rows / scales).astype(np.int8))
        wide = add("Cast", add("Gather", small, numbers), to=FLOAT)
        return add("Mul", wide, add("Gather", self.graph.constant(f"{table} scales", scales), numbers))

    def _product(self, layer: str, states: str) -> str:
        """ONNX Runtime's own quantizer writes the same operators, but takes seconds: it goes through the columns one by
        one."""
        add, constant, largest = self.graph.add, self.graph.constant, self.largest[layer]
        factors = np.maximum(1, largest / (np.quantile(largest, USUAL) or 1)).astype(np.float32)
        columns = self.weights[f"{layer}.weight"].T * factors[:, None]
        scales = np.abs(columns).max(axis=0) / MOST
        scales[scales < TINY] = 1
        if states not in self._as_bytes:
            evened = add("Mul", states, constant(f"{states} factors", 1 / factors))
            outputs = self._as_bytes[states] = [f"{states} {part}" for part in ("bytes", "scale", "zero")]
            self.graph.nodes.append(node("DynamicQuantizeLinear", [evened], outputs))
        inputs, scale, zero = self._as_bytes[states]
        matrix = constant(f"{layer} bytes", np.rint(columns / scales).astype(np.int8))
        sums = add("Cast", add("MatMulInteger", inputs, matrix, zero), to=FLOAT)
        return add("Mul", sums, add("Mul", scale, constant(f"{layer} scales", scales)))
