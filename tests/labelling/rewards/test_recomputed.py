"""The embedded reward model with sums recomputed: a false one costs more than anything else that it sees there."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.labelling.rewards import PENALTY, Recomputed


class Length:
    """A reward model that likes long responses."""

    version = "1"

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [float(len(response)) for _, response in pairs]


def test_a_response_with_a_false_sum_has_less() -> None:
    right, wrong = "5 * 5 = 25", "5 * 5 = 24"
    assert Recomputed(Length()).score([("q", right), ("q", wrong)]) == [10.0, 10.0 - PENALTY]
    assert Recomputed(Length()).score([(f"Is {wrong}?", wrong)]) == [10.0]
    assert Recomputed(Length()).version != Length.version  # others are in the cache


@pytest.mark.models
def test_the_embedded_fleet_has_it() -> None:
    query = "Tom buys 6 pens at 4 dollars each and a pad for 3. What does he pay?"
    wrong = "6 * 4 = 26 and 26 + 3 = 29. He pays 29 dollars."
    right = "6 * 4 = 24 and 24 + 3 = 27. He pays 27 dollars."
    model = Ensemble(load_fleet(EMBEDDED_FLEET), light=True).reward_model
    rewards = model.score([(query, right), (query, wrong)])  # type: ignore[union-attr]
    assert rewards[0] > rewards[1] + 1
