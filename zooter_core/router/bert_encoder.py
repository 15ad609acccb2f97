"""The encoders that run without PyTorch: BERT on ONNX Runtime, by a graph that is made once, in the cache folder.

A pass runs in the calling thread; several batches are divided among the cores.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from zooter_core.base.cores import cores
from zooter_core.base.errors import ZooterError, first_line, loading
from zooter_core.base.made_once import Place, hash_parts
from zooter_core.base.tensors import first_broken, read_safetensors
from zooter_core.base.weights import INSTALL_TORCH, resolve, stamp_weights
from zooter_core.router import bert
from zooter_core.router.bert import quantise
from zooter_core.router.graph import GRAPH, TOKENIZER, TextGraph
from zooter_core.router.text_encoder import MOST_CHARACTERS, MOST_TOKENS, Array, TextEncoder

LAYOUT = 3  # to be raised when the graph changes, so that cached graphs are made again
ALIKE = 0.98  # the least cosine between the vectors of both graphs, on average
PROBE = "Hello"


class BertEncoder(TextEncoder):
    """A frozen encoder of BERT's architecture.

    Args:
        reference: folder or `package:NAME`.
        fast: use 7-bit weights if they give similar vectors.

    Raises:
        ZooterError: the model has another architecture, which needs PyTorch.
        WorkError: its files do not load, or its weights or the vectors of a first text are not finite.
    """

    batch = 8  # each batch runs in one thread, so small ones keep all cores busy

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
        if len(batches) == 1:  # a query that is routed
            yield self._pass(batches[0])
            return
        from concurrent.futures import ThreadPoolExecutor  # here: it imports `logging`

        with ThreadPoolExecutor(cores()) as pool:
            yield from pool.map(self._pass, batches)

    def _pass(self, texts: Sequence[str]) -> Array:
        vectors: Array = self.graph([text[-MOST_CHARACTERS:] for text in texts])[0]
        return vectors

    def _place(self, kind: str) -> Place:
        """The graph's path in the cache, which depends on the encoder's files."""
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
        """Write the graph with 7-bit weights and the tokenizer; no graph if its vectors differ too much.

        Pairs of queries that were written for this project show which values are large, and how much vectors differ.
        """
        from zooter_core.data.scores import paraphrases  # here: routing does without it

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
        except Exception as problem:  # ONNX Runtime raises many kinds; the exact graph is enough
            warnings.warn(f"The encoder has no 7-bit weights: {first_line(problem)}", stacklevel=4)
            (out / GRAPH).unlink(missing_ok=True)


def _load_quantised(folder: Path) -> TextGraph | None:
    return TextGraph(folder) if (folder / GRAPH).is_file() else None
