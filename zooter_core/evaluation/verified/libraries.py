"""The libraries of `zooter[verify]`, imported when a key needs one."""

from __future__ import annotations

import importlib
from types import ModuleType

from zooter_core.base.errors import not_installed


def library(name: str, user: str) -> ModuleType:
    """A module by its name.

    Raises:
        ZooterError: it is not installed; the message names `user`, the part of a key that needs it.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise not_installed(name, user, "Run `pip install 'zooter[verify]'`.") from None
