"""A refit: the traffic's queries and rewards -> a router in the ordinary format.

The learner starts from nothing and reads the latest stored decisions. So deleted data leaves the learner too, and a
killed process leaves no partial state. Neither PyTorch nor transformers is loaded.
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

MOST = 20_000  # the latest decisions, from which a refit learns
AT_ONCE = 16  # queries that are embedded before their vectors are stored
TRIAL = 50  # queries with all rewards; with fewer, probabilities are not calibrated


@dataclass(frozen=True)
class Material:
    """Decisions of the router in their order, and the rewards that are known, shape (n, m) in pool order; NaN where
    there is none.
    """

    decisions: Sequence[LoggedDecision]
    rewards: Array  # on the reward model's scale; a person's verdict replaces the model's
    judged: Array  # by the reward model alone
    # Rewards of newcomers for the same queries, and when they came.
    late: Array
    late_times: Array

    @classmethod
    def read(cls, traffic: Traffic, pool: Sequence[str]) -> Material:
        """The latest useful decisions."""
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
        alone = np.isnan(model) & ~np.isnan(outcomes)  # only a person judged the answer
        rewards[alone] = level[0] + level[1] * (2 * outcomes[alone] - 1)
        rewards[~np.isnan(late)] = model[~np.isnan(late)] = np.nan
        return cls(decisions, rewards, model, late, times)


def embed_decisions(encoder: TextEncoder, decisions: Sequence[LoggedDecision], traffic: Traffic) -> NDArray[np.float32]:
    """The vectors of decisions in the order of their numbers, shape (n, width). The traffic has them afterwards, and
    none of earlier decisions."""
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
    """Learn from the champion's training queries, then from the traffic, then from people's feedback.

    Args:
        vectors: the decisions' vectors, shape (n, width).
        start: the training queries' vectors and rewards, shapes (t, width) and (t, m); None if there are none.

    Returns:
        what predicts rewards for vectors, and the temperature that divides them before the softmax.
    """
    if start is None:
        start = vectors, np.full(material.judged.shape, np.nan)
    learner = Learner(*start)
    times = np.maximum.accumulate([one.time for one in material.decisions])

    def catch_up(since: float, until: float) -> None:
        """Newcomers' rewards that came in a span of time, for queries before it."""
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
    """The temperature that calibrates probabilities on queries that all candidates answered; 1 if there are few."""
    rows = ~np.isnan(rewards).any(axis=1)
    if rows.sum() < TRIAL or rewards.shape[1] < 2:
        return 1.0
    return fit_temperature(router(vectors[rows].astype(np.float64)), win_shares(rewards[rows]))


def write_router(folder: Path, router: Linear, temperature: float, pool: Sequence[str], encoder: str | Path) -> None:
    """Write the folder of a linear router, in the format of `zooter distill`. It gets a link to a fine-tuned encoder,
    which is named by its folder."""
    if isinstance(encoder, Path):
        (folder / ENCODER_FOLDER).symlink_to(os.path.relpath(encoder, folder.resolve()), target_is_directory=True)
        encoder = ENCODER_FOLDER
    width = len(router.weight)
    head = RouterHead(RouterHeadConfig(pool, encoder, width, LINEAR, calibration_temperature=temperature))
    head.set_state({name: array.astype(np.float32) for name, array in vars(router).items()})
    head.save(folder)


def read_linear(folder: Path) -> tuple[Linear, list[str]]:
    """The weights of a router that `write_router` wrote, and its candidates. Raises ZooterError if a file is missing or
    damaged."""
    head = RouterHead.load(folder)
    linear = Linear(**{name: array.astype(np.float64) for name, array in head.body.state.items()})
    return linear, list(head.config.candidates)
