"""A router's files, checked before PyTorch loads: every field of config.json, and that all weights are finite.

A wrong field is a mistake in the input, and the message names it. Damaged weights are a failure: the router has to be
made again. Whether both fit together shows when `router` loads them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zooter_core.base.errors import WorkError, ZooterError, first_line
from zooter_core.base.strict_json import parse_json
from zooter_core.base.tensors import first_broken
from zooter_core.router.kinds import check_settings

CONFIG, WEIGHTS = "config.json", "model.safetensors"
ENCODER_FOLDER = "encoder"  # the name of an encoder inside the router's folder
LABEL_SETTINGS = ("beta", "tau", "normalise")


def find_encoder(folder: Path, encoder: str) -> str:
    """The reference of a router's encoder: the one that config.json names, or the encoder's place in the folder."""
    return str((folder / ENCODER_FOLDER).resolve()) if encoder == ENCODER_FOLDER else encoder


def check_router(folder: Path) -> None:
    """Refuse a folder whose router cannot work.

    Raises:
        ZooterError: there is no router, or a field of its config is wrong (named).
        WorkError: its files are broken, or a weight is NaN or infinite.
    """
    try:
        _check_config(folder)
        from safetensors.numpy import load_file

        if name := first_broken(load_file(folder / WEIGHTS)):
            raise ValueError(f"NaN or infinity in its weights ({name})")
    except ZooterError:
        raise
    except Exception as problem:  # safetensors has errors of its own
        raise broken(folder, problem) from problem


def broken(folder: str | Path, problem: Exception) -> WorkError:
    """The error for a router whose files do not load."""
    return WorkError(f"a whole router in {folder}", first_line(problem), "Make it again with `zooter distill`.")


def _check_config(folder: Path) -> None:
    """Raises ZooterError where there is none, or a field is wrong; ValueError where it is no JSON object."""
    path = folder / CONFIG
    if not path.is_file() and (folder / "router.json").is_file():
        raise ZooterError(
            f"a router of `zooter distill` in {folder}", "one that an earlier version exported",
            "Use the router that it was exported from: every router's folder now routes without PyTorch.",
        )  # fmt: skip
    if not path.is_file():
        raise ZooterError(
            f"a router folder at {folder}", f"no {CONFIG} there", "Make one with `zooter distill` or `zooter run`."
        )
    config = parse_json(path.read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise ValueError(f"{CONFIG} holds no JSON object")
    for field, (expected, valid) in FIELDS.items():
        value = config.get(field)
        if not valid(value):
            raise _wrong(path, field, expected, "none" if value is None else f"{value!r:.60}")
    if mistake := check_settings(config["kind"], config["settings"]):
        raise _wrong(path, *mistake)


def _wrong(path: Path, field: str, expected: str, value: str) -> ZooterError:
    step = "Correct it, or make the router again with `zooter distill`."
    return ZooterError(f'"{field}" as {expected} in {path}', value, step)


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _number(value: Any) -> bool:
    return type(value) in (int, float)


def _positive(value: Any) -> bool:
    return _number(value) and 0 < value < math.inf


def _pool(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_text, value)) and len(set(value)) == len(value)


def _labels(value: Any) -> bool:
    """Either nothing or all of LABEL_SETTINGS."""
    if not isinstance(value, dict) or (value and set(value) != set(LABEL_SETTINGS)):
        return False
    beta = value.get("beta", 0)
    return _number(beta) and 0 <= beta <= 1 and _positive(value.get("tau", 1)) and _text(value.get("normalise", "none"))


# Field -> what it must be, and the check.
FIELDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "candidates": ("a list of one or more different names", _pool),
    "encoder": ("a text", _text),
    "width": ("a whole number above 0", lambda value: type(value) is int and value > 0),
    "kind": ("a text", _text),
    "settings": ("an object", lambda value: isinstance(value, dict)),
    "calibration_temperature": ("a number above 0", _positive),
    "labels": ("an object with beta, tau and normalise", _labels),
}
