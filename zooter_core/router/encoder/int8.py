"""An encoder with 7-bit weights: three times as fast on a few texts as ONNX Runtime's float32, and less precise.

A few columns of an encoder's states are ten times as large as the others, which would leave the others few bits. They
are divided before each layer and its weights for them multiplied by the same factor, as in SmoothQuant (Xiao et al.,
2022, arXiv 2211.10438); columns of a usual size stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.data.paraphrases import paraphrases
from zooter_core.errors import WorkError, first_line
from zooter_core.files import work_folder
from zooter_core.router.encoder import FEW, INT8, Embed, Encoder
from zooter_core.router.encoder.onnx import silence
from zooter_core.router.graph import Array, Graph, Tokens, session
from zooter_core.weights import writing_cache

Probabilities = Callable[[Array], NDArray[np.float64]]
SAME = 1e-3  # how far apart two processors' vectors from one graph may be
USUAL = 0.95  # the share of the columns whose numbers are of a usual size
SAFE = 3  # standard deviations of the error beyond which a choice is safe


class Int8Encoder(Encoder):
    """An encoder whose vectors of up to FEW texts are at a cosine of .99 to the exact ones.

    A router's probabilities then differ by some hundredths, but not its choices: see `embedder`. The gain is where a
    processor multiplies bytes (AVX-512 VNNI and its like).

    Raises:
        ZooterError, WorkError: as `Encoder`, or ONNX Runtime cannot quantise the model.
    """

    def __init__(self, reference: str) -> None:
        super().__init__(reference, "onnx")
        assert self.graph is not None
        self.quantised = quantised(self.graph, partial(self.tokens, kind="np"))

    @property
    def runtime(self) -> str:
        return INT8

    def embed(self, texts: Sequence[str]) -> Array:
        if len(texts) > FEW:
            return super().embed(texts)
        graph = self.quantised.graph
        return self._remembered((INT8, *texts), lambda: self._finite(graph(self.tokens(texts, "np"))))

    def embedder(self, probabilities: Probabilities) -> Embed:
        """`embed`, with exact vectors where the error could change which candidate is the most probable."""
        limit, exactly = self.quantised.limit(probabilities), super().embed

        def embed(texts: Sequence[str]) -> Array:
            vectors = self.embed(texts)
            if len(texts) <= FEW and (_lead(probabilities(vectors)) < limit).any():
                return exactly(texts)
            return vectors

        return embed


@dataclass(frozen=True)
class Quantised:
    """A graph with 7-bit weights and its error: vectors of the same n texts from the exact graph and from this one.

    Attributes:
        exact, rough: shape (n, width).
    """

    graph: Graph
    exact: Array
    rough: Array

    def limit(self, probabilities: Probabilities) -> float:
        """The lead, in log-probability, below which the error could put another candidate first.

        SAFE times the root mean square of how far the error moves the lead of the best candidate.
        """
        exact, rough = (_log(probabilities(vectors)) for vectors in (self.exact, self.rough))
        if exact.shape[1] < 2:
            return 0.0
        best = np.argsort(-exact, axis=1)[:, :2]
        first, second = np.take_along_axis(exact - rough, best, axis=1).T
        return SAFE * float(np.sqrt(np.mean((first - second) ** 2)))


def _lead(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """The log-probability of the best candidate minus that of the next, shape (n,); infinite in a pool of one."""
    if probabilities.shape[1] < 2:
        return np.full(len(probabilities), np.inf)
    second, first = np.sort(_log(probabilities), axis=1)[:, -2:].T
    return np.asarray(first - second)


def _log(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))


def quantised(exact: Graph, tokens: Callable[[Sequence[str]], Tokens]) -> Quantised:
    """The graph with 7-bit weights, cached beside the exact one.

    Pairs of queries that were written for this project calibrate it: the first of each shows which columns have huge
    numbers, the second measures the error.

    Raises:
        WorkError: ONNX Runtime cannot quantise the graph, or the cache folder cannot be written.
    """
    path = exact.path.with_suffix(".int8.onnx")
    with suppress(Exception):  # missing or damaged
        return _cached(path, tokens)
    with writing_cache(path):
        with suppress(Exception):  # another process wrote it while this one waited
            return _cached(path, tokens)
        _write(exact, tokens, path)
        try:
            return _cached(path, tokens)
        except ValueError as problem:
            raise WorkError(
                "an 8-bit encoder that works", str(problem), 'Set runtime = "onnx" in [router].'
            ) from problem


def _cached(path: Path, tokens: Callable[[Sequence[str]], Tokens]) -> Quantised:
    """The graph in a file, if it still gives the stored vector of the first text.

    Raises:
        ValueError: it does not, or a vector is not finite.
    """
    exact, rough = np.load(path.with_suffix(".npy"))
    graph = Graph(path)
    first = graph(tokens([_others()[0]]))[0]
    if not (np.isfinite([exact, rough]).all() and np.allclose(first, rough[0], atol=SAME)):
        raise ValueError("other vectors than when it was made")
    return Quantised(graph, exact, rough)


def _others() -> Sequence[str]:
    """The texts that measure the error."""
    return [pair[1] for pair in paraphrases()]


def _write(exact: Graph, tokens: Callable[[Sequence[str]], Tokens], path: Path) -> None:
    """Quantise with one scale for each column of weights, and one for a layer's inputs, computed at each pass.

    7 bits, because with 8 a processor without AVX-512 VNNI adds two products in 16 bits and overflows.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    usual, others = [tokens([text]) for text, _ in paraphrases()], [tokens([text]) for text in _others()]
    try:
        with work_folder(path) as partial:  # quantize_dynamic leaves more files beside what it reads
            model = onnx.load(exact.path)
            shapes = {weights.name: weights.dims for weights in model.graph.initializer}
            products = [node for node in model.graph.node if node.op_type == "MatMul"]
            layers = [node for node in products if len(shapes.get(node.input[1], ())) == 2]
            _even_out(model.graph, layers, _largest(exact, {node.input[0] for node in layers}, usual))
            onnx.save(model, partial / "even.onnx")
            with silence():
                quantize_dynamic(
                    partial / "even.onnx", partial / path.name, nodes_to_quantize=[node.name for node in layers],
                    per_channel=True, weight_type=QuantType.QInt8, reduce_range=True,
                )  # fmt: skip
            vectors = [[graph(batch)[0] for batch in others] for graph in (exact, Graph(partial / path.name))]
            np.save(partial / "vectors.npy", np.array(vectors))
            (partial / "vectors.npy").replace(path.with_suffix(".npy"))
            (partial / path.name).replace(path)
    except OSError:
        raise
    except Exception as problem:
        raise WorkError(
            "an encoder that ONNX Runtime can quantise", first_line(problem), 'Set runtime = "onnx" in [router].'
        ) from problem


