"""What verified outcomes change and show: the order of responses, and how well a reward model knows the right ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from zooter_core.base.records import Ranked
from zooter_core.evaluation.figures import Verified
from zooter_core.evaluation.verified import verify
from zooter_core.method.metrics import Array, mean


def verified_ranking(ranked: Sequence[Ranked], key: Mapping[str, Any]) -> list[Ranked]:
    """Responses with their outcomes: the right ones first, and those that are equally right as they were ranked.

    Responses that failed have no outcome, and those without a reward still no rank.

    Raises:
        ZooterError: the key cannot be used here, as `verify` says.
    """
    judged = []
    for item in ranked:
        if item.response.error is None:
            outcome = verify(item.response.text, key)
            item = replace(item, right=outcome.right, reason=outcome.reason)
        judged.append(item)
    placed = sorted((item for item in judged if item.rank is not None), key=lambda item: not item.right)
    places = {id(item): replace(item, rank=rank) for rank, item in enumerate(placed, 1)}
    return [*places.values(), *(item for item in judged if id(item) not in places)]


def verified_figures(pool: Sequence[str], rewards: Array, outcomes: Array) -> Verified | None:
    """Figures of verified responses; None where there are none.

    Args:
        rewards: by the reward model, shape (queries, candidates, samples).
        outcomes: 1 for a right response and 0 for a wrong one, of the same shape; NaN where nothing verifies it.
    """
    rows = np.flatnonzero(np.isfinite(outcomes).any(axis=(1, 2)))
    if not len(rows):
        return None
    shares = mean(outcomes[rows], axis=(0, 2)).tolist()
    flat, right = rewards[rows].reshape(len(rows), -1), outcomes[rows].reshape(len(rows), -1)
    ahead = np.sign(flat[:, :, None] - flat[:, None, :])[(right[:, :, None] == 1) & (right[:, None, :] == 0)]
    agreement = float((ahead + 1).mean() / 2) if len(ahead) else None  # a tie is half an agreement
    return Verified(n=len(rows), right=dict(zip(pool, shares, strict=True)), agreement=agreement, pairs=len(ahead))
