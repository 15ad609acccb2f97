"""ONNX graphs: files that ONNX Runtime runs on this machine's processor. Nothing here needs PyTorch."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import WorkError, first_line

Array = NDArray[np.float32]
Tokens = Mapping[str, NDArray[np.int64]]
PACKAGES = ("onnxruntime", "onnx")  # the extra `onnx`; the second exports


def missing() -> list[str]:
    """The packages of the extra `onnx` that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


def session(model: str | bytes) -> Any:
    """A graph in a file, or as bytes, ready to run. A pass runs in the calling thread."""
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = 1, 1
    options.log_severity_level = 4  # errors are raised as well
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False  # they keep what the longest text has needed
    # The kernel of this fusion adds numbers one by one; the operators that it replaces take a quarter of its time.
    slow = ["SkipLayerNormFusion"]
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"], disabled_optimizers=slow)


class Graph:
    """Tokens of shape (n, length), by input name -> their vectors (`pool`). Any number of threads may call it.

    A pass runs in the calling thread, since a candidate may be answering on the other cores.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.session = path, session(str(path))
        self.names = [entry.name for entry in self.session.get_inputs()]

    def __call__(self, batch: Tokens) -> Array:
        return self.session.run(None, {name: batch[name] for name in self.names})[0]


def load_onnxruntime() -> Any:
    """ONNX Runtime, with telemetry switched off before it loads: it records the process and the machine while it loads,
    to send them to its maker later, so its own switch in Python comes too late.

    Raises:
        WorkError: it does not load.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime
    except ImportError as problem:  # installed, but built for another system
        next_step = 'Install onnxruntime again, or, with PyTorch, set runtime = "torch" in [router].'
        raise WorkError("an onnxruntime that loads", first_line(problem), next_step) from problem
    return onnxruntime
