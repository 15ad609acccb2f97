"""Exports in the cache folder: a fleet whose router and reward model have one runs them without PyTorch.

`zooter setup` makes them. An export is used only while the weights are those it was made from. Where PyTorch is not
installed, numpy runs a router's head, and models of BERT's architecture are exported from their files (router/bert.py).
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from zooter_core.base.cores import cores
from zooter_core.base.errors import WorkError, ZooterError, first_line
from zooter_core.base.exports import Place, digest_of
from zooter_core.base.strict_json import dump_json, parse_json
from zooter_core.base.weights import Progress, check_torch, has_torch, resolve, silent, stamp_of
from zooter_core.config.fleet import RouterConfig
from zooter_core.config.labelling import RewardConfig, ScalarConfig, UltraConfig
from zooter_core.labelling.rewards import plain
from zooter_core.router import bert
from zooter_core.router.config import CONFIG, ENCODER_FOLDER, GRAPH, LEARNED, QUANTISED, VERSION, WEIGHTS, is_portable
from zooter_core.router.encoder import Encoders
from zooter_core.router.graph import TOKENIZER, TextGraph, load_onnxruntime, tokenizer_json
from zooter_core.router.onnx_file import map_weights
from zooter_core.router.router import PortableRouter, Router
from zooter_core.router.text_encoder import TextEncoder

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
MOST_TOKENS = 512  # of a query and a response, where fleet.toml does not say
CHECKED = [
    ("Hello", "Hello!"),
    ("What is the sea?", "The sea is a large body of salt water. " * 60),
    ("Write a list of 7 apples. " * 40, "[SEP] No."),
]


def open_router(
    config: RouterConfig,
    encoders: Callable[[], Encoders] | None = None,
    fast: bool = False,
    running: Iterable[TextEncoder] = (),
) -> Router:
    """The router of a fleet: an exported one, its export in the cache, which is made if need be, or one on PyTorch.

    PyTorch runs it if fleet.toml says so, if the encoder is named by a hub id, or if the export fails or is damaged.
    The routers of `zooter learn` are too many to export each: numpy runs their heads.

    Args:
        encoders: called for a router on PyTorch, which shares their models; new ones if not given.
        fast: with `runtime = "auto"`, take 7-bit weights where the export has them.
        running: encoders of a router with the same runtime, which one of `zooter learn` shares.

    Raises:
        ZooterError, WorkError: as `Router.load`, or fleet.toml wants ONNX Runtime (`onnx`, `int8`), or 7-bit weights,
            and there can be none.
    """
    folder, failure = Path(config.path), None
    small = config.runtime == INT8 or (fast and config.runtime == AUTO)
    if is_portable(folder):
        return PortableRouter.open(folder, graph=_choose_graph(folder, config, small))
    if config.runtime == TORCH:
        check_torch(f'runtime = "{TORCH}" in [router]')
        return Router.load(folder, encoders() if encoders else None)
    if (folder / LEARNED).is_file():
        with suppress(ZooterError):  # its encoder may need PyTorch
            return _open_without_torch(config, small, running)
    try:
        if config.runtime != AUTO:
            load_onnxruntime()
        place = make_export(folder)
    except ZooterError as problem:
        if config.runtime != AUTO:
            raise
        place, failure = None, problem  # if the router is at fault, loading it says so
    if place:
        graph = _choose_graph(place, config, small)
        with suppress(ZooterError):  # damaged
            return PortableRouter.open(place, checked=False, graph=graph)
    if not has_torch():
        return _open_without_torch(config, small)
    router = Router.load(folder, encoders() if encoders else None)
    if failure:
        warnings.warn(f"The router runs on PyTorch. {failure}", stacklevel=2)
    if config.runtime != AUTO and not place:
        raise ZooterError(
            f'a router that can be exported in {folder}, for runtime = "{config.runtime}"',
            "an encoder named by a hub id, whose weights may change",
            f'Set runtime = "{AUTO}" in [router].',
        )
    return router


def _open_without_torch(config: RouterConfig, small: bool, running: Iterable[TextEncoder] = ()) -> Router:
    """A router with its head on numpy and its encoder on ONNX Runtime, with 7-bit weights if `small`."""
    router = Router.load(config.path, Encoders(small, torch=False, running=running))
    if config.runtime == INT8 and router.encoder.runtime != INT8:
        raise _no_quantised(config)
    return router


def _choose_graph(place: Path, config: RouterConfig, small: bool) -> str:
    """The file to take of an export: the one with 7-bit weights if `small` and it is there.

    Raises:
        ZooterError: fleet.toml wants 7-bit weights, and there are none.
    """
    if small and (place / QUANTISED).is_file():
        return QUANTISED
    if config.runtime == INT8:
        raise _no_quantised(config)
    return GRAPH


def _no_quantised(config: RouterConfig) -> ZooterError:
    return ZooterError(
        f'an export with 7-bit weights of the router in {config.path}, for runtime = "{INT8}"',
        "none",
        'Set runtime = "onnx" in [router].',
    )


def cached_export(folder: Path) -> Path | None:
    """Where the export of a router is in the cache; None if it is not there, or was made from another router."""
    return _router_place(folder).export


def make_export(folder: Path, progress: Progress = silent) -> Path | None:
    """Export a router into the cache, unless that has been done. Takes a few seconds.

    Returns:
        its folder; None if PyTorch or ONNX Runtime is not installed, if the encoder is named by a hub id, whose weights
        may change, or if numpy runs the router's head.

    Raises:
        ZooterError, WorkError: as `export_router`.
    """
    place = _router_place(folder)
    if is_portable(folder):
        return folder
    if place.source is None or _is_light(folder):
        return None
    if export := place.export:
        return export
    if not has_torch():
        return None
    from zooter_core.router.export import export_router

    progress("Exporting the router for ONNX Runtime once (a few seconds) ...")
    return place.make(lambda out: export_router(folder, out, cached=True))


def export_apart(config: RouterConfig, progress: Progress) -> None:
    """Export a fleet's router in another process, unless that has been done or fleet.toml wants PyTorch (`runtime`).

    This process then routes without PyTorch. If the export fails, opening the router says why.
    """
    folder = Path(config.path)
    done = is_portable(folder) or _is_light(folder) or cached_export(folder)
    if config.runtime != TORCH and has_torch() and not done:
        progress("Exporting the router for ONNX Runtime, once ...")
        subprocess.run([sys.executable, "-c", APART, str(folder)], capture_output=True, check=False)


def _is_light(folder: Path) -> bool:
    """Whether it is a router of `zooter learn` with an encoder that needs no PyTorch: numpy runs its head."""
    with suppress(OSError, ValueError, KeyError, TypeError, ZooterError):
        return (folder / LEARNED).is_file() and bool(bert.settings_of(Path(_locate_encoder(folder))))
    return False


def _locate_encoder(folder: Path) -> str:
    """Where a router's encoder lies."""
    reference = parse_json((folder / CONFIG).read_text(encoding="utf-8"))["encoder"]
    return str(folder / ENCODER_FOLDER) if reference == ENCODER_FOLDER else resolve(reference)


