"""Router and tagger of a fleet of endpoints, without PyTorch: a process of its own exports the router once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from zooter_core.config.fleet import RouterConfig
from zooter_core.config.labelling import TaggerConfig
from zooter_core.exports.router import RUNTIMES, cached_export
from zooter_core.labelling.taggers import Tagger, is_quick, tagger
from zooter_core.router.config import is_portable
from zooter_core.router.graph import missing
from zooter_core.router.text_encoder import TextEncoder
from zooter_core.weights import Progress

EXPORT = """
import pathlib, sys
from zooter_core.exports.router import make_export
make_export(pathlib.Path(sys.argv[1]))
"""


def export_apart(config: RouterConfig, progress: Progress) -> None:
    """Export a fleet's router into the cache, unless it is exported or fleet.toml wants PyTorch (`runtime`).

    What fails in the export fails again, with its message, when the router is opened.
    """
    folder = Path(config.path)
    if config.runtime in RUNTIMES and not (is_portable(folder) or missing() or cached_export(folder)):
        progress("Exporting the router for ONNX Runtime, once ...")
        subprocess.run([sys.executable, "-c", EXPORT, str(folder)], capture_output=True, check=False)


class _AnotherEncoderError(Exception):
    """The tagger's encoder is not the router's."""


def light_tagger(config: TaggerConfig | None, encoder: TextEncoder, progress: Progress) -> Tagger | None:
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
