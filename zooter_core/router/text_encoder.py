"""What text encoders on ONNX Runtime (bert_encoder.py) and on PyTorch (encoder.py) have in common."""

from __future__ import annotations

import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import WorkError
from zooter_core.router.vector_store import VectorStore

Array = NDArray[np.float32]
TextProgress = Callable[[int], None]  # called with the number of texts that are done
MOST_TOKENS = 256
MOST_CHARACTERS = 8_000  # about ten times what 256 tokens hold; keeps tokenising a huge text cheap
MOST_IN_MEMORY = 20_000
AT_ONCE = 512  # texts whose vectors are stored together


class TextEncoder(ABC):
    """Mean-pooled states of a middle and of the last layer, each of unit norm, side by side.

    The last layer represents what a text is about, the middle one more of its wording; a router gains from both.
    An encoder is thread-safe: a forward pass changes nothing, and each thread keeps its own last result.
    """

    reference: str  # where its weights come from
    width: int  # of one layer's states; a vector has 2 * width numbers
    middle: int  # the index of the middle layer
    stamp: str | None  # changes with the weights; None stores no vectors on disk
    runtime: str  # what computes the vectors: `onnx`, `torch` or `int8`
    batch: int  # texts of one pass

    def __init__(self) -> None:
        self._last = threading.local()

    @property
    def identity(self) -> str:
        """Everything that a text's vector depends on, as a key for the store.

        PyTorch and ONNX Runtime share exact vectors, which differ only by rounding.
        """
        exact = f"{self.reference} {self.stamp} {self.width} {self.middle}"
        return f"{exact} int8" if self.runtime == "int8" else exact

    @abstractmethod
    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without truncation."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write weights and tokenizer to a folder that another encoder can load."""

    @abstractmethod
    def _run(self, batches: Sequence[Sequence[str]]) -> Iterable[Array]:
        """The vectors of each batch of texts, in order."""

    def embed(self, texts: Sequence[str]) -> Array:
        """Vectors of shape (n, 2 * width): middle layer, last layer.

        A thread's next call with the same texts returns the same vectors, since router and tagger need them in turn.

        Raises:
            WorkError: a vector is not finite.
        """
        key, last = tuple(texts), self._last
        if getattr(last, "texts", None) != key:
            last.texts, last.vectors = None, self._batches(texts)
            last.texts = key
        vectors: Array = last.vectors
        return vectors

    def embed_all(self, texts: Sequence[str], progress: TextProgress = lambda done: None) -> Array:
        """`embed` for many texts, in batches of similar length, each of which is stored when it is done.

        A second call returns the stored vectors. Vectors of more than MOST_IN_MEMORY texts are a half-precision array
        in a file without a name, which the system deletes with the array.
        """
        vectors = _table(len(texts), 2 * self.width)
        if self.stamp is None:
            vectors[:] = self._batches(texts, progress)
            return vectors
        store = VectorStore(self.identity, 2 * self.width)
        rows: dict[str, list[int]] = {}  # texts to compute, each once, with their rows
        for row in store.fill(texts, vectors):
            rows.setdefault(texts[row], []).append(row)
        new, done = list(rows), len(texts) - len(rows)
        for numbers in by_length(new, AT_ONCE):
            part = [new[number] for number in numbers]
            computed = self._batches(part, after(progress, done))
            for text, vector in zip(part, computed, strict=True):
                vectors[rows[text]] = vector
            store.put(part, computed)
            done += len(part)
        return vectors

    def sentence(self, vectors: Array) -> Array:
        """The last layer's half of vectors, shape (n, width): unit sentence embeddings, compared by dot product."""
        return vectors[:, self.width :]

    def _batches(self, texts: Sequence[str], progress: TextProgress = lambda done: None) -> Array:
        """The vectors of each batch, checked to be finite. Calls `progress` after each batch."""
        vectors, done = np.empty((len(texts), 2 * self.width), dtype=np.float32), 0
        batches = by_length(texts, self.batch)
        parts = self._run([[texts[row] for row in rows] for rows in batches])
        for rows, part in zip(batches, parts, strict=True):
            if not np.isfinite(part).all():
                raise self._broken("NaN or infinity in its vectors")
            vectors[rows] = part
            done += len(rows)
            progress(done)
        return vectors

    def _broken(self, problem: str) -> WorkError:
        return WorkError(
            f"an encoder that gives finite vectors at {self.reference}",
            problem,
            "Get its files again (those of a fine-tuned router with `zooter distill --finetune`), or name another in "
            "fleet.toml.",
        )


def _table(rows: int, width: int) -> Any:
    """An array for vectors: in memory, or in a temporary file if there are many."""
    if rows <= MOST_IN_MEMORY:
        return np.empty((rows, width), dtype=np.float32)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype=np.float16, mode="w+", shape=(rows, width))


def after(progress: TextProgress, before: int) -> TextProgress:
    """A progress callback for a part of the texts, after `before` others."""
    return lambda done: progress(before + done)


def by_length(texts: Sequence[str], size: int) -> list[list[int]]:
    """The texts' indices in batches of similar length, which need little padding."""
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    return [order[start : start + size] for start in range(0, len(order), size)]
