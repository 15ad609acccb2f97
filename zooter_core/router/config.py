"""The files of a router's folder, checked before anything heavy loads: there is a router, and its weights are finite.

Whether config.json and the weights fit together shows when `router` loads them.
"""

from __future__ import annotations

from pathlib import Path

from zooter_core.base.errors import WorkError, ZooterError, first_line
from zooter_core.base.strict_json import parse_json
from zooter_core.base.tensors import first_broken

CONFIG, WEIGHTS = "config.json", "model.safetensors"
ENCODER_FOLDER = "encoder"  # the name of an encoder inside the router's folder


def find_encoder(folder: Path, encoder: str) -> str:
    """The reference of a router's encoder: the one that config.json names, or the encoder's place in the folder."""
    return str((folder / ENCODER_FOLDER).resolve()) if encoder == ENCODER_FOLDER else encoder


def check_router(folder: Path) -> None:
    """Refuse a folder whose router cannot work.

    Raises:
        ZooterError: there is no router.
        WorkError: its files are broken, or a weight is NaN or infinite.
    """
    if not (folder / CONFIG).is_file():
        step = "Make one with `zooter distill` or `zooter run`."
        raise ZooterError(f"a router folder at {folder}", f"no {CONFIG} there", step)
    try:
        if not isinstance(parse_json((folder / CONFIG).read_text(encoding="utf-8")), dict):
            raise ValueError(f"{CONFIG} holds no JSON object")
        from safetensors.numpy import load_file

        if name := first_broken(load_file(folder / WEIGHTS)):
            raise ValueError(f"NaN or infinity in its weights ({name})")
    except Exception as problem:  # safetensors has errors of its own
        raise broken(folder, problem) from problem


def broken(folder: str | Path, problem: Exception) -> WorkError:
    """The error for a router whose files do not load."""
    return WorkError(f"a whole router in {folder}", first_line(problem), "Make it again with `zooter distill`.")
