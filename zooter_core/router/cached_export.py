"""Exports in the cache folder: a fleet whose router has one there routes without PyTorch. `zooter setup` makes them.

An export belongs to one router folder, and is used only while the router and its encoder are those it was made from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from zooter_core.config.fleet import RouterConfig
from zooter_core.errors import ZooterError
from zooter_core.files import remove
from zooter_core.router.config import CONFIG, ENCODER_FOLDER, VERSION, WEIGHTS, is_portable
from zooter_core.router.graph import missing
from zooter_core.router.router import Router
from zooter_core.strict_json import parse_json
from zooter_core.weights import cache_dir, private_cache, resolve, stamp_of

if TYPE_CHECKING:
    from zooter_core.router.encoder import Encoders

SOURCE = "source"  # a file beside the export: what it was made from
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
        try:
            return Router.load(place)
        except ZooterError:  # damaged, or a package is gone
            pass
    if is_portable(folder) or encoders is None:
        return Router.load(folder)
    return Router.load(folder, encoders())


def cached_export(folder: Path) -> Path | None:
    """Where the export of a router is in the cache; None if it is not there, or was made from another router."""
    place, source = _place(folder), _source(folder)
    try:
        export_source = (place / SOURCE).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    return place if source and export_source == source and is_portable(place) else None


def make_export(folder: Path, progress: Callable[[str], None] = lambda message: None) -> Path | None:
    """Export a router into the cache, unless that has been done. Needs PyTorch and takes about ten seconds.

    Returns:
        its folder; None if the extra `onnx` is not installed, or if the encoder is named by a hub id, whose weights
        may change.

    Raises:
        ZooterError, WorkError: as `export_router`.
    """
    if is_portable(folder):
        return folder
    source = _source(folder)
    if source is None or missing():
        return None
    if place := cached_export(folder):
        return place
    from zooter_core.router.encoder.onnx import making
    from zooter_core.router.export import export_router

    place = _place(folder)
    with making(place):
        if export := cached_export(folder):  # another process made it while this one waited
            return export
        progress("Exporting the router for ONNX Runtime once (about ten seconds) ...")
        private_cache()
        remove(place)
        export_router(folder, place, neighbours=False)
        (place / SOURCE).write_text(source, encoding="utf-8")
    return place


def _place(folder: Path) -> Path:
    name = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return cache_dir() / "routers" / name


def _source(folder: Path) -> str | None:
    """What decides a router's outputs: its files and its encoder's weights. None if that cannot be known."""
    try:
        content = (folder / CONFIG).read_bytes(), (folder / WEIGHTS).read_bytes()
        reference = parse_json(content[0].decode("utf-8"))["encoder"]
        encoder = str(folder / ENCODER_FOLDER) if reference == ENCODER_FOLDER else resolve(reference)
    except (OSError, ValueError, KeyError, TypeError, ZooterError):
        return None  # `Router.load` says what is wrong
    if not (stamp := stamp_of(encoder)):
        return None
    digest = hashlib.sha256(f"{VERSION} {encoder} {stamp}".encode("utf-8", "surrogateescape"))
    for part in content:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()
