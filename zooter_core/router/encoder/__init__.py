"""A frozen sentence encoder, text -> vectors, shared by the tagger and the router.

ONNX Runtime computes the vectors of a few texts where it is installed (onnx.py); PyTorch computes larger batches.
int8.py holds a faster encoder whose vectors are less precise.
"""

from __future__ import annotations

import copy
import hashlib
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from zooter_core.config.fleet import RUNTIMES
from zooter_core.errors import WorkError, ZooterError, did_you_mean, first_line
from zooter_core.files import atomic, clear, narrow, private_folder
from zooter_core.router.encoder.onnx import Graph, graph_of, missing, pool
from zooter_core.weights import LOAD_LOCK, cache_dir, not_finite, private_cache, quiet_libraries, resolve

Array = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Array]
MOST_TOKENS = 256
MOST_CHARACTERS = 8_000  # about ten times what 256 tokens hold; keeps tokenising a huge text cheap
REMEMBERED = 16
BATCH = 32
FEW = 4  # ONNX Runtime is faster up to this number of texts: on one core 2 times for 1 or 2, 1.4 for 4, 1.2 for 8
INT8 = "int8"
SAMPLES = (("Hello",), ("What is the sea?", "Write a list of 7 apples.", "So."))


class Encoder:
    """Mean-pooled states of a middle and of the last layer, each of unit length, side by side.

    The last layer says what a text is about, the middle one more of how it is put; a router gains from both.
    One object serves every thread: a forward pass changes nothing, and a lock guards the memory of recent calls.

    Args:
        reference: hub id, folder or `package:NAME`.
        runtime: what computes the vectors of up to FEW texts. `torch` is PyTorch; `onnx` is ONNX Runtime, one and a
            half times as fast, with the same vectors to the sixth digit; `auto` is `onnx` where it is installed and
            can export the model, else `torch`. PyTorch computes larger batches in any case: it uses all cores.

    Raises:
        ZooterError: the runtime is unknown, or ONNX Runtime is not installed.
        WorkError: the model does not load, its weights or its vectors of a first text are not finite, or it cannot be
            exported for ONNX Runtime.
    """

    def __init__(self, reference: str, runtime: str = "torch") -> None:
        _check_runtime(runtime, [name for name in RUNTIMES if name != INT8])
        quiet_libraries()
        folder = resolve(reference)
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder, truncation_side="left")
            with LOAD_LOCK:
                self.model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
        except Exception as problem:  # transformers, tokenizers and safetensors raise many kinds
            raise WorkError(
                f"an encoder at {reference}", first_line(problem), "Name another in fleet.toml."
            ) from problem
        if getattr(self.model, "pooler", None) is not None:
            self.model.pooler = None  # states are pooled here; BERT's own pooling is not used
        self.reference = reference
        self.stamp: str | None = _stamp(folder)
        self.width = int(self.model.config.hidden_size)
        self.middle = int(self.model.config.num_hidden_layers) // 2
        self._memory: OrderedDict[Hashable, Array] = OrderedDict()
        self._lock = threading.Lock()
        self.graph: Graph | None = None
        if name := not_finite(self.model):
            raise self._broken(f"NaN or infinity in its weights ({name})")
        self._batches(SAMPLES[0])  # checks that vectors are finite
        if runtime != "torch" and not (runtime == "auto" and missing()):
            self._export(runtime)

    @property
    def runtime(self) -> str:
        """What computes the vectors of a few texts: `onnx`, `torch`, or `int8` of an Int8Encoder."""
        return "onnx" if self.graph else "torch"

    def embed(self, texts: Sequence[str]) -> Array:
        """Vectors of shape (n, 2 * width): middle layer, last layer.

        The results of the last REMEMBERED calls are kept: tagger and router ask for the same texts one after the other.

        Raises:
            WorkError: a vector is not finite.
        """
        return self._remembered(tuple(texts), lambda: self._batches(texts))

    def embedder(self, probabilities: Callable[[Array], NDArray[np.float64]]) -> Embed:
        """`embed` for a router, made precise enough for its choices.

        Args:
            probabilities: the router's, shape (n, candidates), from vectors.
        """
        return self.embed

    def embed_all(self, texts: Sequence[str], progress: Callable[[int], None] = lambda done: None) -> Array:
        """`embed` for many texts, in batches of similar length, cached on disk by content: a second call is instant.

        Args:
            progress: called with the number of texts done after each batch.
        """
        if self.stamp is None:
            return self._batches(texts, progress)
        digest = hashlib.sha256(f"{self.reference} {self.stamp} {self.width} {self.middle}".encode())
        for text in texts:
            digest.update(hashlib.sha256(text.encode("utf-8", "replace")).digest())
        path = cache_dir() / "embeddings" / f"{digest.hexdigest()[:24]}.npy"
        narrow(path)
        with suppress(OSError, ValueError, EOFError):  # missing or damaged: computed again
            cached: Array = np.load(path)
            if cached.shape == (len(texts), 2 * self.width) and np.isfinite(cached).all():
                return cached
        vectors = self._batches(texts, progress)
        _save(path, vectors)
        return vectors

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without truncation."""
        if not texts:
            return []
        tokens = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return [len(row) for row in tokens]

    def sentence(self, vectors: Array) -> Array:
        """The last layer's half of vectors, shape (n, width): unit sentence embeddings, compared by dot product."""
        return vectors[:, self.width :]

    def copy(self) -> Encoder:
        """An encoder whose weights may be trained: it runs on PyTorch and caches nothing on disk."""
        twin = Encoder.__new__(Encoder)
        vars(twin).update(vars(self))
        twin.model, twin.stamp, twin.graph = copy.deepcopy(self.model), None, None
        twin._memory, twin._lock = OrderedDict(), threading.Lock()
        return twin

    def save(self, folder: Path) -> None:
        """Write weights and tokenizer, which another Encoder then loads."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def pooled(self, texts: Sequence[str]) -> torch.Tensor:
        """The vectors of one batch as a tensor on the model's device, with gradients where they are enabled."""
        return pool(self.model, self.middle, self._tokens(texts, "pt").to(self.model.device))

    def _remembered(self, key: Hashable, compute: Callable[[], Array]) -> Array:
        with self._lock:
            vectors = self._memory.get(key)
        if vectors is None:
            vectors = compute()
            with self._lock:
                self._memory[key] = vectors
                while len(self._memory) > REMEMBERED:
                    self._memory.popitem(last=False)
        return vectors

    def _batches(self, texts: Sequence[str], progress: Callable[[int], None] = lambda done: None) -> Array:
        """Vectors computed in batches of similar length, which need little padding."""
        vectors = np.empty((len(texts), 2 * self.width), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            vectors[rows] = self._finite(self._forward([texts[row] for row in rows]))
            progress(min(start + BATCH, len(order)))
        return vectors

    @torch.inference_mode()
    def _forward(self, texts: Sequence[str]) -> Array:
        if self.graph is not None and len(texts) <= FEW:
            return self.graph(self._tokens(texts, "np"))
        vectors: Array = self.pooled(texts).numpy()
        return vectors

    def _tokens(self, texts: Sequence[str], kind: str) -> Any:
        return self.tokenizer(
            [text[-MOST_CHARACTERS:] for text in texts],
            padding=True,
            truncation=True,
            max_length=MOST_TOKENS,
            return_tensors=kind,
        )

    def _finite(self, vectors: Array) -> Array:
        """The vectors, checked.

        Raises:
            WorkError: a number is NaN or infinite.
        """
        if not np.isfinite(vectors).all():
            raise self._broken("NaN or infinity in its vectors")
        return vectors

    def _broken(self, problem: str) -> WorkError:
        return WorkError(
            f"an encoder that gives finite vectors at {self.reference}",
            problem,
            "Get its files again (those of a fine-tuned router with `zooter distill --finetune`), or name another in "
            "fleet.toml.",
        )

    def _export(self, runtime: str) -> None:
        """Take ONNX Runtime for a few texts; with `auto`, fall back to PyTorch with a warning."""
        key = f"{self.reference} {self.stamp} {self.width} {self.middle}"
        try:
            self.graph = graph_of(self.model, self.middle, key, [self._tokens(texts, "pt") for texts in SAMPLES])
        except ZooterError as problem:
            if runtime != "auto":
                raise
            warnings.warn(f"The encoder runs on {self.runtime}. {problem}", stacklevel=4)


class Encoders:
    """Encoders by reference, each loaded once and shared.

    Args:
        runtime: `int8` (see int8.py), or one of `Encoder`.
    """

    def __init__(self, runtime: str = "torch") -> None:
        self.runtime = runtime
        self._loaded: dict[str, Encoder] = {}
        self._lock = threading.Lock()

    def __call__(self, reference: str) -> Encoder:
        with self._lock:
            if reference not in self._loaded:
                self._loaded[reference] = self._load(reference)
            return self._loaded[reference]

    def _load(self, reference: str) -> Encoder:
        _check_runtime(self.runtime, RUNTIMES)
        if self.runtime == INT8:
            from zooter_core.router.encoder.int8 import Int8Encoder

            return Int8Encoder(reference)
        return Encoder(reference, self.runtime)


def _check_runtime(runtime: str, runtimes: Sequence[str]) -> None:
    if runtime not in runtimes:
        raise ZooterError("a known runtime", f'"{runtime}"', did_you_mean(runtime, runtimes))


def _stamp(folder: str) -> str:
    """Size and time of the weights in a folder, which change when other weights replace them; empty for a hub id."""
    files = sorted(Path(folder).glob("*.safetensors")) if Path(folder).is_dir() else []
    return " ".join(f"{file.stat().st_size}-{file.stat().st_mtime_ns}" for file in files)


def _save(path: Path, vectors: Array) -> None:
    """Write the cache file atomically and privately, since vectors reveal much of a text; a failure is ignored."""
    with suppress(OSError):
        private_cache()
        private_folder(path.parent)
        clear(path.parent)
        with atomic(path, private=True) as partial, partial.open("wb") as file:
            np.save(file, vectors)
