"""Router kind `profile`: each candidate's level in sixteen skills, weighted by the skills that a query needs.

A pretrained classifier (`labelling/skills.py`) predicts P(s | q). A candidate's level in a skill is its mean score over
the training queries, weighted by P(s | q), with `prior` additional queries at its overall mean score. So a few queries
per skill are enough. This is the tag prior alone (paper, section 3.3, beta = 0), with skills as tags.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import ZooterError
from zooter_core.base.skills import SKILLS
from zooter_core.config.labelling import ENCODER
from zooter_core.labelling.skills import WIDTH, SkillHead
from zooter_core.router.kinds import DistillConfig, Progress
from zooter_core.router.kinds.arrays import Array, softmax
from zooter_core.router.kinds.base import Head, Lessons, mean_scores, zeros

AT_ONCE = 1024  # queries whose vectors are in memory at once


class ProfileHead(Head):
    """A head for the default encoder. The second half of its vectors is the sentence embedding for the classifier."""

    TRAINED = False
    EXTRA: ClassVar[Mapping[str, float]] = {"prior": 1.0}

    def __init__(self, width: int, candidates: int, prior: float) -> None:
        self.prior = prior
        self.state = {"weights": zeros(width // 2, len(SKILLS)), "bias": zeros(len(SKILLS))}
        self.state["levels"] = zeros(len(SKILLS), candidates)

    @classmethod
    def plan(cls, lessons: Lessons, config: DistillConfig) -> dict[str, Any]:
        return {"prior": float(cls.setting(config, "prior"))}

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        self.state["weights"], self.state["bias"] = classifier_state(len(self.state["weights"]))
        self.state["levels"] = self._levels(lessons)

    def skills(self, vectors: Array) -> Array:
        """P(s | q), shape (batch, 16)."""
        weights = self.state["weights"]
        return softmax(vectors[:, -len(weights) :] @ weights + self.state["bias"])

    def logits(self, vectors: Array) -> Array:
        return self.skills(vectors) @ self.state["levels"]

    def _levels(self, lessons: Lessons) -> NDArray[np.float32]:
        """The candidates' levels, shape (16, m). Missing scores are ignored."""
        parts = range(0, len(lessons.vectors), AT_ONCE)
        shares = np.concatenate([self.skills(lessons.batch(slice(n, n + AT_ONCE))) for n in parts])
        scored = (~np.isnan(lessons.scores)).astype(np.float32)
        sums = shares.T @ np.nan_to_num(lessons.scores) + self.prior * mean_scores(lessons.scores)
        return np.asarray(sums / (shares.T @ scored + self.prior), dtype=np.float32)


def classifier_state(width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The weights and the bias of the skill classifier, whose softmax is the calibrated P(s | q).

    Args:
        width: the width of the sentence embeddings.

    Raises:
        ZooterError: the classifier is for an encoder of another width.
    """
    if width != WIDTH:
        raise ZooterError(
            f"the encoder {ENCODER} for the router kind profile",
            f"one with {width} numbers for a sentence instead of {WIDTH}",
            "Use that encoder, or another --router-kind.",
        )
    head = SkillHead.load()
    return (head.weights / head.temperature).astype(np.float32), (head.bias / head.temperature).astype(np.float32)
