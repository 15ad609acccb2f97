"""A frozen sentence encoder, text -> vectors, shared by the tagger and the router.

ONNX Runtime computes the vectors of a few texts where it is installed (onnx.py); PyTorch computes larger batches.
"""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from zooter_core.base.errors import WorkError, ZooterError, did_you_mean
from zooter_core.base.weights import LOAD_LOCK, load_reason, not_finite, quiet_libraries, resolve, stamp_of
from zooter_core.config.fleet import RUNTIMES
from zooter_core.router.config import TOKENIZER
from zooter_core.router.encoder.onnx import graph_of, pool
from zooter_core.router.graph import Array, Graph, missing
from zooter_core.router.text_encoder import MOST_CHARACTERS, MOST_TOKENS, Progress, TextEncoder, by_length
from zooter_core.router.tokenizer_file import check_patterns

BATCH = 32
FEW = 4  # ONNX Runtime is faster up to this number of texts: on one core 2 times for 1 or 2, 1.4 for 4, 1.2 for 8
SAMPLES = (("Hello",), ("What is the sea?", "Write a list of 7 apples.", "So."))


class Encoder(TextEncoder):
    """A frozen encoder on PyTorch.

    Args:
        reference: hub id, folder or `package:NAME`.
        runtime: what computes the vectors of up to FEW texts. `torch` is PyTorch; `onnx` is ONNX Runtime, one and a
            half times as fast, with the same vectors to the sixth digit; `int8` is the same, since only a router's
            graph has 7-bit weights; `auto` is `onnx` where it is installed and can export the model, else `torch`.
            PyTorch computes larger batches in any case: it uses all cores.

    Raises:
        ZooterError: the runtime is unknown, or ONNX Runtime is not installed.
        WorkError: the model does not load, its weights or its vectors of a first text are not finite, or it cannot be
            exported for ONNX Runtime.
    """

    def __init__(self, reference: str, runtime: str = "torch") -> None:
        super().__init__()
        if runtime not in RUNTIMES:
            raise ZooterError("a known runtime", f'"{runtime}"', did_you_mean(runtime, RUNTIMES))
        quiet_libraries()
        folder = resolve(reference)
        try:
            if (file := Path(folder) / TOKENIZER).is_file():
                check_patterns(file)
            self.tokenizer = AutoTokenizer.from_pretrained(folder, truncation_side="left", trust_remote_code=False)
            with LOAD_LOCK:
                self.model = AutoModel.from_pretrained(folder, dtype=torch.float32, trust_remote_code=False).eval()
        except ZooterError:
            raise
        except Exception as problem:  # transformers, tokenizers and safetensors raise many kinds
            raise WorkError(
                f"an encoder at {reference}", load_reason(problem), "Name another in fleet.toml."
            ) from problem
        if getattr(self.model, "pooler", None) is not None:
            self.model.pooler = None  # states are pooled here; BERT's own pooling is not used
        self.reference = reference
        self.stamp = stamp_of(folder)
        self.width = int(self.model.config.hidden_size)
        self.middle = int(self.model.config.num_hidden_layers) // 2
        self.graph: Graph | None = None
        if name := not_finite(self.model):
            raise self._broken(f"NaN or infinity in its weights ({name})")
        self._batches(SAMPLES[0])  # checks that vectors are finite
        if runtime != "torch" and not (runtime == "auto" and missing()):
            self._export(runtime)

    @property
    def runtime(self) -> str:
        return "onnx" if self.graph else "torch"

    @property
    def identity(self) -> str:
        return f"{self.reference} {self.stamp} {self.width} {self.middle}"

    def count(self, texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        tokens = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return [len(row) for row in tokens]

    def copy(self) -> Encoder:
        """An encoder whose weights may be trained: it runs on PyTorch and caches nothing on disk."""
        twin = Encoder.__new__(Encoder)
        vars(twin).update(vars(self))
        twin.model, twin.stamp, twin.graph = copy.deepcopy(self.model), None, None
        twin._last = threading.local()
        return twin

    def save(self, folder: Path) -> None:
        """Write weights and tokenizer, which another Encoder then loads."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def _batches(self, texts: Sequence[str], progress: Progress = lambda done: None) -> Array:
        vectors, done = np.empty((len(texts), 2 * self.width), dtype=np.float32), 0
        for rows in by_length(texts, BATCH):
            vectors[rows] = self._finite(self._forward([texts[row] for row in rows]))
            done += len(rows)
            progress(done)
        return vectors

    @torch.inference_mode()
    def _forward(self, texts: Sequence[str]) -> Array:
        if self.graph is not None and len(texts) <= FEW:
            return self.graph(self.tokens(texts, "np"))
        return pool(self.model, self.middle, self.tokens(texts, "pt")).numpy()

    def tokens(self, texts: Sequence[str], kind: str) -> Any:
        """One batch's tokens by input name, as tensors of a `kind`: `pt` or `np`."""
        return self.tokenizer(
            [text[-MOST_CHARACTERS:] for text in texts],
            padding=True,
            truncation=True,
            max_length=MOST_TOKENS,
            return_tensors=kind,
        )

    def _export(self, runtime: str) -> None:
        """Take ONNX Runtime for a few texts; with `auto`, fall back to PyTorch with a warning."""
        try:
            self.graph = graph_of(
                self.model, self.middle, self.identity, [self.tokens(texts, "pt") for texts in SAMPLES]
            )
        except ZooterError as problem:
            if runtime != "auto":
                raise
            warnings.warn(f"The encoder runs on {self.runtime}. {problem}", stacklevel=4)


class Encoders:
    """Encoders by reference, each loaded once and shared.

    Args:
        runtime: of `Encoder`.
    """

    def __init__(self, runtime: str = "torch") -> None:
        self.runtime = runtime
        self._loaded: dict[str, Encoder] = {}
        self._lock = threading.Lock()

    def __call__(self, reference: str) -> Encoder:
        with self._lock:
            if reference not in self._loaded:
                self._loaded[reference] = Encoder(reference, self.runtime)
            return self._loaded[reference]
