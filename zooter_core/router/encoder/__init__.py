"""A frozen sentence encoder: text -> vectors, for the tagger and the router alike."""

from __future__ import annotations

import copy
import hashlib
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from zooter_core.config.fleet import RUNTIMES
from zooter_core.errors import WorkError, ZooterError, did_you_mean, first_line
from zooter_core.files import atomic, clear, narrow, private_folder
from zooter_core.router.encoder.int8 import Rough, rough_of
from zooter_core.router.encoder.onnx import Graph, graph_of, missing, pool
from zooter_core.weights import LOAD_LOCK, cache_dir, not_finite, private_cache, resolve

Array = NDArray[np.float32]
MOST_TOKENS = 256
MOST_CHARACTERS = 8_000  # about ten times what 256 tokens hold; keeps tokenising a huge text cheap
REMEMBERED = 16
BATCH = 32
FEW = 4  # texts up to which ONNX Runtime is taken: on one core twice as fast for 1 or 2, 1.4 times for 4, 1.2 for 8
SAMPLES = (("Hello",), ("What is the sea?", "Write a list of 7 apples.", "So."))


class Encoder:
    """Mean-pooled states of a middle and of the last layer, each of unit length, side by side.

    The last layer says what a text is about, the middle one more of how it is put; a router gains from both.
    One object serves every thread: its forward pass changes nothing, its memory is behind a lock.

    Args:
        reference: hub id, folder or `package:NAME`.
        runtime: what works out one query or a few. `torch`; `onnx` is ONNX Runtime, one and a half times as fast
            there and the same to the sixth digit; `int8` is ONNX Runtime with weights of 7 bits, three times as fast
            again, whose vectors are `rough`; `auto` is `int8` where ONNX Runtime is installed and can, else torch.
            Large batches are torch's in any case: the gain is in the time a call takes, and torch has all cores.

    Raises:
        ZooterError: there is no such runtime, or ONNX Runtime is asked for and not installed.
        WorkError: the model does not load, its weights or its vectors of a first text are not finite, or it cannot be
            exported for ONNX Runtime.
    """

    def __init__(self, reference: str, runtime: str = "torch") -> None:
        if runtime not in RUNTIMES:
            raise ZooterError("a known runtime", f'"{runtime}"', did_you_mean(runtime, RUNTIMES))
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
        self._memory: OrderedDict[tuple[bool, tuple[str, ...]], Array] = OrderedDict()
        self._known: dict[str, Array] = {}
        self._lock = threading.Lock()
        self.graph: Graph | None = None
        self.quick: Rough | None = None
        if name := not_finite(self.model):
            raise self._broken(f"NaN or infinity in its weights ({name})")
        self.embed(SAMPLES[0])
        if runtime != "torch" and not (runtime == "auto" and missing()):
            self._compile(runtime)

    @property
    def runtime(self) -> str:
        """What works out one query: `int8`, `onnx` or `torch`."""
        return "int8" if self.quick else "onnx" if self.graph else "torch"

    def rough(self, texts: Sequence[str]) -> bool:
        """Whether `embed` gives for these vectors that are off by some hundredths."""
        return self.quick is not None and len(texts) <= FEW and not self._known

    def embed(self, texts: Sequence[str], exact: bool = False) -> Array:
        """Vectors of shape (n, 2 * width): middle layer, last layer; `exact` ones where they would be rough.

        The last few calls are remembered whole: tagger and router ask for the same texts one after the other.

        Raises:
            WorkError: a vector is not finite.
        """
        quick = self.quick if self.rough(texts) and not exact else None
        key = quick is None, tuple(texts)
        with self._lock:
            known = self._memory.get(key)
        if known is None:
            known = self._finite(quick.graph(self._tokens(texts, "np"))) if quick else self._batches(texts)
            with self._lock:
                self._memory[key] = known
                while len(self._memory) > REMEMBERED:
                    self._memory.popitem(last=False)
        return known

    def embed_all(self, texts: Sequence[str], progress: Callable[[int], None] = lambda done: None) -> Array:
        """Exact ones of many texts, in batches of like length, kept on disk by content: a second call is instant."""
        if self.stamp is None:
            return self._batches(texts, progress)
        digest = hashlib.sha256(f"{self.reference} {self.stamp} {self.width} {self.middle}".encode())
        for text in texts:
            digest.update(hashlib.sha256(text.encode("utf-8", "replace")).digest())
        path = cache_dir() / "embeddings" / f"{digest.hexdigest()[:24]}.npy"
        narrow(path)
        with suppress(OSError, ValueError, EOFError):  # not there, or damaged: made again
            found: Array = np.load(path)
            if found.shape == (len(texts), 2 * self.width) and np.isfinite(found).all():
                return found
        vectors = self._batches(texts, progress)
        _save(path, vectors)
        return vectors

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, uncut."""
        found = self.tokenizer(list(texts), add_special_tokens=False, verbose=False) if texts else {"input_ids": []}
        return [len(tokens) for tokens in found["input_ids"]]

    def sentence(self, vectors: Array) -> Array:
        """The last layer's half of vectors, shape (n, width): unit sentence embeddings, compared by dot product."""
        return vectors[:, self.width :]

    def copy(self) -> Encoder:
        """One with weights of its own that may be trained: it remembers no vectors and keeps none on disk."""
        made = copy.copy(self)
        made.model, made.stamp, made.graph, made.quick = copy.deepcopy(self.model), None, None, None
        made._memory, made._known, made._lock = OrderedDict(), {}, threading.Lock()
        return made

    def knowing(self, texts: Sequence[str], vectors: Array) -> Encoder:
        """One that has the vectors of these texts at hand, shape (n, 2 * width), and works out only those of others.

        Whoever needs parts of many texts embeds all of them once: the disk knows whole lists alone.
        """
        made = copy.copy(self)
        made.stamp, made._known = None, dict(zip(texts, vectors, strict=True))
        made._memory, made._lock = OrderedDict(), threading.Lock()
        return made

    def save(self, folder: Path) -> None:
        """Write weights and tokenizer, which another Encoder then loads."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def _batches(self, texts: Sequence[str], progress: Callable[[int], None] = lambda done: None) -> Array:
        """Exact vectors of many texts, worked in batches of like length so that little is spent on padding."""
        vectors = np.empty((len(texts), 2 * self.width), dtype=np.float32)
        for row, text in enumerate(texts):
            if text in self._known:
                vectors[row] = self._known[text]
        order = sorted((row for row, text in enumerate(texts) if text not in self._known), key=lambda r: len(texts[r]))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            vectors[rows] = self._finite(self._forward([texts[row] for row in rows]))
            progress(min(start + BATCH, len(order)))
        return vectors

    def _finite(self, vectors: Array) -> Array:
        """The vectors, all of whose numbers are finite.

        Raises:
            WorkError: one is not.
        """
        if not np.isfinite(vectors).all():
            raise self._broken("NaN or infinity in its vectors")
        return vectors

    def _broken(self, found: str) -> WorkError:
        own = "one of a fine-tuned router with `zooter distill --finetune`"
        return WorkError(
            f"an encoder that gives finite vectors at {self.reference}",
            found,
            f"Get its files again ({own}), or name another in fleet.toml.",
        )

    @torch.inference_mode()
    def _forward(self, texts: Sequence[str]) -> Array:
        if self.graph is not None and len(texts) <= FEW:
            return self.graph(self._tokens(texts, "np"))
        vectors: Array = self.pooled(texts).numpy()
        return vectors

    def pooled(self, texts: Sequence[str]) -> torch.Tensor:
        """The vectors of one batch as a tensor where the model is, with gradients where they are on."""
        return pool(self.model, self.middle, self._tokens(texts, "pt").to(self.model.device))

    def _tokens(self, texts: Sequence[str], kind: str) -> Any:
        return self.tokenizer(
            [text[-MOST_CHARACTERS:] for text in texts],
            padding=True,
            truncation=True,
            max_length=MOST_TOKENS,
            return_tensors=kind,
        )

    def _compile(self, runtime: str) -> None:
        """Take ONNX Runtime for one text or a few; with `auto` stay with what works, and tell."""
        key = f"{self.reference} {self.stamp} {self.width} {self.middle}"
        try:
            self.graph = graph_of(self.model, self.middle, key, [self._tokens(texts, "pt") for texts in SAMPLES])
            if runtime != "onnx":
                self.quick = rough_of(self.graph, partial(self._tokens, kind="np"))
        except ZooterError as problem:
            if runtime != "auto":
                raise
            warnings.warn(f"The encoder runs on {self.runtime}. {problem}", stacklevel=4)


class Encoders:
    """Encoders by reference, each loaded once and shared by whoever asks; `runtime` is that of `Encoder`."""

    def __init__(self, runtime: str = "torch") -> None:
        self.runtime = runtime
        self._loaded: dict[str, Encoder] = {}
        self._lock = threading.Lock()

    def __call__(self, reference: str) -> Encoder:
        with self._lock:
            if reference not in self._loaded:
                self._loaded[reference] = Encoder(reference, self.runtime)
            return self._loaded[reference]


def _stamp(folder: str) -> str:
    """Tells weights in a folder from others put there later, by size and time; a hub id has none."""
    files = sorted(Path(folder).glob("*.safetensors")) if Path(folder).is_dir() else []
    return " ".join(f"{file.stat().st_size}-{file.stat().st_mtime_ns}" for file in files)


def _save(path: Path, vectors: Array) -> None:
    """Write whole or not at all, privately, since vectors tell much about a text; a cache may fail."""
    with suppress(OSError):
        private_cache()
        private_folder(path.parent)
        clear(path.parent)
        with atomic(path, private=True) as partial, partial.open("wb") as file:
            np.save(file, vectors)
