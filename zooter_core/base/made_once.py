"""Places in the cache folder for what is made once of a model, such as its graph for ONNX Runtime.

A folder there is used only while the model's weights are those that it was made from.
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
OWNER = "owner"  # a file beside it, written last


@dataclass(frozen=True)
class Place:
    """A folder in the cache for what is made of one model. Copies of a fleet share it."""

    kind: str  # the folder of such places
    source: str  # decides the model's outputs
    owner: str  # stays the same when the model's weights change, so that a new folder replaces the old one

    @property
    def folder(self) -> Path:
        return cache_dir() / self.kind / self.source[:24]

    def open(self, write: Callable[[Path], object], load: Callable[[Path], Opened]) -> Opened:
        """What `load` makes of the folder, into which `write` writes unless that has been done. A damaged one is
        written again.

        Raises:
            WorkError: the cache folder cannot be written.
            Exception: as `write` and `load`.
        """
        if (self.folder / OWNER).is_file():
            with suppress(Exception):  # each kind of damage has its own error
                return load(self.folder)
            remove(self.folder)
        self._make(write)
        return load(self.folder)

    def _make(self, write: Callable[[Path], object]) -> None:
        with writing_cache(self.folder):
            if not (self.folder / OWNER).is_file():  # else another process has made it
                for file in self.folder.parent.glob(f"*/{OWNER}"):
                    if file.read_text(encoding="utf-8", errors="surrogateescape") == self.owner:
                        remove(file.parent)
                remove(self.folder)
                write(self.folder)
                (self.folder / OWNER).write_text(self.owner, encoding="utf-8", errors="surrogateescape")


def hash_parts(*parts: str | bytes) -> str:
    """A hash of what decides a model's outputs."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()
