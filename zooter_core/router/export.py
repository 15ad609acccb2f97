"""Exporting models as ONNX graphs: a router becomes one graph of encoder, head and temperature, with weights that are
exact or of 7 bits.

router.py runs it without PyTorch. fleet/exports.py exports reward models in the same way.
"""

from __future__ import annotations

import copy
import logging
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zooter_core.base.errors import WorkError, first_line
from zooter_core.base.files import atomic, sha256_of, update_folder, work_folder, writing
from zooter_core.base.strict_json import dump_json
from zooter_core.data.scores import paraphrases
from zooter_core.router.config import ABOUT, GRAPH, MAPPED, QUANTISED, VERSION, read_about
from zooter_core.router.encoder import Batch, Encoders, pool
from zooter_core.router.graph import TOKENIZER, check_installed, session
from zooter_core.router.neighbours import ARRAYS, RECORDS
from zooter_core.router.router import PortableRouter
from zooter_core.router.text_encoder import MOST_TOKENS, Array
from zooter_core.router.torch_router import RouterHead, TorchRouter

Tokens = Mapping[str, NDArray[np.int64]]
OPSET = 20
SAMPLE = (
    "What is the sea?",
    "Write a list of 7 apples.",
    "So.",
)  # several texts of several tokens: an export is traced
TEXTS = ["Hello", *SAMPLE]
TOLERANCE = 1e-4  # between both routers' probabilities, which are within 1e-6
ENCODER_OPERATORS = "/model/"  # how the names of those in the graph begin: `_Graph.model`
SAME_CHOICES = 0.95  # the least share of queries for which 7-bit weights choose as the router does
USUAL = 0.95  # the share of the columns whose numbers are of a usual size


def export_router(folder: Path, out: Path, cached: bool = False) -> PortableRouter:
    """Write a router as a folder that needs neither PyTorch nor transformers.

    Args:
        folder: of the router. Nothing in it is changed.
        out: what is there stays until the export is complete.
        cached: for the cache, which maps the weights (`map_weights`) and needs no copy of the router's neighbours.

    Raises:
        ZooterError: there is no such router, the extra `onnx` is not installed, or the tokenizer is written in Python.
        WorkError: the router cannot be exported, its export gives other probabilities, or the disk is full.
    """
    check_installed()
    router = TorchRouter.open(folder, Encoders())
    with update_folder(out, ABOUT, (ARRAYS, RECORDS, QUANTISED)) as partial:
        with writing(out):
            _write(router, partial, cached)
            for name in () if cached else (ARRAYS, RECORDS):
                if (folder / name).is_file():
                    shutil.copyfile(folder / name, partial / name)
        _check(router, partial)
        with writing(out):
            _add_quantised(router, partial)
    return PortableRouter.open(out)


