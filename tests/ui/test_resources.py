"""The fleets behind the demo: which can be picked, when each is loaded, and which pages the navigation shows."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from streamlit.testing.v1 import AppTest

from support.patience import PATIENCE, wait_until
from zooter_core.backends import Backend
from zooter_core.backends.local.transformers import TransformersBackend
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Message
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import Fleet, load_fleet
from zooter_core.labelling import rewards
from zooter_core.learn.traffic import FILE, data_folder
from zooter_core.ui import resources

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def beside(tiny_fleet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three fleets: one that works, one of the same name elsewhere, one whose router is to be made."""
    models = tmp_path / "models"
    for name in ("first", "unmade"):
        shutil.copytree(tiny_fleet, models / name)
    shutil.copytree(tiny_fleet, tmp_path / "elsewhere" / "first")
    file = models / "unmade" / "fleet.toml"
    file.write_text(file.read_text().replace('[router]\npath = "router"', ""))
    monkeypatch.setattr(resources, "MODELS", models)
    monkeypatch.setenv("ZOOTER_FLEET", str(tmp_path / "elsewhere" / "first"))
    resources._loading.clear()
    resources._loaded.clear()
    return models


def opened(fleet: str = "") -> AppTest:
    """The demo in a new session, at an address that may name a fleet."""
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE)
    if fleet:
        page.query_params["fleet"] = fleet
    assert not page.run().exception
    return page


def test_the_named_fleet_comes_first_and_one_without_a_router_cannot_be_picked(beside: Path) -> None:
    fleets = resources.fleets()
    assert list(fleets) == ["first", "models/first", "unmade"]
    assert fleets["first"].endswith("elsewhere/first")
    page = opened("../../etc")
    assert page.selectbox(key="fleet").options == ["first", "models/first"]
    assert page.selectbox(key="fleet").value == "first"
    assert set(resources._loaded()) == {str(beside.parent / "elsewhere" / "first")}
    page.selectbox(key="fleet").set_value("models/first").run()
    assert str(beside / "first") in resources._loaded()
    assert not page.exception


def test_a_fleet_that_only_an_address_names_is_loaded_after_a_click(beside: Path) -> None:
    page = opened("models/first")
    assert page.selectbox(key="fleet").value == "models/first"
    assert "has not loaded" in page.info[0].value
    assert not resources._loaded()
    page.button(key="load-fleet").click().run()
    assert set(resources._loaded()) == {str(beside / "first")}
    assert not page.info
    assert not page.exception


@pytest.mark.parametrize("slow", [(TransformersBackend, "load"), (rewards, "reward_model")])
def test_a_query_can_be_routed_before_the_models_are_loaded(
    tiny_fleet: Path, monkeypatch: pytest.MonkeyPatch, slow: tuple[object, str]
) -> None:
    go, started, routed = threading.Event(), threading.Event(), threading.Event()

    def blocked_load(*_: object) -> NoReturn:
        started.set()
        go.wait(PATIENCE)
        raise ZooterError("a model", "none", "")

    monkeypatch.setattr(*slow, blocked_load)
    fleet = load_fleet(tiny_fleet)
    loading = resources.Loading(fleet, {}, {"": fleet})

    def route() -> None:
        loading.ensemble.route([Message("user", "What is 2 + 3?")])
        routed.set()

    try:
        assert loading.ready.wait(PATIENCE)
        assert started.wait(PATIENCE)
        threading.Thread(target=route, daemon=True).start()
        assert routed.wait(PATIENCE)
    finally:
        go.set()


def test_a_fleet_that_is_loaded_again_leaves_no_model_that_nobody_needs(
    tiny_fleet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "PAUSE", 0)
    fleet = load_fleet(tiny_fleet)
    shutil.copytree(fleet.candidates[0].model, tmp_path / "other")
    elsewhere = replace(fleet, candidates=tuple(replace(c, model=str(tmp_path / "other")) for c in fleet.candidates))
    running: dict[str, Backend] = {}

    def loaded_bases(fleet: Fleet, *others: Fleet) -> int:
        loading = resources.Loading(fleet, running, dict(enumerate([fleet, *others])))
        loading.wait(PATIENCE)  # to its end, where it unloads what its fleets do not need
        assert loading.ensemble is not None
        assert len(loading.ensemble.loads) == len(fleet.pool)
        return len(running["transformers"].sizes())

    assert [loaded_bases(fleet), loaded_bases(elsewhere, fleet), loaded_bases(elsewhere)] == [1, 2, 1]


def test_a_model_that_leaves_the_fleet_while_it_loads_does_not_stay(
    tiny_fleet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "PAUSE", 0)
    fleet, go, load = load_fleet(tiny_fleet), threading.Event(), TransformersBackend.load
    shutil.copytree(fleet.candidates[0].model, tmp_path / "other")
    removed = replace(fleet.candidates[0], model=str(tmp_path / "other"))
    running: dict[str, Backend] = {}
    loaded = {"": replace(fleet, candidates=(removed, *fleet.candidates[1:]))}

    def slow_load(backend: TransformersBackend, candidate: CandidateConfig) -> None:
        assert candidate != removed or go.wait(PATIENCE)
        load(backend, candidate)

    monkeypatch.setattr(TransformersBackend, "load", slow_load)
    first = resources.Loading(loaded[""], running, loaded)
    assert first.ready.wait(PATIENCE)
    loaded[""] = fleet
    second = resources.Loading(fleet, running, loaded)
    wait_until(lambda: second.ensemble is not None and len(second.ensemble.loads) == len(fleet.pool))
    go.set()
    for loading in (first, second):
        loading.wait(PATIENCE)
    assert len(running["transformers"].sizes()) == 1


ALWAYS = ["Chat", "Compare", "Models", "Explorer", "Train", "Benchmark"]


def shown() -> list[str]:
    """The pages in the row of links."""
    return [link.proto.label for link in opened().get("page_link")]


def test_traffic_is_in_the_navigation_where_there_is_traffic(
    tiny_fleet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "MODELS", tmp_path)
    monkeypatch.setenv("ZOOTER_FLEET", str(tiny_fleet))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert shown() == ALWAYS
    folder = data_folder(load_fleet(tiny_fleet))
    folder.mkdir(parents=True)
    (folder / FILE).touch()  # its content is the page's business
    assert shown() == [*ALWAYS[:3], "Traffic", *ALWAYS[3:]]


def test_a_fleet_that_cannot_be_read_has_a_navigation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fleet.toml").write_text("name = [")
    monkeypatch.setenv("ZOOTER_FLEET", str(tmp_path))
    assert shown() == ALWAYS
