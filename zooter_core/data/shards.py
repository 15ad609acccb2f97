"""Parts of a run that several machines collect, and their names: shard 3/16 is the third of sixteen."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from zooter_core.base.errors import ZooterError


@dataclass(frozen=True)
class Shard:
    """The queries whose id falls into one of several equal parts by its hash."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard of a name such as 3/16."""
        match = re.fullmatch(r"([1-9]\d{0,5})/([1-9]\d{0,5})", text)
        if match is None or int(match[1]) > int(match[2]):
            raise ZooterError("--shard as I/N with I from 1 to N", repr(text), "For instance --shard 3/16.")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def of(cls, id: str, count: int) -> Shard:
        """The shard of a query, one of `count`."""
        digest = hashlib.sha256(id.encode("utf-8", "surrogatepass")).digest()
        return cls(int.from_bytes(digest[:8]) % count + 1, count)