def _router_place(folder: Path) -> Place:
    """A router's outputs are decided by its files and its encoder's weights."""
    source: str | None = None
    with suppress(OSError, ValueError, KeyError, TypeError, ZooterError):  # `Router.load` says what is wrong
        config, weights = (folder / CONFIG).read_bytes(), (folder / WEIGHTS).read_bytes()
        encoder = _locate_encoder(folder)
        if stamp := stamp_of(encoder):
            source = digest_of(f"{VERSION} {LAYOUT} {Path(encoder).resolve()} {stamp}", config, weights)
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
    """Export a reward model into the cache, unless that has been done. Takes a few seconds.

    Returns:
        its folder; None if it cannot be exported. A classifier in a folder that reads two segments, in single
        precision, can.

    Raises:
        ZooterError, WorkError: the model does not load, cannot be exported, or its export gives other rewards.
    """
    place = _reward_place(config)
    if place is None or place.source is None:
        return None
    if export := place.export:
        return export
    if not has_torch():
        assert isinstance(config, ScalarConfig)
        progress("Making the reward model's graph for ONNX Runtime once (a few seconds) ...")
        return place.make(lambda out: _write_reward(config, out))
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
            digest_of(f"{REWARD_LAYOUT} {config.max_tokens} {Path(folder).resolve()}", *stamps) if all(stamps) else None
        )
    return Place("rewards", source, f"{config.model}\n{config.adapter}\n{config.max_tokens}")


