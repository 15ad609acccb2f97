"""An encoder's pass as an ONNX graph: exported once into the cache folder, then run by ONNX Runtime.

One short text costs torch as much time for its own administration as for the arithmetic. ONNX Runtime does the same
arithmetic in float32 without most of that; its vectors differ from torch's in the seventh digit.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zooter_core.errors import WorkError, ZooterError, first_line
from zooter_core.files import atomic
from zooter_core.weights import cache_dir, private_cache

Batch = Mapping[str, torch.Tensor]
Array = NDArray[np.float32]
Tokens = Mapping[str, NDArray[np.int64]]
PACKAGES = ("onnxruntime", "onnx", "onnxscript")  # the extra `onnx`; the last two export
LAYOUT = 2  # raise it when the exported graph becomes another one: kept graphs are then made again
OPSET = 20
NEAR = 1e-5  # how far a graph's numbers may be off torch's; they are within 1e-6


def missing() -> list[str]:
    """Those packages of the extra `onnx` that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


def pool(model: torch.nn.Module, middle: int, batch: Batch) -> torch.Tensor:
    """Vectors of shape (n, 2 * width): mean states of layer `middle` and of the last, each of unit length."""
    states = model(**batch, output_hidden_states=True).hidden_states
    mask = batch["attention_mask"].unsqueeze(-1).float()
    pooled = [(states[layer] * mask).sum(1) / mask.sum(1) for layer in (middle, -1)]
    return torch.cat([torch.nn.functional.normalize(part, dim=-1) for part in pooled], dim=-1)


def session(model: str | bytes) -> Any:
    """A graph in a file, or as bytes, ready to run in the thread that asks for it."""
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised as well
    # The kernel of this fusion adds up one number after the other: what it stands for takes a quarter of its time.
    slow = ["SkipLayerNormFusion"]
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"], disabled_optimizers=slow)


class Graph:
    """Tokens of shape (n, length), by input name -> what `pool` gives for them. Any number of threads may call it.

    A pass works in the thread that asks for it: more threads gain little on a short text, and those of ONNX Runtime
    wait for the next one at full speed, on the cores where a candidate is answering.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.session = path, session(str(path))
        self.names = [given.name for given in self.session.get_inputs()]

    def __call__(self, batch: Tokens) -> Array:
        vectors: Array = self.session.run(None, {name: batch[name] for name in self.names})[0]
        return vectors


def graph_of(model: torch.nn.Module, middle: int, key: str, samples: Sequence[Batch]) -> Graph:
    """The graph of an encoder: the one in the cache folder, or one that is exported into it now (some ten seconds).

    Args:
        model: in evaluation mode; it is left as it is.
        middle: the layer beside the last one.
        key: what tells this encoder's weights from others.
        samples: tokens of texts; a graph counts only if its vectors of them are torch's. The last one is what the
            export is traced with, so it must have several texts of several tokens.

    Raises:
        ZooterError: the extra `onnx` is not installed.
        WorkError: ONNX Runtime does not load, the model cannot be exported, or the cache folder cannot be written.
    """
    _check_installed()
    name = hashlib.sha256(f"{LAYOUT} {OPSET} {key}".encode()).hexdigest()[:24]
    path = cache_dir() / "graphs" / f"{name}.onnx"
    wanted = [_torch(model, middle, sample) for sample in samples]
    if kept := _kept(path, samples, wanted):
        return kept
    with making(path):
        if kept := _kept(path, samples, wanted):  # another process made it while this one waited
            return kept
        _write(model, middle, samples[-1], path)
    made = _kept(path, samples, wanted)
    if made is None:
        path.unlink(missing_ok=True)
        raise WorkError("a graph that gives torch's vectors", "others", 'Set runtime = "torch" in [router].')
    return made


@contextmanager
def making(path: Path) -> Iterator[None]:
    """Hold the lock of a file in the cache folder while it is made.

    Raises:
        WorkError: the folder cannot be written.
    """
    from filelock import FileLock

    try:
        private_cache()
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            yield
    except OSError as problem:
        raise WorkError(
            f"a writable cache folder {path.parent} with room for the encoder's weights",
            str(problem),
            "Free some space, or set ZOOTER_CACHE to another folder.",
        ) from problem


def _check_installed() -> None:
    if missing():
        raise ZooterError(
            "ONNX Runtime for the encoder",
            f"no package {missing()[0]}",
            "Run `pip install 'zooter[onnx]'`, or set runtime = \"auto\" in [router] of fleet.toml.",
        )
    try:
        _onnxruntime()
    except ImportError as problem:  # there, but made for another system
        raise WorkError(
            "an onnxruntime that loads", first_line(problem), 'Install it anew, or set runtime = "torch" in [router].'
        ) from problem


def _onnxruntime() -> Any:
    """ONNX Runtime, told to keep quiet before it loads: it notes the process and the machine while it does, to send
    them to its maker later, and its own switch in Python comes too late for that."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


def _kept(path: Path, samples: Sequence[Batch], wanted: Sequence[Array]) -> Graph | None:
    """The graph in a file, unless there is none, or it is damaged in a way that shows."""
    if not path.is_file():
        return None
    with suppress(Exception):  # ONNX Runtime has exceptions of its own for each kind of damage
        graph = Graph(path)
        found = [graph({name: values.numpy() for name, values in sample.items()}) for sample in samples]
        if all(np.allclose(one, other, atol=NEAR) for one, other in zip(found, wanted, strict=True)):
            return graph
    return None


@torch.inference_mode()
def _torch(model: torch.nn.Module, middle: int, batch: Batch) -> Array:
    vectors: Array = pool(model, middle, batch).numpy()
    return vectors


class _Pooled(torch.nn.Module):
    """`pool` as a module whose inputs come one by one, in the order of `names`."""

    def __init__(self, model: torch.nn.Module, middle: int, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self.middle, self.names = model, middle, names

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        return pool(self.model, self.middle, dict(zip(self.names, values, strict=True)))


def _write(model: torch.nn.Module, middle: int, sample: Batch, path: Path) -> None:
    """Export with any batch and length, and put the file in its place when it is whole.

    Raises:
        WorkError: torch.onnx cannot.
    """
    plain: Any = copy.deepcopy(model)
    plain.set_attn_implementation("eager")  # its matrix products come out as such; what sdpa becomes is slower
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    try:
        with atomic(path) as partial, silence():
            torch.onnx.export(
                _Pooled(plain, middle, list(sample)).eval(), tuple(sample.values()), partial,
                input_names=list(sample), output_names=["vectors"], dynamic_shapes=((free,) * len(sample),),
                opset_version=OPSET, dynamo=True, external_data=False, verbose=False,
            )  # fmt: skip
    except OSError:
        raise
    except Exception as problem:  # of torch, onnxscript and onnx, and of the model itself
        raise WorkError(
            "an encoder that torch.onnx can export", first_line(problem), 'Set runtime = "torch" in [router].'
        ) from problem


@contextmanager
def silence() -> Iterator[None]:
    """Without the exporter's advice, which is for who writes models."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
