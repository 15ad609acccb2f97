"""Taggers give intention tags to queries. A kind is one file with one class, and one line in KINDS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zooter_core import backends
from zooter_core.backends import Backend
from zooter_core.base.plugins import load_kind
from zooter_core.base.records import Query, Tag
from zooter_core.config.labelling import TaggerConfig

KINDS = {
    "nearest": "zooter_core.labelling.taggers.nearest:NearestTagger",
    "instag": "zooter_core.labelling.taggers.instag:InsTagger",
    "skills": "zooter_core.labelling.taggers.skills:SkillTagger",
    "given": "zooter_core.labelling.taggers.given:GivenTagger",
}


class SentenceEncoder(Protocol):
    """The sentence encoder that a tagger needs, such as `router.encoder.Encoder`."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of a few texts, shape (n, 2 * width)."""

    def embed_all(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Like `embed`, for many texts, cached on disk."""

    def sentence(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """The half of these vectors that is for comparing texts, shape (n, width), of unit norm."""


Encoders = Callable[[str], SentenceEncoder]  # reference -> encoder


class Tagger(Protocol):
    """Gives tags to queries.

    Attributes:
        quick: whether it is fast enough for every routed query; the router itself needs no tags.
    """

    quick: bool

    def tag(self, queries: Sequence[str]) -> list[tuple[Tag, ...]]:
        """Each query's tags, the highest score first; empty if nothing fits."""

    def tag_all(self, queries: Sequence[Query]) -> list[tuple[Tag, ...]]:
        """Like `tag`, for a file's queries, which may already have tags."""


def is_quick(config: TaggerConfig | None) -> bool:
    """Whether a fleet's tagger is fast enough for every routed query. Does not load it."""
    return config is not None and bool(getattr(load_kind("tagger", KINDS, config.kind), "quick", False))


def tagger(config: TaggerConfig, encoders: Encoders, backend: Callable[[str], Backend] = backends.backend) -> Tagger:
    """Load the tagger of a fleet.

    Args:
        backend: returns the backend of a kind, for a tagger that is a language model.
    """
    return load_kind("tagger", KINDS, config.kind)(config, encoders, backend)
