"""The encoders that run without PyTorch: BERT on ONNX Runtime, by a graph that is made once, in the cache folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zooter_core.base.errors import WorkError, ZooterError, first_line
from zooter_core.base.exports import Place, digest_of
from zooter_core.base.weights import INSTALL_TORCH, resolve, stamp_of
from zooter_core.router import bert
from zooter_core.router.config import GRAPH, QUANTISED
from zooter_core.router.graph import TOKENIZER, TextGraph, load_onnxruntime, tokenizer_json
from zooter_core.router.onnx_file import map_weights
from zooter_core.router.quantise import add_quantised
from zooter_core.router.text_encoder import MOST_CHARACTERS, MOST_TOKENS, Array, GraphEncoder

LAYOUT = 1  # raise it when the graph changes: those in the cache are then made again
ALIKE = 0.98  # the least cosine between the vectors of both graphs, on average
PROBE = "Hello"


class BertEncoder(GraphEncoder):
    """A frozen encoder of BERT's architecture.

    Args:
        reference: folder or `package:NAME`.
        fast: take 7-bit weights, if the vectors are alike with them.

    Raises:
        ZooterError: it is another kind of model, which needs PyTorch.
        WorkError: its files do not load, or its weights or its vectors of a first text are not finite.
    """

    def __init__(self, reference: str, fast: bool = False) -> None:
        self.reference = reference
        self.folder = Path(resolve(reference))
        if not self.folder.is_dir():
            raise WorkError(
                f"an encoder at {reference}", "no such folder",
                f"Name a folder in fleet.toml. For models of a hub, run `{INSTALL_TORCH}`.",
            )  # fmt: skip
        self.stamp = stamp_of(str(self.folder))
        try:
            settings = bert.settings_of(self.folder)
            place = self._place().make(self._write)
            name = QUANTISED if fast and (place / QUANTISED).is_file() else GRAPH
            width, self.middle = int(settings["hidden_size"]), int(settings["num_hidden_layers"]) // 2
            super().__init__(TextGraph(place, name), width, 2 * width)
        except ZooterError:
            raise
        except Exception as problem:  # json, safetensors, onnx, onnxruntime and tokenizers raise many kinds
            raise WorkError(
                f"an encoder at {reference}", first_line(problem), "Name another in fleet.toml."
            ) from problem
        self.runtime = "int8" if name == QUANTISED else "onnx"
        self._batches([PROBE])  # checks that vectors are finite

    def save(self, folder: Path) -> None:
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)

    def _place(self) -> Place:
        """A graph is decided by the encoder's files."""
        files = [(self.folder / name).read_bytes() for name in (bert.CONFIG, TOKENIZER)]
        source = digest_of(f"{LAYOUT} {self.folder.resolve()} {self.stamp}", *files)
        return Place("encoders", source, str(self.folder.resolve()))

    def _write(self, out: Path) -> None:
        """Write the graph, its tokenizer, and the graph with 7-bit weights."""
        load_onnxruntime()
        weights = bert.read_weights(self.folder / bert.FILE)
        if name := bert.first_broken(weights):
            raise self._broken(f"NaN or infinity in its weights ({name})")
        out.mkdir(parents=True)
        model = bert.Bert(bert.settings_of(self.folder), weights).vectors()
        (out / GRAPH).write_bytes(model.SerializeToString())
        tokenizer, padding = bert.tokenizer_of(self.folder)
        (out / TOKENIZER).write_text(tokenizer_json(tokenizer, MOST_TOKENS, "left", padding), encoding="utf-8")
        map_weights(out / GRAPH)
        _add_quantised(out)


def _add_quantised(folder: Path) -> None:
    """Add the graph with 7-bit weights, unless its vectors are others."""
    exact = TextGraph(folder, GRAPH)

    def check(texts: Sequence[str]) -> None:
        one, other = (_vectors(TextGraph(folder, name), texts) for name in (GRAPH, QUANTISED))
        alike = (one * other).sum(axis=1).mean() / 2  # both halves of a vector have unit length
        if not alike >= ALIKE:
            raise ValueError(f"their vectors have a cosine of {alike:.2f} with the exact ones")

    add_quantised(
        folder, lambda text: exact.tokens([text[-MOST_CHARACTERS:]]), check, "The encoder has no 7-bit weights"
    )


def _vectors(graph: TextGraph, texts: Sequence[str]) -> Array:
    return np.concatenate([graph([text])[0] for text in texts])
