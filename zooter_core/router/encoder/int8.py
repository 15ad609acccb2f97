"""An encoder's graph with weights of 7 bits: rough vectors, in a quarter of the time that exact ones take.

A few columns of an encoder's states are ten times as large as the others, which would leave few bits to those. They are
divided before each layer and its weights for them multiplied as much, as in SmoothQuant (Xiao et al., 2022, arXiv
2211.10438); the columns of a usual size stay as they are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zooter_core.data.paraphrases import paraphrases
from zooter_core.errors import WorkError, first_line
from zooter_core.files import remove
from zooter_core.router.encoder.onnx import Array, Graph, Tokens, making, session, silence

SAME = 1e-3  # how far two processors' vectors by one graph may be apart
USUAL = 0.95  # the share of the columns whose numbers are of a usual size


@dataclass(frozen=True)
class Rough:
    """A graph whose vectors are off by some hundredths, and how they are off: vectors of some texts by either graph.

    Attributes:
        exact, rough: shape (n, width), of the same n texts.
    """

    graph: Graph
    exact: Array
    rough: Array


def rough_of(exact: Graph, tokens: Callable[[Sequence[str]], Tokens]) -> Rough:
    """The same pass with weights of 7 bits, kept beside the graph: vectors at a cosine of .99 to the exact ones.

    The gain is where a processor multiplies bytes (AVX-512 VNNI and its like). Pairs of queries that were written for
    this project show, one of each, which columns have huge numbers, the other how far the vectors are off.

    Raises:
        WorkError: ONNX Runtime cannot make it so, or the cache folder cannot be written.
    """
    path = exact.path.with_suffix(".int8.onnx")
    with suppress(Exception):  # not there, or damaged
        return _kept(path, tokens)
    with making(path):
        with suppress(Exception):  # another process made it while this one waited
            return _kept(path, tokens)
        _write(exact, tokens, path)
        try:
            return _kept(path, tokens)
        except ValueError as problem:
            raise WorkError(
                "an 8-bit encoder that works", str(problem), 'Set runtime = "onnx" in [router].'
            ) from problem


def _kept(path: Path, tokens: Callable[[Sequence[str]], Tokens]) -> Rough:
    """The graph in a file, if it still gives the vector that is kept of the first text.

    Raises:
        ValueError: it does not, or a vector is not finite.
    """
    exact, rough = np.load(path.with_suffix(".npy"))
    graph = Graph(path)
    first = graph(tokens([_others()[0]]))[0]
    if not (np.isfinite([exact, rough]).all() and np.allclose(first, rough[0], atol=SAME)):
        raise ValueError("other vectors than when it was made")
    return Rough(graph, exact, rough)


def _others() -> Sequence[str]:
    """The texts that show how far the vectors are off."""
    return [pair[1] for pair in paraphrases()]


def _write(exact: Graph, tokens: Callable[[Sequence[str]], Tokens], path: Path) -> None:
    """One scale a column of weights, and one for all that comes into a layer, found anew at each pass.

    With 8 bits, a processor without AVX-512 VNNI would add two products in 16 bits and overflow: so there are 7.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    usual, others = [tokens([text]) for text, _ in paraphrases()], [tokens([text]) for text in _others()]
    for left_over in path.parent.glob(f"{path.stem}.partial-*"):  # of work that was killed
        remove(left_over)
    work = path.with_suffix(f".partial-{os.getpid()}")  # quantize_dynamic leaves more files beside what it reads
    try:
        work.mkdir()
        model = onnx.load(exact.path)
        shapes = {weights.name: weights.dims for weights in model.graph.initializer}
        products = [node for node in model.graph.node if node.op_type == "MatMul"]
        layers = [node for node in products if len(shapes.get(node.input[1], ())) == 2]
        _even_out(model.graph, layers, _largest(exact, {node.input[0] for node in layers}, usual))
        onnx.save(model, work / "even.onnx")
        with silence():
            quantize_dynamic(
                work / "even.onnx", work / path.name, nodes_to_quantize=[node.name for node in layers],
                per_channel=True, weight_type=QuantType.QInt8, reduce_range=True,
            )  # fmt: skip
        found = [[graph(batch)[0] for batch in others] for graph in (exact, Graph(work / path.name))]
        np.save(work / "vectors.npy", np.array(found))
        (work / "vectors.npy").replace(path.with_suffix(".npy"))
        (work / path.name).replace(path)
    except OSError:
        raise
    except Exception as problem:
        raise WorkError(
            "an encoder that ONNX Runtime can make 8-bit", first_line(problem), 'Set runtime = "onnx" in [router].'
        ) from problem
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _largest(exact: Graph, names: Iterable[str], usual: Sequence[Tokens]) -> dict[str, Array]:
    """The largest magnitude in each column of the states of these names, shape (width,), over some texts."""
    import onnx

    model, order = onnx.load(exact.path), sorted(names)
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in order)
    seeing = session(model.SerializeToString())
    largest: dict[str, Array] = {}
    for batch in usual:
        found = seeing.run(None, {name: batch[name] for name in exact.names})
        for name, states in zip(order, found, strict=True):
            own = np.abs(states).reshape(-1, states.shape[-1]).max(axis=0)
            largest[name] = np.maximum(own, largest.get(name, 0))
    return largest


def _even_out(graph: Any, layers: Sequence[Any], largest: Mapping[str, Array]) -> None:
    """Put a division before each layer for the columns with huge numbers, and their multiples into its weights."""
    from onnx import helper, numpy_helper

    weights, names = {one.name: one for one in graph.initializer}, {node.name for node in layers}
    nodes, evened = [], set()
    for node in graph.node:
        if node.name in names:
            states, own = node.input
            factors = np.maximum(1, largest[states] / (np.quantile(largest[states], USUAL) or 1)).astype(np.float32)
            if states not in evened:  # several layers may take the same states
                evened.add(states)
                graph.initializer.append(numpy_helper.from_array(1 / factors, f"{states} factors"))
                nodes.append(helper.make_node("Mul", [states, f"{states} factors"], [f"{states} evened"]))
            larger = numpy_helper.to_array(weights[own]) * factors[:, None]
            graph.initializer.append(numpy_helper.from_array(larger, f"{node.name} weights"))
            node.input[:] = f"{states} evened", f"{node.name} weights"
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    for name in weights.keys() - used:
        graph.initializer.remove(weights[name])
