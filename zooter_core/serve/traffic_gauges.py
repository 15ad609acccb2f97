"""What has changed in the traffic, as gauges for `GET /metrics`: only where traffic is kept (`--learn`).

A thread of low priority computes them every few minutes, so neither a scrape nor a request waits for them.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from weakref import ref

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Gauge

from zooter_core.base.errors import ZooterError
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.learn.drift import familiar, nearest, newest_routed
from zooter_core.learn.report import calibration_on
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import MODEL, SAMPLE, SERVED
from zooter_core.learn.traffic_sample import read_sample

LOG = logging.getLogger("zooter.serve")
EVERY_SECONDS = 300.0
DAY = 86_400.0
NICE = 10
MOST_SAMPLED = 2_000  # requests of the last 7 days whose probabilities are looked at
MOST_COMPARED, AT_ONCE = 100, 8  # newest requests that are compared with the training; so few run in one thread
UNLIKE, REWARD, REWARDS = "zooter_traffic_unlike_training_ratio", "zooter_traffic_mean_reward", "zooter_traffic_rewards"
CALIBRATION, SAMPLED = "zooter_traffic_calibration_error", "zooter_traffic_sampled_requests"
JUDGED = "zooter_traffic_last_judged_timestamp_seconds"
BY_MODEL = ("model", "period", "answers")
GAUGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    UNLIKE: ("Share of the newest requests unlike the router's training queries; 0.05 is usual.", ()),
    REWARD: ("Mean reward of a model's answers in the last day, and in the week before it.", BY_MODEL),
    REWARDS: ("How many rewards that mean is of.", BY_MODEL),
    CALIBRATION: ("Expected calibration error of the router's probabilities, 7 days.", ()),
    SAMPLED: ("Requests that every model answered, 7 days.", ()),
    JUDGED: ("When the latest reward was computed.", ()),
}


class TrafficGauges:
    """Gauges that are computed anew every few minutes, until `close`. Those without a value are NaN.

    Args:
        folder: of the traffic.
        ensemble: the fleet that answers now.
    """

    def __init__(self, folder: Path, ensemble: Callable[[], Ensemble], registry: CollectorRegistry) -> None:
        self._folder, self._ensemble, self._stop = folder, ensemble, threading.Event()
        self._gauges = {name: Gauge(name, text, labels, registry=registry) for name, (text, labels) in GAUGES.items()}
        for name, (_, labels) in GAUGES.items():
            if not labels:
                self._set(name, None)
        self._compared_by: ref[Ensemble] | None = None  # a fleet that was replaced must not stay in memory
        self._usual: tuple[NDArray[np.float32], float] | None = None
        self._similarity: dict[str, float] = {}  # by request; without texts or vectors
        self._thread = threading.Thread(target=self._run, name="gauges", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, as soon as it looks."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with suppress(OSError, AttributeError):  # Linux has a priority for each thread
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        failing = False
        while not self._stop.is_set():
            try:
                with Traffic.open(self._folder) as traffic:
                    self.refresh(traffic, time.time())
                failing = False
            except Exception as problem:  # of a file or a router that is at fault: others say so too
                if not failing:
                    LOG.warning("the gauges of the traffic are not computed: %s", problem)
                failing = True
            self._stop.wait(EVERY_SECONDS)

    def refresh(self, traffic: Traffic, now: float) -> None:
        """Compute them once."""
        self._set(JUDGED, traffic.judged())
        self._set(SAMPLED, float(len(traffic.sampled(now - 7 * DAY, math.inf))))
        calibrated = calibration_on(read_sample(traffic, now - 7 * DAY, now, MOST_SAMPLED))
        self._set(CALIBRATION, calibrated.error if calibrated else None)
        self._set_rewards(traffic, now)
        with suppress(ZooterError):  # a router without training queries that load
            self._set(UNLIKE, self._unlike(traffic, now))

    def _set_rewards(self, traffic: Traffic, now: float) -> None:
        for name in (REWARD, REWARDS):
            self._gauges[name].clear()
        for period, since, until in (("day", now - DAY, now), ("week", now - 8 * DAY, now - DAY)):
            sums: dict[tuple[str, str], tuple[int, float]] = {}
            for _, candidate, source, why, n, total, _ in traffic.reward_totals(since, until):
                if source == MODEL and why in (SAMPLE, SERVED):
                    before = sums.get((candidate, why), (0, 0.0))
                    sums[candidate, why] = before[0] + n, before[1] + total
            for (candidate, why), (n, total) in sums.items():
                self._gauges[REWARD].labels(candidate, period, why).set(total / n)
                self._gauges[REWARDS].labels(candidate, period, why).set(n)

    def _unlike(self, traffic: Traffic, now: float) -> float | None:
        """The share of the newest requests that are unlike the training; only new ones are embedded."""
        ensemble = self._ensemble()
        if self._compared_by is None or self._compared_by() is not ensemble:
            self._usual, self._similarity, self._compared_by = familiar(ensemble), {}, ref(ensemble)
        entries = newest_routed(traffic, now - 7 * DAY, math.inf, MOST_COMPARED)
        if self._usual is None or not entries:
            return None
        training, border = self._usual
        texts = {entry.request_id: entry.query for entry in entries}
        self._similarity = {name: value for name, value in self._similarity.items() if name in texts}
        new = [name for name in texts if name not in self._similarity]
        for first in range(0, len(new), AT_ONCE):
            if self._stop.is_set():
                return None
            part = new[first : first + AT_ONCE]
            values = nearest(ensemble, training, [texts[name] for name in part])
            self._similarity.update(zip(part, values.tolist(), strict=True))
        return float(np.mean(np.array(list(self._similarity.values())) < border))

    def _set(self, name: str, value: float | None) -> None:
        self._gauges[name].set(math.nan if value is None else value)
