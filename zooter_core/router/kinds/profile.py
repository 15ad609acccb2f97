"""Router kind `profile`: how good each candidate is at sixteen skills, times the skills that a query asks for.

A classifier that ships (`labelling/skills.py`) gives P(s | q). A candidate's level in a skill is its mean score over
the training queries, each counted by P(s | q), and `prior` queries with its mean over all. So a few queries of each
skill are enough. It is the tag prior alone (paper, section 3.3, beta = 0), with skills as tags.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from zooter_core.base.errors import ZooterError
from zooter_core.config.labelling import ENCODER
from zooter_core.labelling.skills import WIDTH, SkillHead
from zooter_core.method.skills import SKILLS
from zooter_core.router.kinds import DistillConfig, Progress
from zooter_core.router.kinds.base import Head, Lessons, State, frozen, mean_scores


class ProfileHead(Head):
    """For vectors of the default encoder, whose second half is the sentence embedding that the classifier reads."""

    TRAINED = False
    EXTRA: ClassVar[Mapping[str, float]] = {"prior": 1.0}
    COLUMNS: ClassVar[Mapping[str, int]] = {"levels": 1}

    def __init__(self, width: int, candidates: int, prior: float) -> None:
        super().__init__()
        self.prior = prior
        self.weights, self.bias = frozen(width // 2, len(SKILLS)), frozen(len(SKILLS))
        self.levels = frozen(len(SKILLS), candidates)

    @classmethod
    def plan(cls, lessons: Lessons, config: DistillConfig) -> dict[str, Any]:
        return {"prior": float(cls.setting(config, "prior"))}

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        head = classifier(len(self.weights))
        self.weights.copy_(torch.from_numpy(head.weights / head.temperature))
        self.bias.copy_(torch.from_numpy(head.bias / head.temperature))
        self.levels.copy_(self._levels(lessons))

    def column(self, lessons: Lessons) -> State:
        return {"levels": self._levels(lessons)}

    def skills(self, vectors: torch.Tensor) -> torch.Tensor:
        """P(s | q), shape (batch, 16)."""
        return torch.softmax(vectors[:, -len(self.weights) :] @ self.weights + self.bias, dim=-1)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return self.skills(vectors) @ self.levels

    def _levels(self, lessons: Lessons) -> torch.Tensor:
        """Shape (16, m). A score that is missing counts nowhere."""
        shares = torch.cat(
            [self.skills(lessons.batch(slice(n, n + 1024))) for n in range(0, len(lessons.vectors), 1024)]
        )
        scored = (~lessons.scores.isnan()).float()
        sums = shares.T @ lessons.scores.nan_to_num() + self.prior * mean_scores(lessons.scores)
        return sums / (shares.T @ scored + self.prior)


def classifier(width: int) -> SkillHead:
    """The classifier of skills, for sentence embeddings of a width.

    Raises:
        ZooterError: it is for those of another encoder.
    """
    if width != WIDTH:
        raise ZooterError(
            f"the encoder {ENCODER} for the router kind profile",
            f"one with {width} numbers for a sentence instead of {WIDTH}",
            "Use that encoder, or another --router-kind.",
        )
    return SkillHead.load()
