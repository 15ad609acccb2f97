"""Plug-in kinds by name: a plain dict of name -> import path, loaded when first used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from zooter_core.errors import ZooterError, did_you_mean


def load_kind(family: str, kinds: Mapping[str, str], name: str) -> Any:
    """The class that `kinds[name]` ("module:Class") names.

    Raises:
        ZooterError: the family has no such kind.
    """
    if name not in kinds:
        raise ZooterError(f"a known {family} kind", f'"{name}"', did_you_mean(name, kinds))
    module, _, attribute = kinds[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
