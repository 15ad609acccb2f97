"""Plug-in kinds by name: our own tables of name -> import path, joined by the entry points of installed packages.

A kind is imported when it is first used. Entry points are looked up only for a name that is not in our table, because
that reads the metadata of every installed package.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zooter_core.base.errors import ZooterError, did_you_mean, loading
from zooter_core.base.gone import check_gone

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

# Families that other packages can add to -> their group of entry points.
GROUPS = {
    "backend": "zooter.backends",
    "reward": "zooter.rewards",
    "tagger": "zooter.taggers",
    "router": "zooter.routers",
}


def load_kind(family: str, kinds: Mapping[str, str], name: str) -> Any:
    """The class or function behind a name.

    Args:
        kinds: our own kinds of the family: name -> "module:attribute". They come before those of other packages.

    Raises:
        ZooterError: there is no such kind.
        WorkError: the package that adds it cannot be imported.
    """
    if name in kinds:
        module, _, attribute = kinds[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    added = _added(family)
    if name not in added:
        check_gone(f"{family} kind {name}")
        raise ZooterError(f"a known {family} kind", f'"{name}"', did_you_mean(name, [*kinds, *added]))
    entry = added[name]
    package = entry.dist.name if entry.dist else entry.module
    what = f"the {family} kind {name} of the package {package} to load"
    with loading(what, f"Reinstall {package}, or update it.", lambda problem: f"{type(problem).__name__}: {problem}"):
        return entry.load()


def _added(family: str) -> dict[str, EntryPoint]:
    """The kinds that installed packages add, by name."""
    from importlib.metadata import entry_points  # with what it imports, a tenth of a cold `zooter route`

    return {entry.name: entry for entry in entry_points(group=GROUPS[family])} if family in GROUPS else {}