class HeadGraph(torch.nn.Module):
    """Vectors -> calibrated probabilities, and each member's distribution, shape (n, members, candidates)."""

    def __init__(self, head: RouterHead, members: int) -> None:
        super().__init__()
        self.head, self.members, self.temperature = head, members, head.config.calibration_temperature

    def forward(self, vectors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        probabilities = torch.softmax(self.head(vectors).double() / self.temperature, dim=-1)
        if not self.members:
            return (probabilities,)
        return probabilities, self.head.body.members(vectors).double().exp().transpose(0, 1)


class _Graph(torch.nn.Module):
    """Tokens -> vectors, and what HeadGraph gives."""

    def __init__(self, router: TorchRouter, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self.middle = plain_copy(router.encoder.model), router.encoder.middle
        self.names, self.head = list(names), HeadGraph(router.head, _members(router))

    def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        vectors = pool(self.model, self.middle, dict(zip(self.names, values, strict=True)))
        return vectors, *self.head(vectors)


def _members(router: TorchRouter) -> int:
    """How many distributions the router's head gives; 0 for those with less than two."""
    members = router.outputs(TEXTS).members
    return 0 if members is None else len(members)


def _write(router: TorchRouter, folder: Path, cached: bool) -> None:
    sample = dict(router.encoder.tokens(SAMPLE, "pt"))
    module = _Graph(router, list(sample))
    names = ("vectors", "probabilities", "members")[: 3 if module.head.members else 2]
    write_graph(module, sample, names, folder / GRAPH)
    if cached:
        map_weights(folder / GRAPH)
    encoder = router.encoder
    tokenizer = tokenizer_json(encoder.tokenizer, encoder.reference, MOST_TOKENS, direction="left")
    (folder / TOKENIZER).write_text(tokenizer, encoding="utf-8")
    config = router.head.config
    about = {
        "version": VERSION,
        "candidates": list(router.candidates),
        "encoder": config.encoder,
        "width": config.width,
        "kind": config.kind,
        "members": module.head.members,
        "calibration_temperature": config.calibration_temperature,
        "labels": config.labels,
        "opset": OPSET,
        "sha256": {name: sha256_of(folder / name) for name in (GRAPH, TOKENIZER, *([MAPPED] if cached else []))},
    }
    _write_about(folder, about)


def _write_about(folder: Path, about: Mapping[str, Any]) -> None:
    (folder / ABOUT).write_text(dump_json(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _add_quantised(router: TorchRouter, folder: Path) -> None:
    """Add the graph with 7-bit weights, unless ONNX Runtime cannot make it, or too many of its choices are others.

    Pairs of queries that were written for this project show which numbers are large, and how it chooses.
    """
    path, about = folder / QUANTISED, read_about(folder)
    usual, others = zip(*paraphrases(), strict=True)
    try:
        quantise(
            folder / GRAPH, path, [router.encoder.tokens([text], "np") for text in usual], prefix=ENCODER_OPERATORS
        )
        _write_about(folder, about | {"sha256": about["sha256"] | {QUANTISED: sha256_of(path)}})
        exact, fast = (PortableRouter.open(folder, graph=name).probabilities(others) for name in (GRAPH, QUANTISED))
        if (same := np.mean(exact.argmax(axis=1) == fast.argmax(axis=1))) < SAME_CHOICES:
            raise ValueError(f"they would change {1 - same:.0%} of its choices")
    except OSError:
        raise
    except Exception as problem:  # onnx and ONNX Runtime raise many kinds; the exact graph is enough
        warnings.warn(f"The router is exported without 7-bit weights: {first_line(problem)}", stacklevel=3)
        path.unlink(missing_ok=True)
        _write_about(folder, about)


def _check(router: TorchRouter, folder: Path) -> None:
    """Refuse an export with other probabilities than the router's."""
    exported = PortableRouter.open(folder)
    exact, other = router.outputs(TEXTS), exported.outputs(TEXTS)
    same = np.allclose(exact.probabilities, other.probabilities, atol=TOLERANCE)
    if exact.members is not None and other.members is not None:
        same = same and np.allclose(exact.members, other.members, atol=TOLERANCE)
    if not same:
        raise WorkError(
            "an export that gives the router's probabilities",
            "others",
            'Set runtime = "torch" in [router].',
            "The exported router's probabilities differ from the router's.",
        )


def plain_copy(model: torch.nn.Module) -> Any:
    """A copy of an encoder whose attention is exported as matrix products; the export of sdpa is slower."""
    plain: Any = copy.deepcopy(model)
    plain.set_attn_implementation("eager")
    return plain


def write_graph(module: torch.nn.Module, sample: Batch, outputs: Sequence[str], path: Path) -> None:
    """Export with dynamic batch size and length, and rename the file into place when it is complete.

    The exporter is the one by TorchScript: it takes a tenth of the time of the newer one by torch.export, and the graph
    runs a tenth faster, since ONNX Runtime's fusions know its patterns.

    Args:
        module: takes the values of `sample`, in their order.

    Raises:
        WorkError: torch.onnx cannot export the module.
    """
    free = {name: {0: "batch", 1: "length"} for name in sample}
    try:
        with atomic(path) as partial, silence():
            torch.onnx.export(
                module.eval(), tuple(sample.values()), partial,
                input_names=list(sample), output_names=list(outputs), dynamic_axes=free,
                opset_version=OPSET, dynamo=False,
            )  # fmt: skip
    except OSError:
        raise
    except Exception as problem:  # torch, onnx and the model raise many kinds
        raise WorkError(
            "an encoder that torch.onnx can export", first_line(problem), 'Set runtime = "torch" in [router].'
        ) from problem


def map_weights(graph: Path) -> None:
    """Move a graph's weights into `GRAPH.data`, which ONNX Runtime maps: it loads in half the time and memory.

    For the cache alone: writing over a mapped file ends the process that uses it.
    """
    import onnx

    weights = graph.with_name(f"{graph.name}.data")
    onnx.save(onnx.load(graph), graph, save_as_external_data=True, location=weights.name)
    shutil.copymode(graph, weights)


@contextmanager
def silence() -> Iterator[None]:
    """Silence the exporter's warnings, which are for authors of models."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def tokenizer_json(tokenizer: Any, reference: str, most: int, direction: str = "right", padding: bool = True) -> str:
    """tokenizer.json of a tokenizer of transformers.

    Args:
        most: tokens of a text; the longer of two texts is cut first.
        direction: the side on which a text is cut.
        padding: whether the texts of a batch are padded, as the tokenizer does.

    Raises:
        WorkError: it is written in Python.
    """
    from tokenizers import Tokenizer

    fast: Any = getattr(tokenizer, "backend_tokenizer", None)
    if fast is None:
        raise WorkError(
            f"a tokenizer of the tokenizers library at {reference}",
            f"{type(tokenizer).__name__}, which is written in Python",
            "Distill the router with another encoder.",
        )
    copy = Tokenizer.from_str(fast.to_str())
    copy.enable_truncation(most, direction=direction)
    if padding:
        copy.enable_padding(
            direction=tokenizer.padding_side,
            pad_id=tokenizer.pad_token_id,
            pad_type_id=tokenizer.pad_token_type_id,
            pad_token=tokenizer.pad_token,
        )
    else:
        copy.no_padding()
    return str(copy.to_str())


def quantise(exact: Path, out: Path, texts: Sequence[Tokens], prefix: str) -> None:
    """Write a graph's copy with one scale for each column of weights, and one for a layer's inputs, computed at each
    pass.

    7 bits, because with 8 a processor without AVX-512 VNNI adds two products in 16 bits and overflows.

    Args:
        texts: one batch for each text; they show which columns have huge numbers.
        prefix: of the names of the operators that are quantised.

    Raises:
        Exception: onnx and ONNX Runtime have errors of their own for a graph that they cannot quantise.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(exact)
    shapes = {weights.name: weights.dims for weights in model.graph.initializer}
    operators = [node for node in model.graph.node if node.name.startswith(prefix)]
    layers = [node for node in operators if node.op_type == "MatMul" and len(shapes.get(node.input[1], ())) == 2]
    tables = [node for node in operators if node.op_type == "Gather" and len(shapes.get(node.input[0], ())) == 2]
    _even_out(model.graph, layers, _largest(model, {node.input[0] for node in layers}, texts))
    _shrink(model.graph, tables)
    with work_folder(out) as partial:  # quantize_dynamic leaves more files beside what it reads
        onnx.save(model, partial / "even.onnx")
        with silence():
            quantize_dynamic(
                partial / "even.onnx", partial / out.name, nodes_to_quantize=[node.name for node in layers],
                per_channel=True, weight_type=QuantType.QInt8, reduce_range=True,
            )  # fmt: skip
        (partial / out.name).replace(out)


def _largest(model: Any, names: Iterable[str], texts: Sequence[Tokens]) -> dict[str, Array]:
    """The largest magnitude in each column of the states of these names, shape (width,), over some texts."""
    import onnx

    order, watched = sorted(names), onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in order]
    watched.graph.output.extend(values)
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
    _replace(graph, nodes)


def _shrink(graph: Any, tables: Sequence[Any]) -> None:
    """Keep tables that are looked up as bytes, with a scale for each row."""
    from onnx import TensorProto, helper, numpy_helper

    weights, names = {one.name: one for one in graph.initializer}, {node.name for node in tables}
    nodes = []
    for node in graph.node:
        if node.name not in names:
            nodes.append(node)
            continue
        name, (table, numbers) = node.name, node.input
        rows = numpy_helper.to_array(weights[table])
        scales = np.abs(rows).max(axis=1, keepdims=True).clip(np.finfo(np.float32).tiny) / 127
        for part, values in (("bytes", np.rint(rows / scales).astype(np.int8)), ("scales", scales)):
            graph.initializer.append(numpy_helper.from_array(values, f"{name} {part}"))
            nodes.append(helper.make_node("Gather", [f"{name} {part}", numbers], [f"{name} {part} of rows"]))
        nodes.append(helper.make_node("Cast", [f"{name} bytes of rows"], [f"{name} wide"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [f"{name} wide", f"{name} scales of rows"], list(node.output)))
    _replace(graph, nodes)


def _replace(graph: Any, nodes: Sequence[Any]) -> None:
    """Give a graph these operators, and drop the weights that none of them uses."""
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    for weights in [one for one in graph.initializer if one.name not in used]:
        graph.initializer.remove(weights)
