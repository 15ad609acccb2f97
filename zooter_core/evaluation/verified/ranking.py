"""What verified outcomes change and show: the order of responses, and how well a reward model knows the right ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from zooter_core.base.records import Ranked
from zooter_core.data.evident_keys import asks_form_alone
from zooter_core.evaluation.figures import Verified
from zooter_core.evaluation.verified import verify
from zooter_core.evaluation.verified.form import lacking
from zooter_core.method.metrics import Array, mean

# What a response without its form loses of its reward. As a log-odds, it is then preferred in 12% of comparisons with
# one that is as good.
FORM_LOSS = 2.0


def verified_ranking(ranked: Sequence[Ranked], key: Mapping[str, Any]) -> list[Ranked]:
    """Responses with their outcomes: the right ones first, and those that are equally right as they were ranked.

    Where the key asks for a form alone, a response without it is wrong, and one that has it is not right for that: the
    order is that of the rewards, of which the wrong ones lose FORM_LOSS. Responses that failed have no outcome, and
    those without a reward still no rank.

    Raises:
        ZooterError: the key cannot be used here, as `verify` says.
    """
    judged, form = [], asks_form_alone(key)
    for item in ranked:
        if item.response.error is None:
            outcome = verify(item.response.text, key)
            missing = lacking(item.response.text, key["check"]) if form and not outcome.right else ""
            right = None if form and outcome.right else outcome.right
            item = replace(item, right=right, reason=outcome.reason, lacking=missing)
        judged.append(item)

    def order(item: Ranked) -> float:
        if form and item.reward is not None:
            return FORM_LOSS * (item.right is False) - item.reward
        return float(not item.right)

    placed = sorted((item for item in judged if item.rank is not None), key=order)
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
