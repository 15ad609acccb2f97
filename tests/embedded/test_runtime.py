"""The embedded fleet's router on each runtime: ONNX Runtime gives the same probabilities, and with 7 bits nearly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.reward_graph import open_reward
from zooter_core.labelling.rewards import reward_model
from zooter_core.router.encoder import Encoders
from zooter_core.router.router import Router

DATA = Path(__file__).resolve().parents[1] / "data"
FILES = ("evident_queries.jsonl", "more_evident_queries.jsonl")
QUERIES = [json.loads(line)["query"] for name in FILES for line in (DATA / name).read_text("utf-8").splitlines()]
# The candidates chosen for QUERIES, each by its first letter: chat, math, code, writer.
CHOICES = (DATA / "embedded_choices.txt").read_text("utf-8").split()


def probabilities(router: Router) -> np.ndarray:
    """Of QUERIES, one after the other: a runtime counts where a call has few texts."""
    return np.concatenate([router.probabilities([query]) for query in QUERIES])


def choices(router: Router, table: np.ndarray) -> str:
    return "".join(router.candidates[column][0] for column in table.argmax(axis=1))


@pytest.fixture(scope="module")
def on_torch(embedded: Ensemble) -> Router:
    assert embedded.fleet.router is not None
    return Router.load(embedded.fleet.router.path, Encoders("torch"))


@pytest.fixture(scope="module")
def exact(on_torch: Router) -> np.ndarray:
    """The probabilities on PyTorch."""
    return probabilities(on_torch)


def test_the_embedded_routers_choices_stay(on_torch: Router, exact: np.ndarray) -> None:
    assert choices(on_torch, exact) == "".join(CHOICES)


def test_every_runtime_chooses_alike(embedded: Ensemble, exact: np.ndarray, figures: list[str]) -> None:
    """With 7-bit weights, as `zooter serve` routes, a choice between two that are nearly equal may be the other one."""
    assert embedded.router.encoder.runtime == "onnx"  # the default
    assert probabilities(embedded.router) == pytest.approx(exact, abs=1e-5)
    assert embedded.fleet.router is not None
    int8 = Router.load(embedded.fleet.router.path, Encoders("int8")).for_pool(embedded.fleet.pool)
    assert int8.encoder.runtime == "int8"
    table = probabilities(int8)
    off, rows = np.abs(table - exact).max(axis=1), np.arange(len(exact))
    lost = exact.max(axis=1) - exact[rows, table.argmax(axis=1)]
    figures.append(
        f"with int8 and on torch, {len(QUERIES)} queries: probabilities {np.median(off):.4f} apart (median), at most "
        f"{off.max():.4f}; {np.count_nonzero(lost)} other choices, with at most {lost.max():.3f} less"
    )
    assert off.max() < 0.1
    assert np.mean(lost > 0) < 0.03
    assert lost.max() < 0.05


def test_the_graph_of_the_reward_model_gives_the_rewards_of_pytorch(embedded: Ensemble) -> None:
    """On this project's cases; the graph takes a few seconds, once for all tests that use the same cache."""
    config = embedded.fleet.reward
    assert config is not None
    model = open_reward(config)
    assert model is not None
    cases = [json.loads(line) for line in (DATA / "sensible_responses.jsonl").read_text("utf-8").splitlines()]
    pairs = [(case["query"], case[kind]) for case in cases for kind in ("sensible", "mismatched")]
    assert model.score(pairs) == pytest.approx(reward_model(config).score(pairs), abs=1e-4)