def _largest(exact: Graph, names: Iterable[str], usual: Sequence[Tokens]) -> dict[str, Array]:
    """The largest magnitude in each column of the states of these names, shape (width,), over some texts."""
    import onnx

    model, order = onnx.load(exact.path), sorted(names)
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in order)
    watching = session(model.SerializeToString())
    largest: dict[str, Array] = {}
    for batch in usual:
        outputs = watching.run(None, {name: batch[name] for name in exact.names})
        for name, states in zip(order, outputs, strict=True):
            peaks = np.abs(states).reshape(-1, states.shape[-1]).max(axis=0)
            largest[name] = np.maximum(peaks, largest.get(name, 0))
    return largest


def _even_out(graph: Any, layers: Sequence[Any], largest: Mapping[str, Array]) -> None:
    """Divide the columns with huge numbers before each layer, and multiply the layer's weights for them."""
    from onnx import helper, numpy_helper

    weights, names = {one.name: one for one in graph.initializer}, {node.name for node in layers}
    nodes, evened = [], set()
    for node in graph.node:
        if node.name in names:
            states, matrix = node.input
            factors = np.maximum(1, largest[states] / (np.quantile(largest[states], USUAL) or 1)).astype(np.float32)
            if states not in evened:  # several layers may take the same states
                evened.add(states)
                graph.initializer.append(numpy_helper.from_array(1 / factors, f"{states} factors"))
                nodes.append(helper.make_node("Mul", [states, f"{states} factors"], [f"{states} evened"]))
            larger = numpy_helper.to_array(weights[matrix]) * factors[:, None]
            graph.initializer.append(numpy_helper.from_array(larger, f"{node.name} weights"))
            node.input[:] = f"{states} evened", f"{node.name} weights"
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    for name in weights.keys() - used:
        graph.initializer.remove(weights[name])
