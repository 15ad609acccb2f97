"""A copy of an ONNX graph with weights of 7 bits."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.router import onnx_file
from zooter_core.router.graph import session

Array = NDArray[np.float32]
Tokens = Mapping[str, NDArray[np.int64]]
MOST = 64  # the largest magnitude of a weight in 7 bits
USUAL = 0.95  # the share of the columns whose numbers are of a usual size


def quantise(exact: Path, out: Path, texts: Sequence[Tokens], prefix: str) -> None:
    """Write a graph's copy with one scale for each column of weights, and one for a layer's inputs, computed at each
    pass.

    7 bits, because with 8 a processor without AVX-512 VNNI adds two products in 16 bits and overflows.

    Args:
        texts: one batch for each text; they show which columns have huge numbers.
        prefix: of the names of the operators that are quantised.

    Raises:
        Exception: ONNX Runtime has errors of its own for a graph that it cannot run.
    """
    model = onnx_file.read(exact)
    shapes = {weights.name: weights.dims for weights in model.graph.initializer}
    operators = [node for node in model.graph.node if node.name.startswith(prefix)]
    layers = [node for node in operators if node.op_type == "MatMul" and len(shapes.get(node.input[1], ())) == 2]
    tables = [node for node in operators if node.op_type == "Gather" and len(shapes.get(node.input[0], ())) == 2]
    _even_out(model.graph, layers, _largest(model, {node.input[0] for node in layers}, texts))
    _multiply_bytes(model.graph, layers)
    _shrink(model.graph, tables)
    out.write_bytes(model.SerializeToString())


def _largest(model: Any, names: Iterable[str], texts: Sequence[Tokens]) -> dict[str, Array]:
    """The largest magnitude in each column of the states of these names, shape (width,), over some texts."""
    order, watched = sorted(names), copy.deepcopy(model)
    del watched.graph.output[:]
    watched.graph.output.extend(onnx_file.value(name, onnx_file.FLOAT) for name in order)
    watching = session(watched.SerializeToString())
    inputs = [entry.name for entry in watching.get_inputs()]
    largest: dict[str, Array] = {}
    for batch in texts:
        outputs = watching.run(None, {name: batch[name] for name in inputs})
        for name, states in zip(order, outputs, strict=True):
            peaks = np.abs(states).reshape(-1, states.shape[-1]).max(axis=0)
            largest[name] = np.maximum(peaks, largest.get(name, 0))
    return largest


def _even_out(graph: Any, layers: Sequence[Any], largest: Mapping[str, Array]) -> None:
    """Divide the columns with huge numbers before each layer, and multiply the layer's weights for them."""
    weights, evened = _weights(graph), set()

    def changed(node: Any) -> Iterator[Any]:
        states, matrix = node.input
        factors = np.maximum(1, largest[states] / (np.quantile(largest[states], USUAL) or 1)).astype(np.float32)
        if states not in evened:  # several layers may take the same states
            evened.add(states)
            graph.initializer.append(onnx_file.tensor(1 / factors, f"{states} factors"))
            yield onnx_file.node("Mul", [states, f"{states} factors"], [f"{states} evened"])
        graph.initializer.append(
            onnx_file.tensor(onnx_file.array(weights[matrix]) * factors[:, None], f"{node.name} weights")
        )
        node.input[:] = f"{states} evened", f"{node.name} weights"
        yield node

    _change(graph, layers, changed)


def _multiply_bytes(graph: Any, layers: Sequence[Any]) -> None:
    """Let layers multiply bytes. ONNX Runtime's own quantizer writes the same graph, but takes seconds: it goes through
    the columns one by one."""
    weights, as_bytes = _weights(graph), set()

    def changed(node: Any) -> Iterator[Any]:
        name, (states, matrix) = node.name, node.input
        columns = onnx_file.array(weights[matrix])
        scales = np.abs(columns).max(axis=0) / MOST
        scales[scales < np.finfo(np.float32).tiny] = 1
        for part, values in (("bytes", np.rint(columns / scales).astype(np.int8)), ("scales", scales)):
            graph.initializer.append(onnx_file.tensor(values, f"{name} {part}"))
        if states not in as_bytes:  # several layers may take the same states
            as_bytes.add(states)
            parts = [f"{states} {part}" for part in ("bytes", "scale", "zero")]
            yield onnx_file.node("DynamicQuantizeLinear", [states], parts)
        inputs = [f"{states} bytes", f"{name} bytes", f"{states} zero"]
        yield onnx_file.node("MatMulInteger", inputs, [f"{name} sums"])
        yield onnx_file.node("Cast", [f"{name} sums"], [f"{name} wide"], to=onnx_file.FLOAT)
        yield onnx_file.node("Mul", [f"{states} scale", f"{name} scales"], [f"{name} scale"])
        yield onnx_file.node("Mul", [f"{name} wide", f"{name} scale"], node.output)

    _change(graph, layers, changed)


def _shrink(graph: Any, tables: Sequence[Any]) -> None:
    """Keep tables that are looked up as bytes, with a scale for each row."""
    weights = _weights(graph)

    def changed(node: Any) -> Iterator[Any]:
        name, (table, numbers) = node.name, node.input
        rows = onnx_file.array(weights[table])
        scales = np.abs(rows).max(axis=1, keepdims=True).clip(np.finfo(np.float32).tiny) / 127
        for part, values in (("bytes", np.rint(rows / scales).astype(np.int8)), ("scales", scales)):
            graph.initializer.append(onnx_file.tensor(values, f"{name} {part}"))
            yield onnx_file.node("Gather", [f"{name} {part}", numbers], [f"{name} {part} of rows"])
        yield onnx_file.node("Cast", [f"{name} bytes of rows"], [f"{name} wide"], to=onnx_file.FLOAT)
        yield onnx_file.node("Mul", [f"{name} wide", f"{name} scales of rows"], node.output)

    _change(graph, tables, changed)


def _weights(graph: Any) -> dict[str, Any]:
    return {one.name: one for one in graph.initializer}


def _change(graph: Any, operators: Sequence[Any], changed: Callable[[Any], Iterator[Any]]) -> None:
    """Put others in the place of some operators, and drop the weights that none uses any more."""
    names = {node.name for node in operators}
    nodes = [one for node in graph.node for one in (changed(node) if node.name in names else [node])]
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    for weights in [one for one in graph.initializer if one.name not in used]:
        graph.initializer.remove(weights)
