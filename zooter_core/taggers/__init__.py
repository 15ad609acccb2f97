"""Taggers: what a query wants, as intention tags. A kind is one file with one class, and one line in KINDS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from zooter_core.encoder import Encoders
from zooter_core.fleet import TaggerConfig
from zooter_core.plugins import load_kind
from zooter_core.records import Tag

KINDS = {"nearest": "zooter_core.taggers.nearest:NearestTagger"}


class Tagger(Protocol):
    def tag(self, queries: Sequence[str]) -> list[tuple[Tag, ...]]:
        """The tags of each query, the surest first; none where nothing fits."""


def tagger(config: TaggerConfig, encoders: Encoders) -> Tagger:
    """The tagger of a fleet.

    Raises:
        ZooterError: there is no such kind, or its vocabulary cannot be read.
    """
    made: Tagger = load_kind("tagger", KINDS, config.kind)(config, encoders)
    return made
