"""Refits: trains a router in the usual format on the queries and rewards of the traffic.

Each refit starts from scratch and reads the latest stored decisions. So deleted data no longer affects the router, and
a killed process leaves no partial state. Neither PyTorch nor transformers is loaded.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zooter_core.learn.learner import CHUNK, Learner
from zooter_core.learn.traffic import USEFUL, Traffic
from zooter_core.learn.traffic_rows import FEEDBACK, MODEL, NEWCOMER, LoggedDecision
from zooter_core.method.calibration import fit_temperature
from zooter_core.method.metrics import win_shares
from zooter_core.method.partial_rewards import Array, Linear
from zooter_core.method.verified import mean_and_deviation, verified_rewards
from zooter_core.router.encoder import TextEncoder
from zooter_core.router.head import ENCODER_FOLDER, RouterHead, RouterHeadConfig
from zooter_core.router.kinds import LINEAR

MOST = 20_000  # the most decisions for a refit, which uses the latest ones
AT_ONCE = 16  # queries whose vectors are computed and stored together
TRIAL = 50  # the least number of queries with all rewards for calibrating probabilities


@dataclass(frozen=True)
class Material:
    """The router's decisions in order, and their rewards, shape (n, m) in pool order, NaN where a reward is missing."""

    decisions: Sequence[LoggedDecision]
    rewards: Array  # on the reward model's scale; feedback replaces the model's rewards
    judged: Array  # the reward model's rewards only
    # Rewards of newcomers for the same queries, and their times.
    late: Array
    late_times: Array

    @classmethod
    def read(cls, traffic: Traffic, pool: Sequence[str]) -> Material:
        """Read the latest useful decisions and their rewards."""
        decisions = traffic.newest(MOST, USEFUL)[::-1]
        shape = (len(decisions), len(pool))
        model, outcomes, late, times = (np.full(shape, np.nan) for _ in range(4))
        rows = {one.request_id: row for row, one in enumerate(decisions)}
        columns = {name: column for column, name in enumerate(pool)}
        for reward in traffic.rewards_for(list(rows)):
            if reward.candidate in columns:
                place = rows[reward.request_id], columns[reward.candidate]
                if reward.source == MODEL:
                    model[place] = reward.reward
                elif reward.source == FEEDBACK:
                    outcomes[place] = (min(max(reward.reward, -1.0), 1.0) + 1) / 2
                if reward.why == NEWCOMER:
                    late[place], times[place] = reward.reward, reward.time
        level = mean_and_deviation(model) if (~np.isnan(model)).sum() > 1 else (0.0, 1.0)
        rewards = verified_rewards(model, outcomes, level)
        alone = np.isnan(model) & ~np.isnan(outcomes)  # answers with feedback only
        rewards[alone] = level[0] + level[1] * (2 * outcomes[alone] - 1)
        rewards[~np.isnan(late)] = model[~np.isnan(late)] = np.nan
        return cls(decisions, rewards, model, late, times)


def embed_decisions(encoder: TextEncoder, decisions: Sequence[LoggedDecision], traffic: Traffic) -> NDArray[np.float32]:
    """The vectors of decisions in the order of their numbers, shape (n, width).

    New vectors are stored in the traffic file, and those of earlier decisions are deleted from it.
    """
    vectors = np.full((len(decisions), 2 * encoder.width), np.nan, dtype=np.float32)
    rows = {one.number: row for row, one in enumerate(decisions)}
    traffic.drop_vectors(min(rows, default=0))
    for number, vector in traffic.vectors(encoder.identity):
        if number in rows:
            vectors[rows[number]] = np.frombuffer(vector, dtype=np.float32)
    missing = np.flatnonzero(np.isnan(vectors[:, 0])).tolist()
    for first in range(0, len(missing), AT_ONCE):
        part = missing[first : first + AT_ONCE]
        vectors[part] = encoder.embed([decisions[row].routed_text for row in part])
        traffic.add_vectors(encoder.identity, [(decisions[row].number, vectors[row].tobytes()) for row in part])
    return vectors


def refit(
    material: Material,
    vectors: NDArray[np.float32],
    start: tuple[NDArray[np.float32], Array] | None = None,
) -> tuple[Linear, float]:
    """Fit a linear router to the champion's training queries, then to the traffic, then to people's feedback.

    Args:
        vectors: the decisions' vectors, shape (n, width).
        start: the training queries' vectors and rewards, shapes (t, width) and (t, m); None if there are none.

    Returns:
        The router, which predicts rewards, and the temperature that divides them before the softmax.
    """
    if start is None:
        start = vectors, np.full(material.judged.shape, np.nan)
    learner = Learner(*start)
    times = np.maximum.accumulate([one.time for one in material.decisions])

    def catch_up(since: float, until: float) -> None:
        """Learn from newcomers' rewards from this span of time, which are for earlier queries."""
        here = (material.late_times >= since) & (material.late_times < until)
        rows = here.any(axis=1)
        if rows.any():
            learner.catch_up(vectors[rows], np.where(here, material.late, np.nan)[rows])

    last = -math.inf
    for first in range(0, len(times), CHUNK):
        rows = slice(first, first + CHUNK)
        catch_up(last, times[first])
        learner.observe(vectors[rows], material.judged[rows])
        last = times[first]
    catch_up(last, math.inf)
    learner.heed(vectors, material.rewards, material.judged, [one.key for one in material.decisions])
    router = learner.router()
    return router, _temperature(router, vectors, material.judged)


def _temperature(router: Linear, vectors: NDArray[np.float32], rewards: Array) -> float:
    """The temperature that calibrates probabilities on queries that all candidates answered; 1 if these are few."""
    rows = ~np.isnan(rewards).any(axis=1)
    if rows.sum() < TRIAL or rewards.shape[1] < 2:
        return 1.0
    return fit_temperature(router(vectors[rows].astype(np.float64)), win_shares(rewards[rows]))


def write_router(folder: Path, router: Linear, temperature: float, pool: Sequence[str], encoder: str | Path) -> None:
    """Write the folder of a linear router in the format of `zooter distill`.

    Args:
        encoder: the reference of an encoder, or the folder of a fine-tuned encoder, to which the router's folder gets a
            link.
    """
    if isinstance(encoder, Path):
        (folder / ENCODER_FOLDER).symlink_to(os.path.relpath(encoder, folder.resolve()), target_is_directory=True)
        encoder = ENCODER_FOLDER
    width = len(router.weight)
    head = RouterHead(RouterHeadConfig(pool, encoder, width, LINEAR, calibration_temperature=temperature))
    head.set_state({name: array.astype(np.float32) for name, array in vars(router).items()})
    head.save(folder)


def read_linear(folder: Path) -> tuple[Linear, list[str]]:
    """The weights and the candidates of a router from `write_router`.

    Raises:
        ZooterError: a file is missing or damaged.
    """
    head = RouterHead.load(folder)
    linear = Linear(**{name: array.astype(np.float64) for name, array in head.body.state.items()})
    return linear, list(head.config.candidates)
