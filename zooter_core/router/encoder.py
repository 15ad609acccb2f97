"""Sentence encoders, which compute the vectors of texts. Routers are trained on these vectors.

Encoders of BERT's architecture run on ONNX Runtime without PyTorch (`BertEncoder`). Their graph is created once and
stored in the cache folder. Other encoders run on PyTorch (`Encoder`), which is also used for fine-tuning. Both classes
compute the same vectors. Importing this module does not load PyTorch.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.cores import cores
from zooter_core.base.errors import WorkError, ZooterError, first_line, loading
from zooter_core.base.made_once import Place, hash_parts
from zooter_core.base.tensors import first_broken, read_safetensors
from zooter_core.base.weights import (
    INSTALL_TORCH,
    LOAD_LOCK,
    check_torch,
    has_torch,
    load_reason,
    not_finite,
    quiet_libraries,
    resolve,
    stamp_weights,
)
from zooter_core.router import bert
from zooter_core.router.bert import quantise
from zooter_core.router.graph import GRAPH, TOKENIZER, TextGraph, check_patterns
from zooter_core.router.vector_store import VectorStore

if TYPE_CHECKING:
    import torch

    from zooter_core.config.fleet import Runtime

Array = NDArray[np.float32]
Batch = Mapping[str, "torch.Tensor"]
TextProgress = Callable[[int], None]  # called with the number of texts that are done
MOST_TOKENS = 256
MOST_CHARACTERS = 8_000  # about ten times the length of 256 tokens; limits the time for tokenizing huge texts
MOST_IN_MEMORY = 20_000
AT_ONCE = 512  # texts whose vectors are stored together
LAYOUT = 3  # increase it when the graph changes, so that cached graphs are replaced
ALIKE = 0.98  # the least mean cosine between the vectors of the exact graph and of the one with 7-bit weights
PROBE = "Hello"  # a text for checking that an encoder or a router works


class TextEncoder(ABC):
    """Computes vectors: the mean-pooled states of a middle and of the last layer, each of unit norm, concatenated.

    The last layer represents the topic of a text, and the middle layer more of its wording. Routers benefit from both.
    Encoders are thread-safe: a forward pass does not change them, and each thread caches its own last result.
    """

    reference: str  # hub id, folder or `package:NAME`
    width: int  # of one layer's states; a vector has 2 * width numbers
    middle: int  # the index of the middle layer
    stamp: str | None  # changes with the weights; if None, no vectors are stored on disk
    runtime: str  # `onnx`, `torch` or `int8`
    batch: int  # texts per forward pass

    def __init__(self) -> None:
        self._last = threading.local()

    @property
    def identity(self) -> str:
        """A key for the store, made of everything that a text's vector depends on.

        PyTorch and ONNX Runtime share exact vectors, which differ only by rounding.
        """
        exact = f"{self.reference} {self.stamp} {self.width} {self.middle}"
        return f"{exact} int8" if self.runtime == "int8" else exact

    @abstractmethod
    def count(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens in each text, without truncation."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write weights and tokenizer to a folder that another encoder can load."""

    @abstractmethod
    def _run(self, batches: Sequence[Sequence[str]]) -> Iterable[Array]:
        """Yield the vectors of each batch of texts, in order."""

    def embed(self, texts: Sequence[str]) -> Array:
        """Vectors of shape (n, 2 * width): middle layer, last layer.

        If a thread calls this twice with the same texts, the second call returns cached vectors, since both router and
        tagger need them.

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
        """`embed` for many texts, in batches of similar length. Each batch is stored on disk when it is done.

        A later call returns the stored vectors. For more than MOST_IN_MEMORY texts, the result is a half-precision
        array in an anonymous temporary file, which the system deletes together with the array.
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
        """The sentence embeddings, shape (n, width): the last layer's half of the vectors, of unit norm."""
        return vectors[:, self.width :]

    def _batches(self, texts: Sequence[str], progress: TextProgress = lambda done: None) -> Array:
        """The vectors of all texts, computed in batches and checked to be finite. Calls `progress` after each batch."""
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
    """An empty array for vectors: in memory, or in a temporary file if there are many vectors."""
    if rows <= MOST_IN_MEMORY:
        return np.empty((rows, width), dtype=np.float32)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype=np.float16, mode="w+", shape=(rows, width))


def after(progress: TextProgress, before: int) -> TextProgress:
    """A progress callback for a part of the texts, after `before` others."""
    return lambda done: progress(before + done)


def by_length(texts: Sequence[str], size: int) -> list[list[int]]:
    """The indices of the texts in batches of similar length, which need little padding."""
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    return [order[start : start + size] for start in range(0, len(order), size)]


