"""Stores what is computed once from a model, such as its graph for ONNX Runtime, in the cache folder.

A stored folder is used only while the model's weights do not change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from zooter_core.base.files import remove
from zooter_core.base.weights import cache_dir, writing_cache

Opened = TypeVar("Opened")
OWNER = "owner"  # a file in the folder that is written last, so a folder without it is incomplete


@dataclass(frozen=True)
class Place:
    """A folder in the cache for the result of converting a model. Copies of a fleet share it."""

    kind: str  # the name of the parent folder
    source: str  # a hash of everything that determines the model's outputs
    owner: str  # identifies the model even if its weights change, so that a new folder replaces the old one

    @property
    def folder(self) -> Path:
        return cache_dir() / self.kind / self.source[:24]

    def open(self, write: Callable[[Path], object], load: Callable[[Path], Opened]) -> Opened:
        """The result of `load` on the folder. If the folder is missing, incomplete or damaged, `write` fills it first.

        Raises:
            WorkError: the cache folder cannot be written.
            Exception: `write` or `load` raised it.
        """
        if (self.folder / OWNER).is_file():
            with suppress(Exception):  # a damaged folder can raise many kinds of errors
                return load(self.folder)
            remove(self.folder)
        self._fill(write)
        return load(self.folder)

    def _fill(self, write: Callable[[Path], object]) -> None:
        with writing_cache(self.folder):
            if not (self.folder / OWNER).is_file():  # otherwise another process has filled it
                for file in self.folder.parent.glob(f"*/{OWNER}"):
                    if file.read_text(encoding="utf-8", errors="surrogateescape") == self.owner:
                        remove(file.parent)
                remove(self.folder)
                write(self.folder)
                (self.folder / OWNER).write_text(self.owner, encoding="utf-8", errors="surrogateescape")


def hash_parts(*parts: str | bytes) -> str:
    """A hash of the parts that determine a model's outputs."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()
