"""Exports in the cache folder: a fleet whose router and reward model have one runs them without PyTorch.

`zooter setup` makes them. An export is used only while the weights are those it was made from.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zooter_core.base.cores import cores
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.files import remove
from zooter_core.base.strict_json import dump_json, parse_json
from zooter_core.base.weights import Progress, cache_dir, resolve, silent, stamp_of, writing_cache
from zooter_core.config.fleet import RouterConfig
from zooter_core.config.labelling import RewardConfig, ScalarConfig, UltraConfig
from zooter_core.labelling.rewards import plain
from zooter_core.router.config import CONFIG, ENCODER_FOLDER, GRAPH, QUANTISED, VERSION, WEIGHTS, is_portable
from zooter_core.router.graph import TOKENIZER, TextGraph, check_installed, missing
from zooter_core.router.router import PortableRouter, Router

if TYPE_CHECKING:
    from zooter_core.router.encoder import Encoders

OWNER = "owner"  # a file beside an export, written last
AUTO, TORCH, INT8 = "auto", "torch", "int8"  # of [router] runtime; `onnx` is none of these
LAYOUT = 2  # raise it when what is exported of a router changes: exports in the cache are then made again
APART = """
import pathlib, sys
from zooter_core.fleet.exports import make_export
make_export(pathlib.Path(sys.argv[1]))
"""
REWARD_ABOUT, REWARD_GRAPH = "reward.json", "reward.onnx"
REWARD_LAYOUT = 1
TOLERANCE = 1e-4  # between the rewards of a model and of its export
CHECKED = [
    ("Hello", "Hello!"),
    ("What is the sea?", "The sea is a large body of salt water. " * 60),
    ("Write a list of 7 apples. " * 40, "[SEP] No."),
]


@dataclass(frozen=True)
class Place:
    """A folder in the cache for the export of one model. Copies of a fleet share it.

    Attributes:
        kind: the folder of such exports.
        source: decides the model's outputs; None if that cannot be known, so that there is no export.
        owner: stays when the model's weights change; a new export then replaces the old one.
    """

    kind: str
    source: str | None
    owner: str

    @property
    def folder(self) -> Path:
        return cache_dir() / self.kind / str(self.source)[:24]

    @property
    def export(self) -> Path | None:
        """The folder of the export; None if it is not there."""
        return self.folder if self.source and (self.folder / OWNER).is_file() else None

    def make(self, write: Callable[[Path], object]) -> Path:
        """The folder, after `write` has written into it unless another process has done so.

        Raises:
            ZooterError, WorkError: as `write`, or the cache folder cannot be written.
        """
        with writing_cache(self.folder):
            if self.export is None:
                for file in self.folder.parent.glob(f"*/{OWNER}"):
                    if file.read_text(encoding="utf-8", errors="surrogateescape") == self.owner:
                        remove(file.parent)
                remove(self.folder)
                write(self.folder)
                (self.folder / OWNER).write_text(self.owner, encoding="utf-8", errors="surrogateescape")
        return self.folder


def _digest_of(*parts: str | bytes) -> str:
    """A hash of what decides a model's outputs."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def open_router(config: RouterConfig, encoders: Callable[[], Encoders] | None = None, fast: bool = False) -> Router:
    """The router of a fleet: an exported one, its export in the cache, which is made if need be, or one on PyTorch.

    PyTorch runs it if fleet.toml says so, if the encoder is named by a hub id, or if the export fails or is damaged.

    Args:
        encoders: called for a router on PyTorch, which shares their models; new ones if not given.
        fast: with `runtime = "auto"`, take 7-bit weights where the export has them.

    Raises:
        ZooterError, WorkError: as `Router.load`, or fleet.toml wants ONNX Runtime (`onnx`, `int8`), or 7-bit weights,
            and there can be none.
    """
    folder, place, failure = Path(config.path), None, None
    if is_portable(folder):
        return PortableRouter.open(folder, graph=_graph_of(folder, config, fast))
    if config.runtime == AUTO:
        try:
            place = make_export(folder)
        except ZooterError as problem:  # if the router is at fault, loading it says so
            failure = problem
    elif config.runtime != TORCH:
        check_installed()
        place = make_export(folder)
    if place:
        graph = _graph_of(place, config, fast)
        with suppress(ZooterError):  # damaged, or a package is gone
            return PortableRouter.open(place, checked=False, graph=graph)
    router = Router.load(folder, encoders() if encoders else None)
    if failure:
        warnings.warn(f"The router runs on PyTorch. {failure}", stacklevel=2)
    if config.runtime not in (AUTO, TORCH) and not place:
        raise ZooterError(
            f'a router that can be exported in {folder}, for runtime = "{config.runtime}"',
            "an encoder named by a hub id, whose weights may change",
            f'Set runtime = "{AUTO}" in [router].',
        )
    return router


def _graph_of(place: Path, config: RouterConfig, fast: bool) -> str:
    """The file to take of an export.

    Raises:
        ZooterError: fleet.toml wants 7-bit weights, and there are none.
    """
    if config.runtime != INT8 and not (fast and config.runtime == AUTO):
        return GRAPH
    if (place / QUANTISED).is_file():
        return QUANTISED
    if config.runtime != INT8:
        return GRAPH
    raise ZooterError(
        f'an export with 7-bit weights of the router in {config.path}, for runtime = "{INT8}"',
        "none",
        'Set runtime = "onnx" in [router].',
    )


