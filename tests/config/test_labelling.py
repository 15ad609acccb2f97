from __future__ import annotations

import math

import pytest

from zooter_core.config.labelling import RewardConfig, TaggerConfig
from zooter_core.errors import ZooterError


@pytest.mark.parametrize(
    ("key", "value"),
    [("threshold", math.nan), ("threshold", math.inf), ("threshold", -1.5), ("most", 0), ("most", -1)],
)
def test_a_tagger_with_a_number_that_makes_no_sense_is_refused(key, value):
    with pytest.raises(ZooterError, match=rf"{key} of -?1 or above in \[tagger\] of fleet.toml, but found {value}"):
        TaggerConfig("nearest", vocabulary="tags.json", **{key: value})


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, -1.0])
def test_a_reward_model_with_a_time_that_makes_no_sense_is_refused(value):
    with pytest.raises(ZooterError, match=r"timeout_seconds above 0 in \[reward\] of fleet.toml"):
        RewardConfig("http", url="http://localhost/score", timeout_seconds=value)
