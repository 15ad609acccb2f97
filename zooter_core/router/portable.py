"""An exported router: text encoder, head and temperature in one ONNX graph. Importing this loads no library but numpy.

Its folder holds `router.onnx`, `tokenizer.json` and `router.json`, and perhaps the router's neighbours. ONNX Runtime,
tokenizers and numpy run it; export.py writes it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.cores import cores
from zooter_core.base.errors import WorkError, ZooterError, first_line
from zooter_core.base.files import sha256_of
from zooter_core.base.weights import check_readable
from zooter_core.method.selection import Outputs
from zooter_core.router.config import ABOUT, GRAPH, MAPPED, QUANTISED, TOKENIZER, read_about
from zooter_core.router.graph import Array, load_onnxruntime, session
from zooter_core.router.router import PROBE, Router
from zooter_core.router.text_encoder import MOST_CHARACTERS, Progress, TextEncoder, by_length
from zooter_core.router.tokenizer_file import check_patterns

PACKAGES = ("onnxruntime", "tokenizers")
SMALL_BATCH = 8  # each runs in one thread: small ones keep all cores at work
Rows = NDArray[np.float64]


class PortableRouter(Router):
    """A router in a folder of `zooter export onnx`."""

    encoder: PortableEncoder

    def __init__(self, folder: Path, about: Mapping[str, Any], encoder: PortableEncoder) -> None:
        self.folder, self.encoder = folder, encoder
        self.candidates: tuple[str, ...] = tuple(about["candidates"])
        self._labels, self._members = about["labels"], int(about["members"])

    @classmethod
    def open(cls, folder: Path, encoders: object = None, *, checked: bool = True, graph: str = GRAPH) -> PortableRouter:
        """The router in a folder, checked with a first query. Errors are those of `Router.load`.

        Args:
            encoders: not used, since the router has its own.
            checked: whether the files that are read must have the checksums of those that were exported, which takes as
                long as a fifth of all else.
            graph: GRAPH, or QUANTISED where the folder has it.

        Raises:
            ZooterError: a package is missing, or a file is not the one that was exported.
            WorkError: ONNX Runtime cannot run the graph.
        """
        check_readable(folder, (ABOUT, graph, MAPPED, TOKENIZER))
        about = read_about(folder)
        _check_packages(folder)
        for name, checksum in about["sha256"].items() if checked else ():
            if name in (graph, TOKENIZER) or (name == MAPPED and graph == GRAPH):
                _check_file(folder / name, checksum)
        try:
            check_patterns(folder / TOKENIZER)
            router = cls(folder, about, PortableEncoder(about, folder, graph))
            router.outputs([PROBE])
        except (ZooterError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as problem:  # each kind of damage has its own error; a panic of tokenizers is no Exception
            raise _unusable(folder, problem) from problem
        return router

    @property
    def labels(self) -> Mapping[str, Any]:
        return dict(self._labels)

    def outputs(self, queries: Sequence[str]) -> Outputs:
        rows, many = self.encoder.rows(queries), len(self.candidates)
        results = rows[:, 2 * self.encoder.width :]
        if not np.isfinite(results).all():
            raise WorkError(
                f"finite probabilities from the router in {self.folder}",
                "NaN or infinity",
                "Export it again with `zooter export onnx`.",
            )
        members = results[:, many:].reshape(len(rows), self._members, many).swapaxes(0, 1) if self._members else None
        return Outputs(results[:, :many], members)


class PortableEncoder(TextEncoder):
    """The encoder inside an exported router's graph. One pass gives a text's vectors and the router's outputs.

    A pass runs in the calling thread; batches of more than SMALL_BATCH texts are divided among the cores.
    """

    def __init__(self, about: Mapping[str, Any], folder: Path, graph: str = GRAPH) -> None:
        from tokenizers import Tokenizer

        super().__init__()
        self.reference, self.width, checksums = about["encoder"], int(about["width"]) // 2, about["sha256"]
        self.quantised = graph == QUANTISED
        self.stamp = checksums[QUANTISED] if self.quantised else checksums.get(MAPPED, checksums[GRAPH])
        self.tokenizer: Any = Tokenizer.from_file(str(folder / TOKENIZER))  # it truncates and pads as the encoder needs
        self.session = session(str(folder / graph))
        self._names = [entry.name for entry in self.session.get_inputs()]
        self._columns = int(about["width"]) + len(about["candidates"]) * (1 + int(about["members"]))

    @property
    def runtime(self) -> str:
        return "int8" if self.quantised else "onnx"

    @property
    def identity(self) -> str:
        return str(self.stamp)

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

        counter = Tokenizer.from_str(self.tokenizer.to_str())
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
        """The graph's outputs for one batch. Any number of threads may call it."""
        encoded = self.tokenizer.encode_batch([text[-MOST_CHARACTERS:] for text in texts])
        columns = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
        feeds = {n: np.array([getattr(row, columns[n]) for row in encoded], dtype=np.int64) for n in self._names}
        outputs = self.session.run(None, feeds)
        return np.concatenate([part.reshape(len(texts), -1) for part in outputs], axis=1, dtype=np.float64)


def _check_packages(folder: Path) -> None:
    if absent := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise ZooterError(
            f"ONNX Runtime and tokenizers for the exported router in {folder}",
            f"no package {absent[0]}",
            f"Run `pip install {' '.join(absent)}`.",
        )


def _check_file(path: Path, checksum: str) -> None:
    """Refuse a file that is not the one that was exported."""
    actual = sha256_of(path) if path.is_file() else "none"
    if actual != checksum:
        raise ZooterError(
            f"{path.name} with the checksum {checksum:.12} in {path.parent}",
            f"{actual:.12}",
            "Copy the whole folder again, or export the router again with `zooter export onnx`.",
            f"{path} is missing." if actual == "none" else f"{path} is not the file that was exported.",
        )


def _unusable(folder: Path, problem: BaseException) -> WorkError:
    version = load_onnxruntime().__version__
    return WorkError(
        f"a {GRAPH} in {folder} that ONNX Runtime {version} can run",
        first_line(problem),
        "Update onnxruntime, or export the router again with `zooter export onnx`.",
    )
