"""Tagger kind `given`: the tags in the queries file. Routed queries have no tags and need none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zooter_core.backends import Backend
from zooter_core.base.records import Query, Tag
from zooter_core.config.labelling import GivenConfig
from zooter_core.labelling.taggers import Encoders


class GivenTagger:
    """Tags as they are in the file, without duplicates."""

    quick = False

    def __init__(self, config: GivenConfig, encoders: Encoders, backend: Callable[[str], Backend]) -> None:
        """Do nothing: this tagger has nothing to load."""

    def tag(self, queries: Sequence[str]) -> list[tuple[Tag, ...]]:
        return [()] * len(queries)

    def tag_all(self, queries: Sequence[Query]) -> list[tuple[Tag, ...]]:
        return [tuple(Tag(name, 1.0) for name in dict.fromkeys(query.tags)) for query in queries]
