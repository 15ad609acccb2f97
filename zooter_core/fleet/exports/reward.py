"""The export of a reward model that reads query and response as two segments, and scores them without PyTorch.

Its folder holds `reward.onnx`, `tokenizer.json` and `reward.json`. Rewards are those of `scalar` to 0.0001.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from zooter_core.base.cores import cores
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.strict_json import dump_json, parse_json
from zooter_core.base.weights import Progress, resolve, silent, stamp_of
from zooter_core.config.labelling import RewardConfig, ScalarConfig
from zooter_core.fleet.exports.place import Place, digest_of
from zooter_core.labelling.rewards.texts import plain
from zooter_core.router.config import TOKENIZER
from zooter_core.router.graph import missing, session
from zooter_core.router.tokenizer_file import check_patterns

ABOUT, GRAPH = "reward.json", "reward.onnx"
VERSION = 1  # of the layout
TOLERANCE = 1e-4
CHECKED = [
    ("Hello", "Hello!"),
    ("What is the sea?", "The sea is a large body of salt water. " * 60),
    ("Write a list of 7 apples. " * 40, "[SEP] No."),
]


class PortableReward:
    """An exported reward model. A pair is scored alone and without padding, so that others do not change its reward."""

    version = "onnx"

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self.marks: list[str] = parse_json((folder / ABOUT).read_text(encoding="utf-8"))["marks"]
        check_patterns(folder / TOKENIZER)
        self.tokenizer: Any = Tokenizer.from_file(str(folder / TOKENIZER))
        self.session = session(str(folder / GRAPH))
        self._names = [entry.name for entry in self.session.get_inputs()]

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The rewards of (query, response) pairs. The pairs are divided among the cores."""
        if len(pairs) < 2:
            return [self._score(pair) for pair in pairs]
        with ThreadPoolExecutor(cores()) as pool:
            return list(pool.map(self._score, pairs))

    def _score(self, pair: tuple[str, str]) -> float:
        row = self.tokenizer.encode(*(plain(text, self.marks) for text in pair))
        columns = {"input_ids": row.ids, "attention_mask": row.attention_mask, "token_type_ids": row.type_ids}
        return float(self.session.run(None, {name: np.array([columns[name]]) for name in self._names})[0][0])


def open_reward(config: RewardConfig) -> PortableReward | None:
    """The export in the cache; None if it is not there, is damaged, or was made from other weights."""
    place = _place(config)
    if place and (folder := place.export):
        with suppress(Exception):  # onnxruntime and tokenizers have errors of their own for each kind of damage
            model = PortableReward(folder)
            if np.isfinite(model.score(CHECKED[:1])).all():
                return model
    return None


def make_reward_export(config: RewardConfig, progress: Progress = silent) -> Path | None:
    """Export a reward model into the cache, unless that has been done. Needs PyTorch and takes a few seconds.

    Returns:
        its folder; None if the extra `onnx` is not installed, or the model is none that can be exported: a classifier
        in a folder that reads two segments, in single precision.

    Raises:
        ZooterError, WorkError: the model does not load, cannot be exported, or its export gives other rewards.
    """
    place = _place(config)
    if place is None or place.source is None or missing():
        return None
    if export := place.export:
        return export
    from zooter_core.labelling.rewards import reward_model
    from zooter_core.labelling.rewards.scalar import ScalarReward

    model = reward_model(config)
    if not isinstance(model, ScalarReward) or model.input != "pair" or model.head is not None:
        return None
    progress("Exporting the reward model for ONNX Runtime once (a few seconds) ...")
    return place.make(lambda out: _export(model, out))


def _place(config: RewardConfig) -> Place | None:
    """None if the settings alone say that there is no export."""
    if type(config) is not ScalarConfig or config.dtype != "float32" or config.input == "chat" or config.template:
        return None
    source: str | None = None
    with suppress(OSError, ZooterError):  # loading the model says what is wrong
        folder = resolve(config.model)
        stamps = [stamp_of(name) for name in (folder, config.adapter) if name]
        source = digest_of(f"{VERSION} {config.max_tokens} {Path(folder).resolve()}", *stamps) if all(stamps) else None
    return Place("rewards", source, f"{config.model}\n{config.adapter}\n{config.max_tokens}")


def _export(model: Any, folder: Path) -> None:
    """Write the files of an export, and compare its rewards with the model's."""
    from zooter_core.router.encoder.onnx import check_installed, map_weights, plain_copy, write_graph
    from zooter_core.router.export import tokenizer_json

    check_installed()
    folder.mkdir()
    queries, responses = ([pair[side] for pair in CHECKED] for side in (0, 1))
    options = {"padding": True, "truncation": "longest_first", "max_length": model.most, "return_tensors": "pt"}
    sample = dict(model.tokenizer(queries, responses, **options))
    write_graph(_graph(plain_copy(model.model), list(sample)), sample, ["rewards"], folder / GRAPH)
    map_weights(folder / GRAPH)
    tokenizer = tokenizer_json(model.tokenizer, str(folder), model.most, padding=False)
    (folder / TOKENIZER).write_text(tokenizer, encoding="utf-8")
    (folder / ABOUT).write_text(dump_json({"marks": model.tokenizer.all_special_tokens}) + "\n", encoding="utf-8")
    if not np.allclose(PortableReward(folder).score(CHECKED), model.score(CHECKED), atol=TOLERANCE):
        raise WorkError(
            "an export that gives the reward model's rewards", "others", 'Set runtime = "torch" in [router].'
        )


def _graph(model: Any, names: Sequence[str]) -> Any:
    """The model as a module with positional inputs, in the order of `names`, and one reward a row."""
    import torch

    class Rewards(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *values: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.model(**dict(zip(names, values, strict=True))).logits
            return logits[:, 0]

    return Rewards()
