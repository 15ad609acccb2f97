"""The export of a router: the text encoder, the head and the temperature in one graph (router/export.py)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from zooter_core.base.errors import ZooterError
from zooter_core.base.strict_json import parse_json
from zooter_core.base.weights import Progress, resolve, silent, stamp_of
from zooter_core.config.fleet import RouterConfig
from zooter_core.fleet.exports.place import Place, digest_of
from zooter_core.router.config import CONFIG, ENCODER_FOLDER, GRAPH, QUANTISED, VERSION, WEIGHTS, is_portable
from zooter_core.router.graph import missing
from zooter_core.router.portable import PortableRouter
from zooter_core.router.router import Router

if TYPE_CHECKING:
    from zooter_core.router.encoder import Encoders

INT8 = "int8"
RUNTIMES = ("auto", "onnx", INT8)  # those of [router] that an export may stand for
EXPORT = """
import pathlib, sys
from zooter_core.fleet.exports.router import make_export
make_export(pathlib.Path(sys.argv[1]))
"""
LAYOUT = 2  # raise it when what is exported changes: exports in the cache are then made again


def open_router(config: RouterConfig, encoders: Callable[[], Encoders] | None = None, fast: bool = False) -> Router:
    """The router of a fleet: an exported one, its export in the cache, or the one on PyTorch.

    Args:
        encoders: called for the last of these, which shares their models; new ones if not given.
        fast: with `runtime = "auto"`, take 7-bit weights where the export has them.

    Raises:
        ZooterError, WorkError: as `Router.load`, or fleet.toml wants 7-bit weights and there are none.
    """
    folder, place = Path(config.path), None
    if is_portable(folder):
        return PortableRouter.open(folder, graph=_graph(folder, config, fast))
    if config.runtime in RUNTIMES:
        place = make_export(folder) if config.runtime == INT8 else cached_export(folder)
    graph = _graph(place, config, fast)
    if place:
        with suppress(ZooterError):  # damaged, or a package is gone
            return PortableRouter.open(place, checked=False, graph=graph)
    if encoders is None:
        from zooter_core.router.encoder import Encoders  # loads PyTorch

        return Router.load(folder, Encoders(config.runtime))
    return Router.load(folder, encoders())


def _graph(place: Path | None, config: RouterConfig, fast: bool) -> str:
    """The file to take of an export.

    Raises:
        ZooterError: fleet.toml wants 7-bit weights, and there are none.
    """
    if config.runtime != INT8 and not (fast and config.runtime == "auto"):
        return GRAPH
    if place and (place / QUANTISED).is_file():
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
    return _place(folder).export


def make_export(folder: Path, progress: Progress = silent) -> Path | None:
    """Export a router into the cache, unless that has been done. Needs PyTorch and takes a few seconds.

    Returns:
        its folder; None if the extra `onnx` is not installed, or if the encoder is named by a hub id, whose weights
        may change.

    Raises:
        ZooterError, WorkError: as `export_router`.
    """
    place = _place(folder)
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
    if config.runtime in RUNTIMES and not (is_portable(folder) or missing() or cached_export(folder)):
        progress("Exporting the router for ONNX Runtime, once ...")
        subprocess.run([sys.executable, "-c", EXPORT, str(folder)], capture_output=True, check=False)


def _place(folder: Path) -> Place:
    return Place("routers", _source(folder), str(folder.resolve()))


def _source(folder: Path) -> str | None:
    """What decides a router's outputs: its files and its encoder's weights."""
    try:
        config, weights = (folder / CONFIG).read_bytes(), (folder / WEIGHTS).read_bytes()
        reference = parse_json(config.decode("utf-8"))["encoder"]
        encoder = str(folder / ENCODER_FOLDER) if reference == ENCODER_FOLDER else resolve(reference)
    except (OSError, ValueError, KeyError, TypeError, ZooterError):
        return None  # `Router.load` says what is wrong
    stamp = stamp_of(encoder)
    return digest_of(f"{VERSION} {LAYOUT} {Path(encoder).resolve()} {stamp}", config, weights) if stamp else None
