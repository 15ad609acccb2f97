"""Taggers: what a query wants, as intention tags. A kind is one file with one class, and one line in KINDS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zooter_core import backends
from zooter_core.backends import Backend
from zooter_core.config.labelling import TaggerConfig
from zooter_core.plugins import load_kind
from zooter_core.records import Query, Tag

KINDS = {
    "nearest": "zooter_core.labelling.taggers.nearest:NearestTagger",
    "instag": "zooter_core.labelling.taggers.instag:InsTagger",
    "given": "zooter_core.labelling.taggers.given:GivenTagger",
}


class TextEncoder(Protocol):
    """What a tagger needs of a sentence encoder (`router.encoder.Encoder` is one)."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of a few texts, shape (n, 2 * width)."""

    def embed_all(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The same for many texts, cached on disk."""

    def sentence(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """The half of such vectors that texts are compared by, shape (n, width), of unit length."""


Encoders = Callable[[str], TextEncoder]  # by reference


class Tagger(Protocol):
    """Gives tags to queries.

    Attributes:
        quick: whether it may run on every query that is routed; the router itself needs no tags.
    """

    quick: bool

    def tag(self, queries: Sequence[str]) -> list[tuple[Tag, ...]]:
        """The tags of each query, the surest first; none where nothing fits."""

    def tag_all(self, queries: Sequence[Query]) -> list[tuple[Tag, ...]]:
        """The same for the queries of a file, which may have tags already."""


def tagger(config: TaggerConfig, encoders: Encoders, backend: Callable[[str], Backend] = backends.backend) -> Tagger:
    """The tagger of a fleet.

    Args:
        backend: backends by kind, for a tagger that is a language model.

    Raises:
        ZooterError: there is no such kind, or its vocabulary cannot be read.
    """
    made: Tagger = load_kind("tagger", KINDS, config.kind)(config, encoders, backend)
    return made
