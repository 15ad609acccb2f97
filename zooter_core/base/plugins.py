"""Finds plug-in kinds by name: in Zooter's own tables, and among the entry points of installed packages.

A kind is imported on first use. Entry points are looked up only for names that are not in the table, because the lookup
reads the metadata of every installed package.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from zooter_core.base.errors import ZooterError, did_you_mean, first_line, loading
from zooter_core.base.gone import check_gone

# Family of kinds that other packages can extend -> its group of entry points.
GROUPS = {
    "backend": "zooter.backends",
    "reward": "zooter.rewards",
    "tagger": "zooter.taggers",
    "router": "zooter.routers",
}


def load_kind(family: str, kinds: Mapping[str, str], name: str) -> Any:
    """The class or function of a kind.

    Args:
        kinds: Zooter's own kinds of the family: name -> "module:attribute". They take precedence over other packages'.

    Raises:
        ZooterError: there is no kind of this name.
        WorkError: the package that adds the kind cannot be imported.
    """
    if name in kinds:
        module, _, attribute = kinds[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    from importlib.metadata import entry_points  # here, since importing it takes a tenth of a cold `zooter route`

    added = {entry.name: entry for entry in entry_points(group=GROUPS[family])} if family in GROUPS else {}
    if name not in added:
        check_gone(f"{family} kind {name}")
        raise ZooterError(f"a known {family} kind", f'"{name}"', did_you_mean(name, [*kinds, *added]))
    entry = added[name]
    package = entry.dist.name if entry.dist else entry.module
    what, step = f"the {family} kind {name} of the package {package} to load", f"Reinstall {package}, or update it."
    with loading(what, step, lambda problem: f"{type(problem).__name__}: {first_line(problem)}"):
        return entry.load()