def cached_export(folder: Path) -> Path | None:
    """Where the export of a router is in the cache; None if it is not there, or was made from another router."""
    return _router_place(folder).export


def make_export(folder: Path, progress: Progress = silent) -> Path | None:
    """Export a router into the cache, unless that has been done. Needs PyTorch and takes a few seconds.

    Returns:
        its folder; None if the extra `onnx` is not installed, or if the encoder is named by a hub id, whose weights
        may change.

    Raises:
        ZooterError, WorkError: as `export_router`.
    """
    place = _router_place(folder)
    if is_portable(folder):
        return folder
    if place.source is None or missing():
        return None
    if export := place.export:
        return export
    from zooter_core.router.export import export_router

    progress("Exporting the router for ONNX Runtime once (a few seconds) ...")
    return place.make(lambda out: export_router(folder, out, cached=True))


def export_apart(config: RouterConfig, progress: Progress) -> None:
    """Export a fleet's router in another process, unless that has been done or fleet.toml wants PyTorch (`runtime`).

    This process then routes without PyTorch. If the export fails, opening the router says why.
    """
    folder = Path(config.path)
    if config.runtime != TORCH and not (is_portable(folder) or missing() or cached_export(folder)):
        progress("Exporting the router for ONNX Runtime, once ...")
        subprocess.run([sys.executable, "-c", APART, str(folder)], capture_output=True, check=False)


def _router_place(folder: Path) -> Place:
    """A router's outputs are decided by its files and its encoder's weights."""
    source: str | None = None
    with suppress(OSError, ValueError, KeyError, TypeError, ZooterError):  # `Router.load` says what is wrong
        config, weights = (folder / CONFIG).read_bytes(), (folder / WEIGHTS).read_bytes()
        reference = parse_json(config.decode("utf-8"))["encoder"]
        encoder = str(folder / ENCODER_FOLDER) if reference == ENCODER_FOLDER else resolve(reference)
        if stamp := stamp_of(encoder):
            source = _digest_of(f"{VERSION} {LAYOUT} {Path(encoder).resolve()} {stamp}", config, weights)
    return Place("routers", source, str(folder.resolve()))


class PortableReward:
    """An exported reward model. A pair is scored alone and without padding, so that others do not change its reward."""

    version = "onnx"

    def __init__(self, folder: Path) -> None:
        self.marks: list[str] = parse_json((folder / REWARD_ABOUT).read_text(encoding="utf-8"))["marks"]
        self.graph = TextGraph(folder, REWARD_GRAPH)

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The rewards of (query, response) pairs. The pairs are divided among the cores."""
        if len(pairs) < 2:
            return [self._score(pair) for pair in pairs]
        with ThreadPoolExecutor(cores()) as pool:
            return list(pool.map(self._score, pairs))

    def _score(self, pair: tuple[str, str]) -> float:
        query, response = (plain(text, self.marks) for text in pair)
        (rewards,) = self.graph([(query, response)])
        return float(rewards[0])


def open_reward(config: RewardConfig) -> PortableReward | None:
    """The export in the cache; None if it is not there, is damaged, or was made from other weights."""
    place = _reward_place(config)
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
    place = _reward_place(config)
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
    return place.make(lambda out: _export_reward(model, out))


def _reward_place(config: RewardConfig) -> Place | None:
    """None if the settings alone say that there is no export."""
    if not isinstance(config, ScalarConfig) or isinstance(config, UltraConfig):
        return None
    if config.dtype != "float32" or config.input == "chat" or config.template:
        return None
    source: str | None = None
    with suppress(OSError, ZooterError):  # loading the model says what is wrong
        folder = resolve(config.model)
        stamps = [stamp_of(name) for name in (folder, config.adapter) if name]
        source = (
            _digest_of(f"{REWARD_LAYOUT} {config.max_tokens} {Path(folder).resolve()}", *stamps)
            if all(stamps)
            else None
        )
    return Place("rewards", source, f"{config.model}\n{config.adapter}\n{config.max_tokens}")


def _export_reward(model: Any, folder: Path) -> None:
    """Write the files of an export, and compare its rewards with the model's."""
    from zooter_core.router.export import map_weights, plain_copy, tokenizer_json, write_graph

    check_installed()
    folder.mkdir()
    queries, responses = ([pair[side] for pair in CHECKED] for side in (0, 1))
    options = {"padding": True, "truncation": "longest_first", "max_length": model.most, "return_tensors": "pt"}
    sample = dict(model.tokenizer(queries, responses, **options))
    write_graph(_rewards_module(plain_copy(model.model), list(sample)), sample, ["rewards"], folder / REWARD_GRAPH)
    map_weights(folder / REWARD_GRAPH)
    tokenizer = tokenizer_json(model.tokenizer, str(folder), model.most, padding=False)
    (folder / TOKENIZER).write_text(tokenizer, encoding="utf-8")
    (folder / REWARD_ABOUT).write_text(
        dump_json({"marks": model.tokenizer.all_special_tokens}) + "\n", encoding="utf-8"
    )
    if not np.allclose(PortableReward(folder).score(CHECKED), model.score(CHECKED), atol=TOLERANCE):
        raise WorkError(
            "an export that gives the reward model's rewards", "others", 'Set runtime = "torch" in [router].'
        )


def _rewards_module(model: Any, names: Sequence[str]) -> Any:
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
