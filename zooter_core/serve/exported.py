"""Router and tagger of a fleet of endpoints, without PyTorch: a process of its own exports the router once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from zooter_core.config.fleet import RouterConfig
from zooter_core.config.labelling import TaggerConfig
from zooter_core.exports.router import RUNTIMES, cached_export
from zooter_core.labelling.taggers import Tagger, is_quick, tagger
from zooter_core.router.config import is_portable
from zooter_core.router.graph import missing
from zooter_core.router.text_encoder import TextEncoder

EXPORT = """
import pathlib, sys
from zooter_core.exports.router import make_export
make_export(pathlib.Path(sys.argv[1]))
"""


def light_router(config: RouterConfig, progress: Callable[[str], None]) -> Path:
    """The folder of a fleet's router in the form that loads without PyTorch.

    It is the fleet's own folder if that holds an exported router or must be loaded with PyTorch: because fleet.toml
    says so (`runtime`), the extra `onnx` is not installed, or the router cannot be exported. Else it is in the cache.
    """
    folder = Path(config.path)
    if is_portable(folder) or config.runtime not in RUNTIMES or missing():
        return folder
    if place := cached_export(folder):
        return place
    progress("Exporting the router for ONNX Runtime, once ...")
    subprocess.run([sys.executable, "-c", EXPORT, str(folder)], capture_output=True, check=False)
    return cached_export(folder) or folder  # what fails in the export fails again, with its message, in `Router.load`


class _AnotherEncoderError(Exception):
    """The tagger's encoder is not the router's."""


def light_tagger(config: TaggerConfig | None, encoder: TextEncoder, progress: Callable[[str], None]) -> Tagger | None:
    """The tagger of a fleet with its router's encoder. None if it is slow, or needs another encoder and so PyTorch.

    Raises:
        ZooterError: its vocabulary cannot be read.
    """
    if config is None or not is_quick(config):
        return None

    def encoders(reference: str) -> TextEncoder:
        if reference != encoder.reference:
            raise _AnotherEncoderError
        return encoder

    try:
        return tagger(config, encoders)
    except _AnotherEncoderError:
        progress("Decisions have no tags, since the tagger's encoder is not the router's.")
        return None