class BertEncoder(TextEncoder):
    """A frozen encoder of BERT's architecture, on ONNX Runtime.

    A single batch runs in the calling thread. Several batches are distributed over the cores.

    Args:
        reference: folder or `package:NAME`.
        fast: use 7-bit weights if they give similar vectors.

    Raises:
        ZooterError: the model has another architecture, which needs PyTorch.
        WorkError: its files do not load, or its weights or the vectors of a first text are not finite.
    """

    batch = 8  # a batch runs in one thread, so small batches keep all cores busy

    def __init__(self, reference: str, fast: bool = False) -> None:
        super().__init__()
        self.reference = reference
        self.folder = Path(resolve(reference))
        if not self.folder.is_dir():
            step = f"Name a folder in fleet.toml. For models of a hub, run `{INSTALL_TORCH}`."
            raise ZooterError(f"an encoder at {reference}", "no such folder", step)
        self.stamp = stamp_weights(str(self.folder))
        with loading(f"an encoder at {reference}", "Name another in fleet.toml."):
            settings = bert.read_config(self.folder)
            self.width, self.middle = int(settings["hidden_size"]), int(settings["num_hidden_layers"]) // 2
            small = self._place("encoders-int8").open(self._write_quantised, _load_quantised) if fast else None
            self.graph = small or self._place("encoders").open(self._write, TextGraph)
            self.runtime = "int8" if small else "onnx"
        self.embed([PROBE])  # checks that the vectors are finite

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(row.ids) for row in self._counter.encode_batch(list(texts), add_special_tokens=False)]

    def save(self, folder: Path) -> None:
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)

    @cached_property
    def _counter(self) -> Any:
        """The tokenizer without truncation and padding."""
        from tokenizers import Tokenizer

        counter = Tokenizer.from_str(self.graph.tokenizer.to_str())
        counter.no_truncation()
        counter.no_padding()
        return counter

    def _run(self, batches: Sequence[Sequence[str]]) -> Iterator[Array]:
        if len(batches) == 1:  # for example a single query
            yield self._pass(batches[0])
            return
        from concurrent.futures import ThreadPoolExecutor  # here, because it imports `logging`

        with ThreadPoolExecutor(cores()) as pool:
            yield from pool.map(self._pass, batches)

    def _pass(self, texts: Sequence[str]) -> Array:
        vectors: Array = self.graph([text[-MOST_CHARACTERS:] for text in texts])[0]
        return vectors

    def _place(self, kind: str) -> Place:
        """The place of a graph in the cache, which depends on the encoder's files."""
        files = [(self.folder / name).read_bytes() for name in (bert.CONFIG, TOKENIZER)]
        source = hash_parts(f"{LAYOUT} {self.folder.resolve()} {self.stamp}", *files)
        return Place(kind, source, str(self.folder.resolve()))

    def _read(self) -> tuple[dict[str, Any], bert.Weights]:
        return bert.read_config(self.folder), read_safetensors((self.folder / bert.FILE).read_bytes())

    def _write(self, out: Path) -> None:
        settings, weights = self._read()
        if name := first_broken(weights):
            raise self._broken(f"NaN or infinity in its weights ({name})")
        out.mkdir(parents=True)
        bert.Bert(settings, weights).vectors().write(out / GRAPH)
        bert.write_tokenizer(self.folder, out, MOST_TOKENS, "left", pads=True)

    def _write_quantised(self, out: Path) -> None:
        """Write the tokenizer and the graph with 7-bit weights. If its vectors differ too much, write no graph.

        The queries of `paraphrases` are used to find columns with huge values, and to measure how much vectors differ.
        """
        from zooter_core.data.scores import paraphrases  # not needed for routing

        exact = self._place("encoders").open(self._write, TextGraph)
        out.mkdir(parents=True)
        shutil.copyfile(exact.folder / TOKENIZER, out / TOKENIZER)
        usual, others = zip(*paraphrases(), strict=True)
        try:
            graph = quantise(*self._read(), [exact.tokens([text]) for text in usual])
            (out / GRAPH).write_bytes(graph.encode())
            small = TextGraph(out)
            # A vector has two halves of norm 1.
            cosines = [np.sum(small([text])[0] * exact([text])[0]) / 2 for text in others]
            alike = np.mean(cosines)
            if not alike >= ALIKE:
                raise ValueError(f"their vectors have a cosine of {alike:.2f} with the exact ones")
        except OSError:
            raise
        except Exception as problem:  # ONNX Runtime raises many kinds of errors; use the exact graph
            warnings.warn(f"The encoder has no 7-bit weights: {first_line(problem)}", stacklevel=4)
            (out / GRAPH).unlink(missing_ok=True)


def _load_quantised(folder: Path) -> TextGraph | None:
    return TextGraph(folder) if (folder / GRAPH).is_file() else None


