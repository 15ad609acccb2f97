"""Tagger kind `nearest`: similarity of the query to a vocabulary of intention tags, as in InsTag.

The vocabulary is a JSON file {"tags": [{"name", "description", "phrasings": [str]}]}. A tag's score for a query is a
soft maximum of the cosine similarities c to its n texts, the description (with its name) and the phrasings, so that
several similar texts count more than one: SOFT * log(sum(exp(c / SOFT)) / sqrt(n)).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zooter_core.backends import Backend
from zooter_core.base.errors import loading
from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.base.records import Query, Tag
from zooter_core.base.strict_json import of_type, parse_json
from zooter_core.config.labelling import ENCODER, NearestConfig
from zooter_core.labelling.taggers import Encoders

AT_ONCE = 1 << 14  # queries whose similarities to all texts are in memory at once


class NearestTagger:
    """Tags with a score of at least `threshold` and at least 96% of the best one's, at most `most` per query."""

    CLOSE = 0.96  # tuned on recipes/embedded/tag_queries.jsonl, like SOFT, and on 200 other queries
    SOFT = 0.12
    quick = True

    def __init__(self, config: NearestConfig, encoders: Encoders, backend: Callable[[str], Backend]) -> None:
        texts: list[str] = []
        owners: list[int] = []
        self.names: list[str] = []
        for number, tag in enumerate(_read_vocabulary(Path(config.vocabulary or EMBEDDED_FLEET / "tags.json"))):
            texts += [f"{tag.name}: {tag.description}", *tag.phrasings]
            owners += [number] * (1 + len(tag.phrasings))
            self.names.append(tag.name)
        self.encoder = encoders(config.encoder or ENCODER)
        self.vectors = self.encoder.sentence(self.encoder.embed_all(texts)).copy()
        self.starts = np.flatnonzero(np.diff(owners, prepend=-1))  # where each tag's texts begin
        self.roots = np.sqrt(np.bincount(owners)).astype(np.float32)  # of the numbers of texts
        self.config = config

    def tag(self, queries: Sequence[str]) -> list[tuple[Tag, ...]]:
        return self._tags(self.encoder.embed(queries))

    def tag_all(self, queries: Sequence[Query]) -> list[tuple[Tag, ...]]:
        vectors = self.encoder.embed_all([query.text for query in queries])
        parts = (self._tags(vectors[first : first + AT_ONCE]) for first in range(0, len(vectors), AT_ONCE))
        return [tags for part in parts for tags in part]

    def _tags(self, vectors: NDArray[np.float32]) -> list[tuple[Tag, ...]]:
        # Not a matrix product, since the threads of numpy's BLAS would slow down the encoder's next pass.
        similarities = np.einsum("qw,tw->qt", self.encoder.sentence(vectors), self.vectors)
        sums = np.add.reduceat(np.exp(similarities / self.SOFT), self.starts, axis=1)
        return [self._best(row) for row in self.SOFT * np.log(sums / self.roots)]

    def _best(self, scores: np.ndarray) -> tuple[Tag, ...]:
        least = max(self.config.threshold, self.CLOSE * float(scores.max()))
        order = np.argsort(-scores, kind="stable")[: self.config.most]
        return tuple(Tag(self.names[i], float(min(scores[i], 1.0))) for i in order if scores[i] >= least)


@dataclass(frozen=True)
class VocabularyTag:
    name: str
    description: str
    phrasings: list[str]


def _read_vocabulary(path: Path) -> list[VocabularyTag]:
    with loading(f"a tag vocabulary at {path}", "Fix the file."):
        tags = of_type(list[VocabularyTag], parse_json(path.read_text(encoding="utf-8-sig"))["tags"])
        if not tags:
            raise ValueError("no tags")
    return tags
