"""The order of responses whose outcomes are verified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from zooter_core.base.records import Ranked
from zooter_core.data.evident_keys import asks_form_alone
from zooter_core.evaluation.verified import verify
from zooter_core.evaluation.verified.form import lacking

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

    def order(item: Ranked) -> tuple[float, int]:
        if form and item.reward is not None:
            return FORM_LOSS * (item.right is False) - item.reward, item.rank or 0
        return float(not item.right), item.rank or 0

    placed = sorted((item for item in judged if item.rank is not None), key=order)
    orders = list(map(order, placed))
    places = {id(item): replace(item, rank=1 + orders.index(order(item))) for item in placed}
    return [*places.values(), *(item for item in judged if id(item) not in places)]
