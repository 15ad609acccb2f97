"""A router's files, checked before PyTorch loads: every field of config.json, and that all weights are finite.

A wrong field is a mistake in the input, and the message names it. Damaged weights are a failure: the router has to be
made again. Whether both fit together shows when `router` loads them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zooter_core.base.errors import NotInstalledError, WorkError, ZooterError, first_line
from zooter_core.base.strict_json import NotFiniteError, parse_json
from zooter_core.router.graph import TOKENIZER
from zooter_core.router.kinds import check_settings

CONFIG, WEIGHTS = "config.json", "model.safetensors"
ENCODER_FOLDER = "encoder"  # the name of an encoder inside the router's folder
ABOUT = "router.json"  # of an exported router, beside GRAPH and TOKENIZER
GRAPH = "router.onnx"
MAPPED = f"{GRAPH}.data"  # the graph's weights, in the cache alone
QUANTISED = "router.int8.onnx"  # the graph with 7-bit weights, if it chooses as GRAPH does
LEARNED = "learned.json"  # beside the config of a router that `zooter learn` made
VERSION = 1  # of the layout of an exported router
AGAIN, EXPORT_AGAIN = "make the router again with `zooter distill`", "export the router again with `zooter export onnx`"
Fields = Mapping[str, tuple[str, Callable[[Any], bool]]]
LABEL_SETTINGS = ("beta", "tau", "normalise")


def check_router(folder: Path) -> None:
    """Refuse a folder whose router cannot work.

    Raises:
        ZooterError: there is no router, or a field of its config is wrong (named).
        WorkError: its files are broken, or a weight is NaN or infinite.
    """
    try:
        _check_config(folder)
        from safetensors.numpy import load_file

        for name, weights in load_file(folder / WEIGHTS).items():
            if not np.isfinite(weights).all():
                raise ValueError(f"NaN or infinity in its weights ({name})")
    except ZooterError:
        raise
    except ImportError as problem:  # where only exported routers can run
        user, otherwise = f"The router in {folder}", "export the router with `zooter export onnx` and name that"
        raise NotInstalledError("safetensors", user, "pip install safetensors", otherwise) from problem
    except Exception as problem:  # safetensors has errors of its own
        raise broken(folder, problem) from problem


def broken(folder: str | Path, problem: Exception) -> WorkError:
    """The error for a router whose files do not load."""
    return WorkError(f"a whole router in {folder}", first_line(problem), "Make it again with `zooter distill`.")


def is_portable(folder: Path) -> bool:
    """Whether a folder holds an exported router."""
    return (folder / ABOUT).is_file() and not (folder / CONFIG).is_file()


def read_about(folder: Path) -> dict[str, Any]:
    """The contents of router.json in the folder of an exported router, checked.

    Raises:
        ZooterError: it has another layout, or a field is wrong (named).
        WorkError: it is broken.
    """
    path = folder / ABOUT
    try:
        about = _read(path, EXPORT_AGAIN)
        if about.get("version") != VERSION:
            raise ZooterError(
                f"an exported router with layout {VERSION} in {folder}",
                f"layout {about.get('version')!r:.20}",
                "Export it again with `zooter export onnx` of this version.",
            )
        _check_fields(path, about, PORTABLE_FIELDS, EXPORT_AGAIN)
    except ZooterError:
        raise
    except Exception as problem:
        raise WorkError(
            f"a whole {ABOUT} in {folder}", first_line(problem), "Export the router again with `zooter export onnx`."
        ) from problem
    return about


def _check_config(folder: Path) -> None:
    """Raises ZooterError where there is none, or a field is wrong; ValueError where it is no JSON object."""
    path = folder / CONFIG
    if is_portable(folder):
        raise ZooterError(
            f"a router of `zooter distill` in {folder}",
            "an exported one",
            "Use the router that it was exported from.",
            f"The router in {folder} was exported, so it routes but cannot be changed.",
        )
    if not path.is_file():
        raise ZooterError(
            f"a router folder at {folder}", f"no {CONFIG} there", "Make one with `zooter distill` or `zooter run`."
        )
    config = _read(path, AGAIN)
    _check_fields(path, config, FIELDS, AGAIN)
    if mistake := check_settings(config["kind"], config["settings"]):
        raise _wrong(path, *mistake, AGAIN)


def _read(path: Path, again: str) -> dict[str, Any]:
    try:
        config = parse_json(path.read_text(encoding="utf-8"))
    except NotFiniteError as problem:
        raise _wrong(path, problem.field, "a finite number", problem.number, again) from problem
    if not isinstance(config, dict):
        raise ValueError(f"{path.name} holds no JSON object")
    return config


def _check_fields(path: Path, config: Mapping[str, Any], fields: Fields, again: str) -> None:
    for field, (expected, valid) in fields.items():
        value = config.get(field)
        if not valid(value):
            raise _wrong(path, field, expected, "none" if value is None else f"{value!r:.60}", again)


def _wrong(path: Path, field: str, expected: str, value: str, again: str) -> ZooterError:
    return ZooterError(f'"{field}" as {expected} in {path}', value, f"Correct it, or {again}.")


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


def _checksums(value: Any) -> bool:
    names = set(value) - {MAPPED, QUANTISED} if isinstance(value, dict) else set()
    return names == {GRAPH, TOKENIZER} and all(map(_text, value.values()))


# Field -> what it must be, and the check.
FIELDS: Fields = {
    "candidates": ("a list of one or more different names", _pool),
    "encoder": ("a text", _text),
    "width": ("a whole number above 0", lambda value: type(value) is int and value > 0),
    "kind": ("a text", _text),
    "settings": ("an object", lambda value: isinstance(value, dict)),
    "calibration_temperature": ("a number above 0", _positive),
    "labels": ("an object with beta, tau and normalise", _labels),
}
PORTABLE_FIELDS: Fields = {name: FIELDS[name] for name in ("candidates", "encoder", "width", "kind", "labels")} | {
    "members": ("a whole number of 0 or more", lambda value: type(value) is int and value >= 0),
    "sha256": (f"an object with {GRAPH} and {TOKENIZER}", _checksums),
}