class Encoder(TextEncoder):
    """A frozen encoder on PyTorch.

    Args:
        reference: hub id, folder or `package:NAME`.

    Raises:
        WorkError: the model does not load, or its weights or the vectors of a first text are not finite.
    """

    runtime, batch = "torch", 32

    def __init__(self, reference: str) -> None:
        super().__init__()
        check_torch(f"The encoder {reference}")
        import torch
        from transformers import AutoModel, AutoTokenizer

        quiet_libraries()
        folder = resolve(reference)
        with loading(f"an encoder at {reference}", "Name another in fleet.toml.", load_reason):
            if (file := Path(folder) / TOKENIZER).is_file():
                check_patterns(file)
            self.tokenizer = AutoTokenizer.from_pretrained(folder, truncation_side="left", trust_remote_code=False)
            with LOAD_LOCK:
                self.model = AutoModel.from_pretrained(folder, dtype=torch.float32, trust_remote_code=False).eval()
        if getattr(self.model, "pooler", None) is not None:
            self.model.pooler = None  # `pool_states` is used instead of BERT's pooling
        self.reference = reference
        self.stamp = stamp_weights(folder)
        self.width = int(self.model.config.hidden_size)
        self.middle = int(self.model.config.num_hidden_layers) // 2
        if name := not_finite(self.model):
            raise self._broken(f"NaN or infinity in its weights ({name})")
        self._batches([PROBE])  # checks that the vectors are finite

    def count(self, texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        tokens = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return [len(row) for row in tokens]

    def copy(self) -> Encoder:
        """A copy whose weights may be trained. It stores no vectors on disk."""
        twin = copy.copy(self)
        twin.model, twin.stamp = copy.deepcopy(self.model), None
        twin._last = threading.local()
        return twin

    def save(self, folder: Path) -> None:
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def _run(self, batches: Sequence[Sequence[str]]) -> Iterator[Array]:
        return map(self._forward, batches)

    def _forward(self, texts: Sequence[str]) -> Array:
        import torch

        with torch.inference_mode():
            return pool_states(self.model, self.middle, self.tokens(texts)).numpy()

    def tokens(self, texts: Sequence[str]) -> Any:
        """The tokens of a batch as tensors, by name of the model's input."""
        return self.tokenizer(
            [text[-MOST_CHARACTERS:] for text in texts],
            padding=True,
            truncation=True,
            max_length=MOST_TOKENS,
            return_tensors="pt",
        )


def pool_states(model: torch.nn.Module, middle: int, batch: Batch) -> torch.Tensor:
    """Vectors of shape (n, 2 * width): the mean states of layer `middle` and of the last layer, each of unit norm."""
    import torch

    states = model(**batch, output_hidden_states=True).hidden_states
    mask = batch["attention_mask"].unsqueeze(-1).float()
    pooled = [(states[layer] * mask).sum(1) / mask.sum(1) for layer in (middle, -1)]
    return torch.cat([torch.nn.functional.normalize(part, dim=-1) for part in pooled], dim=-1)


def open_encoder(reference: str, runtime: Runtime = "auto", fast: bool = False) -> TextEncoder:
    """Load an encoder.

    Args:
        reference: hub id, folder or `package:NAME`.
        runtime: as in the [router] table of fleet.toml. With `auto`, PyTorch runs encoders that ONNX Runtime cannot.
        fast: with `auto`, use 7-bit weights if the encoder has them.

    Raises:
        ZooterError: the encoder cannot use this runtime, or needs PyTorch, which is not installed.
        WorkError: the encoder does not load, or its weights or the vectors of a first text are not finite.
    """
    if runtime == "torch":
        check_torch(f'runtime = "{runtime}" in [router]')
        return Encoder(reference)
    try:
        encoder = BertEncoder(reference, runtime == "int8" or (fast and runtime == "auto"))
    except ZooterError as problem:
        if runtime != "auto" or not has_torch():
            raise
        if isinstance(problem, WorkError):
            warnings.warn(f"The encoder runs on PyTorch. {problem}", stacklevel=2)
        return Encoder(reference)  # raises if the encoder's files are damaged
    if runtime == "int8" and encoder.runtime != "int8":
        step = 'Set runtime = "onnx" in [router].'
        raise ZooterError(f'an encoder with 7-bit weights at {reference}, for runtime = "int8"', "none", step)
    return encoder


class Encoders:
    """Loads encoders by reference. Each encoder is loaded once and shared.

    Args:
        runtime, fast: as in `open_encoder`.
        running: encoders that are already loaded.
    """

    def __init__(self, runtime: Runtime = "auto", fast: bool = False, running: Iterable[TextEncoder] = ()) -> None:
        self._loaded = {encoder.reference: encoder for encoder in running}
        self._lock, self._runtime, self._fast = threading.Lock(), runtime, fast

    def __call__(self, reference: str) -> TextEncoder:
        with self._lock:
            if reference not in self._loaded:
                self._loaded[reference] = open_encoder(reference, self._runtime, self._fast)
            return self._loaded[reference]
