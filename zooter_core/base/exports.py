"""Places in the cache folder for what is made once of a model, such as its graph for ONNX Runtime.

A folder there is used only while the model's weights are those that it was made from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zooter_core.base.files import remove
from zooter_core.base.weights import cache_dir, writing_cache

OWNER = "owner"  # a file beside an export, written last


@dataclass(frozen=True)
class Place:
    """A folder in the cache for the export of one model. Copies of a fleet share it.

    Attributes:
        kind: the folder of such exports.
        source: decides the model's outputs; None if that cannot be known, so that there is no export.
        owner: stays the same when the model's weights change, so that a new export replaces the old one.
    """

    kind: str
    source: str | None
    owner: str

    @property
    def folder(self) -> Path:
        return cache_dir() / self.kind / str(self.source)[:24]

    @property
    def export(self) -> Path | None:
        """The folder of the export; None if it is not there."""
        return self.folder if self.source and (self.folder / OWNER).is_file() else None

    def make(self, write: Callable[[Path], object]) -> Path:
        """The folder, after `write` has written into it unless another process has done so.

        Raises:
            ZooterError, WorkError: as `write`, or the cache folder cannot be written.
        """
        with writing_cache(self.folder):
            if self.export is None:
                for file in self.folder.parent.glob(f"*/{OWNER}"):
                    if file.read_text(encoding="utf-8", errors="surrogateescape") == self.owner:
                        remove(file.parent)
                remove(self.folder)
                write(self.folder)
                (self.folder / OWNER).write_text(self.owner, encoding="utf-8", errors="surrogateescape")
        return self.folder


def digest_of(*parts: str | bytes) -> str:
    """A hash of what decides a model's outputs."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()
