"""Reward models of BERT's architecture on ONNX Runtime, with a graph that is built once and kept in the cache folder.

With it, fleets whose candidates do not need PyTorch rank responses without PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from zooter_core.base.cores import cores
from zooter_core.base.errors import ZooterError, loading
from zooter_core.base.made_once import Place, hash_parts
from zooter_core.base.tensors import read_safetensors
from zooter_core.base.weights import resolve, stamp_weights
from zooter_core.config.labelling import RewardConfig, ScalarConfig, UltraConfig
from zooter_core.labelling.rewards import without_marks
from zooter_core.router import bert
from zooter_core.router.graph import GRAPH, TextGraph

LAYOUT = 3  # increase it when the graph changes, so that cached graphs are rebuilt
MOST_TOKENS = 512  # of a query and a response, unless fleet.toml says otherwise
PROBE = ("Hello", "Hello!")


class GraphReward:
    """A reward model's graph. It scores pairs alone and without padding, so that rewards do not depend on a batch."""

    version = "onnx"

    def __init__(self, folder: Path) -> None:
        self.graph = TextGraph(folder)
        added = self.graph.tokenizer.get_added_tokens_decoder().values()
        self.marks = [token.content for token in added if token.special]  # such as [SEP]

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The rewards of (query, response) pairs, computed in parallel on all cores."""
        if len(pairs) < 2:
            return [self._score(pair) for pair in pairs]
        with ThreadPoolExecutor(cores()) as pool:
            return list(pool.map(self._score, pairs))

    def _score(self, pair: tuple[str, str]) -> float:
        query, response = (without_marks(text, self.marks) for text in pair)
        (rewards,) = self.graph([(query, response)])
        return float(rewards[0])


def open_reward(config: RewardConfig) -> GraphReward | None:
    """A reward model on ONNX Runtime; None if its settings need PyTorch.

    The model must be a classifier in a folder or package that reads two segments, in single precision.

    Raises:
        ZooterError: the model is not a classifier of BERT's architecture with one output.
        WorkError: the model's files do not load, or its rewards are not finite.
    """
    if not isinstance(config, ScalarConfig) or isinstance(config, UltraConfig):
        return None
    if config.dtype != "float32" or config.template:
        return None
    source = Path(resolve(config.model))
    stamps = [stamp_weights(resolve(name)) for name in (config.model, config.adapter) if name]
    if not all(stamps):  # a model on the hub
        return None
    decided_by = hash_parts(f"{LAYOUT} {config.max_tokens} {source.resolve()}", *stamps)
    place = Place("rewards", decided_by, f"{config.model}\n{config.adapter}\n{config.max_tokens}")
    settings = bert.read_config(source)
    with loading(f"a reward model at {config.adapter or config.model}", "Check [reward] in fleet.toml."):
        return place.open(lambda folder: _write(config, source, settings, folder), _load)


def _load(folder: Path) -> GraphReward:
    model = GraphReward(folder)
    if not np.isfinite(model.score([PROBE])).all():
        raise ValueError("rewards that are not finite")
    return model


def _write(config: ScalarConfig, source: Path, settings: Mapping[str, Any], folder: Path) -> None:
    """Write the graph and its tokenizer from the model's own files."""
    weights = read_safetensors((source / bert.FILE).read_bytes())
    if config.adapter:
        weights = bert.adapted({f"bert.{name}": values for name, values in weights.items()}, Path(config.adapter))
    outputs = len(weights["classifier.bias"]) if "classifier.bias" in weights else 0
    if outputs != 1:
        raise ZooterError("a reward model with one output", f"{outputs} at {config.model}", "Use another model.")
    folder.mkdir(parents=True)
    bert.Bert(settings, weights, bert.has_segments(source)).rewards().write(folder / GRAPH)
    bert.write_tokenizer(source, folder, config.max_tokens or MOST_TOKENS, "right", pads=False)
