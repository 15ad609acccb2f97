"""The export of a router: the text encoder, the head and the temperature in one graph (router/export.py)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from zooter_core.config.fleet import RouterConfig
from zooter_core.errors import ZooterError
from zooter_core.exports.place import Place, digest_of
from zooter_core.router.config import CONFIG, ENCODER_FOLDER, VERSION, WEIGHTS, is_portable
from zooter_core.router.graph import missing
from zooter_core.router.portable import PortableRouter
from zooter_core.router.router import Router
from zooter_core.strict_json import parse_json
from zooter_core.weights import Progress, resolve, silent, stamp_of

if TYPE_CHECKING:
    from zooter_core.router.encoder import Encoders

RUNTIMES = ("auto", "onnx")  # those of [router] that an export may stand for


def open_router(config: RouterConfig, encoders: Callable[[], Encoders] | None = None, threads: int = 1) -> Router:
    """The router of a fleet: an exported one, its export in the cache, or the one on PyTorch.

    Args:
        encoders: called for the last of these, which shares their models; new ones if not given.
        threads: of a pass of an exported router (`graph.session`).

    Raises:
        ZooterError, WorkError: as `Router.load`.
    """
    folder = Path(config.path)
    if is_portable(folder):
        return PortableRouter.open(folder, threads=threads)
    if config.runtime in RUNTIMES and (place := cached_export(folder)):
        with suppress(ZooterError):  # damaged, or a package is gone
            return PortableRouter.open(place, checked=False, threads=threads)
    if encoders is None:
        from zooter_core.router.encoder import Encoders  # loads PyTorch

        return Router.load(folder, Encoders(config.runtime))
    return Router.load(folder, encoders())


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
    return digest_of(f"{VERSION} {Path(encoder).resolve()} {stamp}", config, weights) if stamp else None
