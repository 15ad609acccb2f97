"""An encoder's forward pass as an ONNX graph: exported once into the cache folder, then run by ONNX Runtime.

For one short text, PyTorch spends as much time on overhead as on arithmetic. ONNX Runtime does the same arithmetic in
float32 without most of the overhead; its vectors differ from PyTorch's in the seventh digit.
"""

from __future__ import annotations

import copy
import hashlib
import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zooter_core.base.errors import WorkError, ZooterError, first_line
from zooter_core.base.files import atomic
from zooter_core.base.weights import cache_dir, writing_cache
from zooter_core.router.graph import Array, Graph, load_onnxruntime, missing

Batch = Mapping[str, torch.Tensor]
LAYOUT = 3  # raise it when the exported graph changes: cached graphs are then exported again
OPSET = 20
TOLERANCE = 1e-5  # between a graph's numbers and PyTorch's, which are within 1e-6


def pool(model: torch.nn.Module, middle: int, batch: Batch) -> torch.Tensor:
    """Vectors of shape (n, 2 * width): mean states of layer `middle` and of the last, each of unit length."""
    states = model(**batch, output_hidden_states=True).hidden_states
    mask = batch["attention_mask"].unsqueeze(-1).float()
    pooled = [(states[layer] * mask).sum(1) / mask.sum(1) for layer in (middle, -1)]
    return torch.cat([torch.nn.functional.normalize(part, dim=-1) for part in pooled], dim=-1)


def graph_of(model: torch.nn.Module, middle: int, key: str, samples: Sequence[Batch]) -> Graph:
    """The graph of an encoder: from the cache folder, or exported into it now (about a second).

    Args:
        model: in evaluation mode; it is not changed.
        middle: the layer to pool besides the last one.
        key: identifies the encoder's weights.
        samples: tokens of texts, on which the graph's vectors must be PyTorch's. The export is traced with the last
            sample, so it must have several texts of several tokens.

    Raises:
        ZooterError: the extra `onnx` is not installed.
        WorkError: ONNX Runtime does not load, the model cannot be exported, or the cache folder cannot be written.
    """
    check_installed()
    name = hashlib.sha256(f"{LAYOUT} {OPSET} {key}".encode()).hexdigest()[:24]
    path = cache_dir() / "graphs" / f"{name}.onnx"
    with torch.inference_mode():
        vectors = [pool(model, middle, sample).numpy() for sample in samples]
    if graph := _cached(path, samples, vectors):
        return graph
    with writing_cache(path):
        if graph := _cached(path, samples, vectors):  # another process exported it while this one waited
            return graph
        module = _Pooled(plain_copy(model), middle, list(samples[-1]))
        write_graph(module, samples[-1], ["vectors"], path)
    if graph := _cached(path, samples, vectors):
        return graph
    path.unlink(missing_ok=True)
    sentence = "The exported encoder's vectors differ from PyTorch's."
    raise WorkError("a graph that gives PyTorch's vectors", "others", 'Set runtime = "torch" in [router].', sentence)


def check_installed() -> None:
    """Refuse to export where the extra `onnx` is not installed.

    Raises:
        ZooterError, WorkError: a package is missing, or ONNX Runtime does not load.
    """
    if missing():
        raise ZooterError(
            "ONNX Runtime for the encoder",
            f"no package {missing()[0]}",
            "Run `pip install 'zooter[onnx]'`, or set runtime = \"auto\" in [router] of fleet.toml.",
        )
    load_onnxruntime()


def _cached(path: Path, samples: Sequence[Batch], vectors: Sequence[Array]) -> Graph | None:
    """The graph in a file; None where there is none, or its vectors are not these."""
    if not path.is_file():
        return None
    with suppress(Exception):  # ONNX Runtime has exceptions of its own for each kind of damage
        graph = Graph(path)
        outputs = [graph({name: values.numpy() for name, values in sample.items()}) for sample in samples]
        if all(np.allclose(*pair, atol=TOLERANCE) for pair in zip(outputs, vectors, strict=True)):
            return graph
    return None


class _Pooled(torch.nn.Module):
    """`pool` as a module with positional inputs, in the order of `names`."""

    def __init__(self, model: torch.nn.Module, middle: int, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self.middle, self.names = model, middle, names

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        return pool(self.model, self.middle, dict(zip(self.names, values, strict=True)))


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
