"""Tagger kind `skills`: which of sixteen skills a query asks for, by a small pretrained classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from zooter_core.backends import Backend
from zooter_core.base.records import Query, Tag
from zooter_core.base.skills import SKILLS
from zooter_core.config.labelling import ENCODER, SkillsConfig
from zooter_core.labelling.skills import SkillHead
from zooter_core.labelling.taggers import Encoders


class SkillTagger:
    """The skills with a probability of at least `threshold`, the most probable first, at most `most`."""

    quick = True

    def __init__(self, config: SkillsConfig, encoders: Encoders, backend: Callable[[str], Backend]) -> None:
        self.config, self.encoder, self.head = config, encoders(ENCODER), SkillHead.load()

    def tag(self, queries: Sequence[str]) -> list[tuple[Tag, ...]]:
        return self._tags(self.encoder.embed(queries))

    def tag_all(self, queries: Sequence[Query]) -> list[tuple[Tag, ...]]:
        return self._tags(self.encoder.embed_all([query.text for query in queries]))

    def _tags(self, vectors: NDArray[np.float32]) -> list[tuple[Tag, ...]]:
        return [self._best(row) for row in self.head.probabilities(self.encoder.sentence(vectors))]

    def _best(self, row: NDArray[np.float64]) -> tuple[Tag, ...]:
        order = np.argsort(-row, kind="stable")[: self.config.most]
        return tuple(Tag(SKILLS[n], float(row[n])) for n in order if row[n] >= self.config.threshold)
