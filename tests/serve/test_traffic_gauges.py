"""The gauges of the traffic, by traffic whose truth is known, and through `GET /metrics`."""

from __future__ import annotations

import gc
import math
import time
import weakref

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import FEEDBACK, SAMPLE, LoggedDecision, LoggedReward
from zooter_core.serve import traffic_gauges
from zooter_core.serve.traffic_gauges import (
    CALIBRATION,
    DAY,
    GAUGES,
    JUDGED,
    REWARD,
    REWARDS,
    SAMPLED,
    UNLIKE,
    TrafficGauges,
)  # fmt: skip

PATIENCE = 60.0  # seconds, on a busy machine
NOW = 1_750_000_000.0


def fill(traffic, pool, now):
    """Eight days, 10 sampled requests a day: the first model is always chosen and best, but worth 2 less today."""
    for number in range(80):
        moment, name = now - 8 * DAY + (number + 0.5) * DAY / 10, f"r{number}"
        traffic.add(
            LoggedDecision(
                name, moment, f"query {number}", choice=pool[0], candidate=pool[0], probability=0.7,
                probabilities={pool[0]: 0.7, **dict.fromkeys(pool[1:], 0.3 / (len(pool) - 1))},
            )
        )  # fmt: skip
        fall = 2.0 if moment > now - DAY else 0.0
        traffic.add_rewards(
            LoggedReward(name, who, 5.0 - fall if who == pool[0] else 0.0, why=SAMPLE, inclusion=0.5, time=moment)
            for who in pool
        )
    traffic.add_rewards([LoggedReward("r0", pool[0], 1.0, FEEDBACK, time=now)])


def test_what_the_gauges_show(tmp_path, tiny_fleet):
    ensemble, registry = Ensemble(load_fleet(tiny_fleet)), CollectorRegistry()
    pool = ensemble.fleet.pool
    gauges = TrafficGauges(tmp_path / "none", lambda: ensemble, registry)
    gauges.close()
    with Traffic.open(tmp_path / "data") as traffic:
        fill(traffic, pool, NOW)
        gauges.refresh(traffic, NOW)
    of = {"model": pool[0], "answers": SAMPLE}
    assert registry.get_sample_value(REWARD, of | {"period": "day"}) == pytest.approx(3.0)
    assert registry.get_sample_value(REWARD, of | {"period": "week"}) == pytest.approx(5.0)
    assert registry.get_sample_value(REWARDS, of | {"period": "day"}) == pytest.approx(10, abs=1)
    assert registry.get_sample_value(SAMPLED) == 70
    assert registry.get_sample_value(CALIBRATION) == pytest.approx(0.3)  # 0.7 stated, always the best
    assert registry.get_sample_value(JUDGED) == NOW - DAY / 20  # feedback is no judgement
    unlike = registry.get_sample_value(UNLIKE)
    assert math.isnan(unlike) or 0 <= unlike <= 1
    replaced = weakref.ref(ensemble)
    ensemble = None
    gc.collect()
    assert replaced() is None  # a fleet that was replaced leaves the memory before the next refresh


def test_without_traffic_they_are_not_numbers(tmp_path, tiny_fleet):
    ensemble, registry = Ensemble(load_fleet(tiny_fleet)), CollectorRegistry()
    TrafficGauges(tmp_path, lambda: ensemble, registry).close()
    for name, (_, labels) in GAUGES.items():
        if not labels and name != SAMPLED:
            assert math.isnan(registry.get_sample_value(name))


def shown(endpoint):
    families = text_string_to_metric_families(endpoint.client.get("/metrics").text)
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_they_are_there_only_where_traffic_is_kept(serve, monkeypatch):
    monkeypatch.setattr(traffic_gauges, "EVERY_SECONDS", 0.1)
    assert not {name for name in shown(serve("good")) if name.startswith("zooter_traffic_")}
    endpoint = serve("good", options={"learn": True})
    until = time.monotonic() + PATIENCE
    while shown(endpoint)[SAMPLED] != 0 and time.monotonic() < until:
        time.sleep(0.1)
    assert shown(endpoint)[SAMPLED] == 0
    assert math.isnan(shown(endpoint)[JUDGED])
