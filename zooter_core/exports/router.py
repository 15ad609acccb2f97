"""The export of a router: the text encoder, the head and the temperature in one graph (router/export.py)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from zooter_core.config.fleet import RouterConfig
from zooter_core.errors import ZooterError
from zooter_core.exports.place import Place, digest_of
from zooter_core.router.config import CONFIG, ENCODER_FOLDER, VERSION, WEIGHTS, is_portable
from zooter_core.router.graph import missing
from zooter_core.router.router import Router
from zooter_core.strict_json import parse_json
from zooter_core.weights import resolve, stamp_of

if TYPE_CHECKING:
    from zooter_core.router.encoder import Encoders

RUNTIMES = ("auto", "onnx")  # those of [router] that an export may stand for


def open_router(config: RouterConfig, encoders: Callable[[], Encoders] | None = None) -> Router:
    """The router of a fleet: an exported one, its export in the cache, or the one on PyTorch.

    Args:
        encoders: called for the last of these, which shares their models.

    Raises:
        ZooterError, WorkError: as `Router.load`.
    """
    folder = Path(config.path)
    if not is_portable(folder) and config.runtime in RUNTIMES and (place := cached_export(folder)):
        from zooter_core.router.portable import PortableRouter

        try:
            return PortableRouter.open(place, checked=False)
        except ZooterError:  # damaged, or a package is gone
            pass
    if is_portable(folder) or encoders is None:
        return Router.load(folder)
    return Router.load(folder, encoders())


def cached_export(folder: Path) -> Path | None:
    """Where the export of a router is in the cache; None if it is not there, or was made from another router."""
    return _place(folder).export


def make_export(folder: Path, progress: Callable[[str], None] = lambda message: None) -> Path | None:
    """Export a router into the cache, unless that has been done. Needs PyTorch and takes about ten seconds.

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

    progress("Exporting the router for ONNX Runtime once (about ten seconds) ...")
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