def _export_reward(model: Any, folder: Path) -> None:
    """Write the files of an export, and compare its rewards with the model's."""
    from zooter_core.router.export import plain_copy, tokenizer_of, write_graph

    load_onnxruntime()
    folder.mkdir()
    queries, responses = ([pair[side] for pair in CHECKED] for side in (0, 1))
    options = {"padding": True, "truncation": "longest_first", "max_length": model.most, "return_tensors": "pt"}
    sample = dict(model.tokenizer(queries, responses, **options))
    write_graph(_rewards_module(plain_copy(model.model), list(sample)), sample, ["rewards"], folder / REWARD_GRAPH)
    map_weights(folder / REWARD_GRAPH)
    tokenizer, _ = tokenizer_of(model.tokenizer, str(folder))
    (folder / TOKENIZER).write_text(tokenizer_json(tokenizer, model.most, "right"), encoding="utf-8")
    (folder / REWARD_ABOUT).write_text(
        dump_json({"marks": model.tokenizer.all_special_tokens}) + "\n", encoding="utf-8"
    )
    if not np.allclose(PortableReward(folder).score(CHECKED), model.score(CHECKED), atol=TOLERANCE):
        raise WorkError(
            "an export that gives the reward model's rewards", "others", 'Set runtime = "torch" in [router].'
        )


def _write_reward(config: ScalarConfig, folder: Path) -> None:
    """Write the files of an export from the model's own, without PyTorch.

    Raises:
        ZooterError: it is no classifier of BERT's architecture with one output.
        WorkError: its files do not load, or its rewards are not finite.
    """
    load_onnxruntime()
    source = Path(resolve(config.model))
    settings = bert.settings_of(source)
    try:
        weights = bert.read_weights(source / bert.FILE)
        if config.adapter:
            weights = bert.adapted({f"bert.{name}": values for name, values in weights.items()}, Path(config.adapter))
        outputs = len(weights["classifier.bias"]) if "classifier.bias" in weights else 0
        if outputs != 1:
            raise ZooterError("a reward model with one output", f"{outputs} at {config.model}", "Use another model.")
        if name := bert.first_broken(weights):
            raise ValueError(f"NaN or infinity in its weights ({name})")
        folder.mkdir(parents=True)
        (folder / REWARD_GRAPH).write_bytes(
            bert.Bert(settings, weights, bert.has_segments(source)).rewards().SerializeToString()
        )
        map_weights(folder / REWARD_GRAPH)
        tokenizer, _ = bert.tokenizer_of(source)
        text = tokenizer_json(tokenizer, config.max_tokens or MOST_TOKENS, "right")
        (folder / TOKENIZER).write_text(text, encoding="utf-8")
        marks = {"marks": list(bert.marks_of(source))}
        (folder / REWARD_ABOUT).write_text(dump_json(marks) + "\n", encoding="utf-8")
        if not np.isfinite(PortableReward(folder).score(CHECKED[:1])).all():
            raise ValueError("rewards that are not finite")
    except ZooterError:
        raise
    except Exception as problem:  # json, safetensors, onnx, onnxruntime and tokenizers raise many kinds
        where = config.adapter or config.model
        raise WorkError(f"a reward model at {where}", first_line(problem), "Check [reward] in fleet.toml.") from problem


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
