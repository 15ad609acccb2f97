from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support import tiny_models
from support.damaged_models import change_config
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.records import Query
from zooter_core.router.encoder import Encoders
from zooter_core.router.head import WEIGHTS
from zooter_core.router.kinds import LINEAR
from zooter_core.router.router import Router

POOL = ("base", "one", "two")
QUERIES = ["What is the sea?", "Add up 7 apples", "杯子 ☕"]


@pytest.fixture(scope="module")
def encoders() -> Encoders:
    return Encoders()


@pytest.fixture(scope="module")
def router(tiny_fleet: Path, encoders) -> Router:
    return Router.load(tiny_fleet / "router", encoders)


def test_decisions_have_the_probabilities_in_pool_order(router):
    decisions = router.route(QUERIES)
    table = router.outputs(QUERIES).probabilities
    assert [decision.query for decision in decisions] == QUERIES
    assert [tuple(decision.probabilities) for decision in decisions] == [POOL] * 3
    assert [list(decision.probabilities.values()) for decision in decisions] == table.tolist()
    assert [decision.candidate for decision in decisions] == [POOL[column] for column in table.argmax(axis=1)]
    margins = np.diff(np.sort(table, axis=1)[:, -2:]).ravel()
    assert [decision.margin for decision in decisions] == pytest.approx(margins)


@pytest.mark.parametrize("queries", ["Why?", [{"query": "Why?"}], [Query("1", "Why?")]])
def test_what_is_no_list_of_texts_is_refused(router, queries):
    with pytest.raises(ZooterError, match=r"a list of queries|queries as texts, but found (dict|Query)"):
        router.route(queries)


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *(("config.json", damage) for damage in (Path.unlink, shorten, lambda path: path.write_text("[1, 2]"))),
        *(("model.safetensors", damage) for damage in (Path.unlink, shorten)),
    ],
)
def test_broken_router_is_one_clear_error(fleet_copy, encoders, name, damage):
    damage(fleet_copy / "router" / name)
    with pytest.raises(ZooterError) as caught:
        Router.load(fleet_copy / "router", encoders)
    assert str(fleet_copy / "router") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "step"), [("zooter", "`zooter exam`"), (LINEAR, "`zooter learn rollback`"), (3, "exam")]
)
def test_a_damaged_router_names_the_command_that_replaces_it(fleet_copy, encoders, kind, step):
    change_config(fleet_copy / "router", kind=kind)
    (fleet_copy / "router" / WEIGHTS).write_bytes(b"")
    with pytest.raises(WorkError, match=step):
        Router.load(fleet_copy / "router", encoders)


def test_the_folder_of_a_fleet_or_a_run_is_no_router_but_holds_one(fleet_copy, encoders):
    with pytest.raises(ZooterError, match=rf"no config.json there. Name the folder {fleet_copy}/router"):
        Router.load(fleet_copy, encoders)


@pytest.mark.parametrize(
    "change",
    [
        {"candidates": ["base", "one"]},
        {"settings": {"hidden": 8, "dropout": 0.5, "members": 2}},
        {"settings": None},
        {"kind": "auto", "settings": {"parts": 3}},
        {"calibration_temperature": "hot"},
    ],
)
def test_config_that_does_not_fit_the_weights_is_one_clear_error(fleet_copy, encoders, change):
    change_config(fleet_copy / "router", **change)
    with pytest.raises(WorkError, match="a whole router in"):
        Router.load(fleet_copy / "router", encoders)


def test_a_query_whose_logits_overflow_is_no_choice(fleet_copy, encoders, monkeypatch):
    """The first text worked, this one does not."""
    router = Router.load(fleet_copy / "router", encoders)
    huge = np.full((1, 64), 3e38, dtype=np.float32) * np.where(np.arange(64) % 2, 1, -1).astype(np.float32)
    with pytest.raises(WorkError, match=r"finite probabilities from the router in .*fleet/router"):
        router.head.probabilities(huge)


def test_a_pool_of_one_candidate_routes(tmp_path, tiny_fleet, encoders):
    tiny_models.save_router(tmp_path, ("alone",), tiny_fleet / "encoder")
    (decision,) = Router.load(tmp_path, encoders).route(QUERIES[:1])
    assert (decision.candidate, decision.probabilities, decision.margin) == ("alone", {"alone": 1.0}, 1.0)
