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
from zooter_core.base.gone import check_gone
from zooter_core.base.strict_json import parse_json
from zooter_core.base.tensors import first_broken
from zooter_core.router.kinds import AUTO_KIND, KINDS, LINEAR

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
            raise _wrong(path, field, expected, value)
    if mistake := _wrong_setting(config["kind"], config["settings"]):
        raise _wrong(path, *mistake)


def _wrong(path: Path, field: str, expected: str, value: Any) -> ZooterError:
    step = "Correct it, or make the router again with `zooter distill`."
    return ZooterError(f'"{field}" as {expected} in {path}', "none" if value is None else f"{value!r:.60}", step)


def _wrong_setting(kind: str, settings: Mapping[str, Any]) -> tuple[str, str, Any] | None:
    """What is wrong with the settings of a head: the field, what it should be, and what it is.

    None where nothing is wrong, or where the kind comes with another package. Whether all settings are there and fit
    the weights shows when the head is loaded.
    """
    for name, value in settings.items() if kind in KINDS else ():
        check_gone(f"router setting {name}")
        if kind == AUTO_KIND and name == "parts":
            if mistake := _wrong_part(value):
                return "settings.parts", *mistake
            continue
        expected, valid = AUTO_SETTINGS.get(name, UNKNOWN) if kind == AUTO_KIND else SETTINGS.get(name, ABOVE_0)
        if not valid(value):
            return f"settings.{name}", expected, value
    return None


def _wrong_part(parts: Any) -> tuple[str, Any] | None:
    """What is wrong with the parts of an `auto` router: what they should be, and what they are."""
    for part in parts if isinstance(parts, list) else [parts]:
        if not isinstance(part, dict) or set(part) != {"kind", "settings"} or not isinstance(part["settings"], dict):
            return "a list of objects with kind and settings", part
        if part["kind"] not in (*KINDS, LINEAR) or part["kind"] == AUTO_KIND:
            check_gone(f"router kind {part['kind']}")
            return "parts of known kinds", part["kind"]
        if mistake := _wrong_setting(part["kind"], part["settings"]):
            return f"parts whose {mistake[0]} is {mistake[1]}", mistake[2]
    return None


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _number(value: Any) -> bool:
    return type(value) in (int, float)


def _share(value: Any) -> bool:
    return _number(value) and 0 <= value <= 1


def _positive(value: Any) -> bool:
    return _number(value) and 0 < value < math.inf


def _pool(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_text, value)) and len(set(value)) == len(value)


def _labels(value: Any) -> bool:
    """Either nothing or all of LABEL_SETTINGS."""
    if not isinstance(value, dict) or (value and set(value) != set(LABEL_SETTINGS)):
        return False
    return _share(value.get("beta", 0)) and _positive(value.get("tau", 1)) and _text(value.get("normalise", "none"))


Rule = tuple[str, Callable[[Any], bool]]  # what a value must be, and the check
ABOVE_0: Rule = ("a number above 0", _positive)
FIELDS: Mapping[str, Rule] = {
    "candidates": ("a list of one or more different names", _pool),
    "encoder": ("a text", _text),
    "width": ("a whole number above 0", lambda value: type(value) is int and value > 0),
    "kind": ("a text", _text),
    "settings": ("an object", lambda value: isinstance(value, dict)),
    "calibration_temperature": ABOVE_0,
    "labels": ("an object with beta, tau and normalise", _labels),
}
SETTINGS: Mapping[str, Rule] = {  # all others are ABOVE_0
    "dropout": ("a number from 0 to below 1", lambda value: _share(value) and value < 1),
}
UNKNOWN: Rule = ("parts, share, share_far, landmarks and support alone", lambda value: False)
AUTO_SETTINGS: Mapping[str, Rule] = {  # beside the parts
    "share": ("a number from 0 to 1", _share),
    "share_far": ("a number from 0 to 1", _share),
    "landmarks": ("a whole number of at least 0", lambda value: type(value) is int and value >= 0),
    "support": ("true or false", lambda value: isinstance(value, bool)),
}
