"""Encoders of texts: what all of them do, and the one that runs on ONNX Runtime, inside an exported router.

This is how texts are encoded without PyTorch and transformers. encoder.py has the encoder on PyTorch, which training
needs and from which an export is made.
"""

from __future__ import annotations

import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.cores import cores
from zooter_core.base.errors import WorkError
from zooter_core.router.config import GRAPH, MAPPED, QUANTISED
from zooter_core.router.graph import TextGraph
from zooter_core.router.vector_store import VectorStore

Array = NDArray[np.float32]
Rows = NDArray[np.float64]
Progress = Callable[[int], None]
MOST_TOKENS = 256
MOST_CHARACTERS = 8_000  # about ten times what 256 tokens hold; keeps tokenising a huge text cheap
MOST_IN_MEMORY = 20_000
AT_ONCE = 512  # texts whose vectors are stored together
SMALL_BATCH = 8  # each runs in one thread: small ones keep all cores at work


class TextEncoder(ABC):
    """Mean-pooled states of a middle and of the last layer, each of unit length, side by side.

    The last layer says what a text is about, the middle one more of how it is put; a router gains from both.
    One object serves every thread: a forward pass changes nothing, and each thread has its own last pass.

    Attributes:
        reference: where its weights come from.
        width: of one layer's states; a vector has 2 * width numbers.
        middle: the number of the middle layer; an exported router's graph does not say it, and its stamp is enough.
        stamp: changes with the weights; None keeps the vectors off the disk.
        runtime: what computes the vectors: `onnx`, `torch` or `int8`.
    """

    reference: str
    width: int
    middle: int
    stamp: str | None
    runtime: str

    def __init__(self) -> None:
        self._last = threading.local()

    @property
    def identity(self) -> str:
        """What decides a text's vector, as the name of its place in the cache.

        PyTorch and ONNX Runtime share exact vectors, which differ by rounding alone.
        """
        exact = f"{self.reference} {self.stamp} {self.width} {self.middle}"
        return f"{exact} int8" if self.runtime == "int8" else exact

    @abstractmethod
    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without truncation."""

    def save(self, folder: Path) -> None:
        """Write weights and tokenizer into a router's folder; only encoders that a router may have for itself can."""
        raise NotImplementedError

    @abstractmethod
    def _batches(self, texts: Sequence[str], progress: Progress = lambda done: None) -> Array:
        """The vectors, checked to be finite. Calls `progress` with the number of texts done after each batch."""

    def embed(self, texts: Sequence[str]) -> Array:
        """Vectors of shape (n, 2 * width): middle layer, last layer.

        A thread's next call for the same texts has the same vectors: router and tagger ask one after the other.

        Raises:
            WorkError: a vector is not finite.
        """
        return self._shared(texts, lambda: self._batches(texts))

    def embed_all(self, texts: Sequence[str], progress: Progress = lambda done: None) -> Array:
        """`embed` for many texts, in batches of similar length, each kept in the store of vectors as it is done.

        A second call gives the same ones. Those of more than MOST_IN_MEMORY texts are an array of half precision in a
        file without a name, which the system deletes with the array.
        """
        vectors = _table(len(texts), 2 * self.width)
        if self.stamp is None:
            vectors[:] = self._batches(texts, progress)
            return vectors
        store = VectorStore(self.identity, 2 * self.width)
        rows: dict[str, list[int]] = {}  # those to compute, once for each text
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

    def _shared(self, texts: Sequence[str], compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """What this thread's last pass gave, if it was for these texts, or what a new one gives."""
        key, last = tuple(texts), self._last
        if getattr(last, "texts", None) != key:
            last.texts, last.vectors = None, compute()
            last.texts = key
        vectors: NDArray[Any] = last.vectors
        return vectors

    def _finite(self, vectors: NDArray[Any]) -> NDArray[Any]:
        """The vectors, checked."""
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


class GraphEncoder(TextEncoder):
    """An encoder on ONNX Runtime. A pass gives a text's vectors, and perhaps more: one graph has a router too.

    A pass runs in the calling thread; batches of more than SMALL_BATCH texts are divided among the cores.

    Args:
        graph: its first output are the vectors.
        width: of one layer's states.
        columns: numbers of all its outputs for one text.
    """

    def __init__(self, graph: TextGraph, width: int, columns: int) -> None:
        super().__init__()
        self.graph, self.width, self._columns = graph, width, columns

    def embed(self, texts: Sequence[str]) -> Array:
        return self._vectors(self.rows(texts))

    def rows(self, texts: Sequence[str]) -> Rows:
        """Vectors, probabilities and the members' distributions side by side, shape (n, columns)."""
        rows: Rows = self._shared(texts, lambda: self._run_all(texts, lambda done: None))
        return rows

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(row.ids) for row in self._counter.encode_batch(list(texts), add_special_tokens=False)]

    @cached_property
    def _counter(self) -> Any:
        """The tokenizer without truncation and padding."""
        from tokenizers import Tokenizer

        counter = Tokenizer.from_str(self.graph.tokenizer.to_str())
        counter.no_truncation()
        counter.no_padding()
        return counter

    def _batches(self, texts: Sequence[str], progress: Progress = lambda done: None) -> Array:
        return self._vectors(self._run_all(texts, progress))

    def _vectors(self, rows: Rows) -> Array:
        return rows[:, : 2 * self.width].astype(np.float32)

    def _run_all(self, texts: Sequence[str], progress: Progress) -> Rows:
        rows, done = np.empty((len(texts), self._columns)), 0
        batches = by_length(texts, SMALL_BATCH)
        for numbers, part in zip(batches, self._map([[texts[n] for n in batch] for batch in batches]), strict=True):
            self._finite(part[:, : 2 * self.width])
            rows[numbers] = part
            done += len(numbers)
            progress(done)
        return rows

    def _map(self, batches: Sequence[Sequence[str]]) -> Iterator[Rows]:
        if len(batches) < 2:
            yield from map(self._run, batches)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(cores()) as pool:
            yield from pool.map(self._run, batches)

    def _run(self, texts: Sequence[str]) -> Rows:
        outputs = self.graph([text[-MOST_CHARACTERS:] for text in texts])
        return np.concatenate([part.reshape(len(texts), -1) for part in outputs], axis=1, dtype=np.float64)


class PortableEncoder(GraphEncoder):
    """The encoder inside an exported router's graph. One pass gives a text's vectors and the router's outputs."""

    def __init__(self, about: Mapping[str, Any], folder: Path, graph: str = GRAPH) -> None:
        width = int(about["width"])
        columns = width + len(about["candidates"]) * (1 + int(about["members"]))
        super().__init__(TextGraph(folder, graph), width // 2, columns)
        self.reference, checksums = about["encoder"], about["sha256"]
        self.runtime = "int8" if graph == QUANTISED else "onnx"
        self.stamp = checksums[QUANTISED] if graph == QUANTISED else checksums.get(MAPPED, checksums[GRAPH])

    @property
    def identity(self) -> str:
        return str(self.stamp)


def _table(rows: int, width: int) -> Any:
    """An array for vectors: in memory, or in a temporary file where they are many."""
    if rows <= MOST_IN_MEMORY:
        return np.empty((rows, width), dtype=np.float32)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype=np.float16, mode="w+", shape=(rows, width))


def after(progress: Progress, before: int) -> Progress:
    """The progress of a part of the texts, `before` of which are done."""
    return lambda done: progress(before + done)


def by_length(texts: Sequence[str], size: int) -> list[list[int]]:
    """The numbers of the texts in batches of similar length, which need little padding."""
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    return [order[start : start + size] for start in range(0, len(order), size)]
