"""Traffic: its empty state, and a report on traffic of the session's fleet."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from support.app_pages import Open, charts, let_manage, words
from support.invented_traffic import add_days
from zooter_core.config.fleet import load_fleet
from zooter_core.learn.traffic import Traffic, data_folder
from zooter_core.learn.versions import Versions, lock_learner
from zooter_core.ui.traffic import champions, view


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))


@pytest.fixture
def traffic(tiny_fleet: Path) -> None:
    """Three days of the fleet."""
    fleet = load_fleet(tiny_fleet)
    add_days(data_folder(fleet), fleet.pool)


def test_without_traffic_it_says_how_to_get_some(open_page: Open, tiny_fleet: Path):
    page = open_page("traffic")
    assert [block.value for block in page.code] == [
        f"zooter serve --learn --fleet {tiny_fleet}", f"zooter learn import FILE --fleet {tiny_fleet}"
    ]  # fmt: skip
    assert not page.header
    with Traffic.open(data_folder(load_fleet(tiny_fleet))):  # a file without requests
        pass
    assert "No traffic yet" in words(page.run())


def test_what_users_wrote_is_hidden_from_others(open_page: Open, traffic, monkeypatch):
    monkeypatch.setattr(view, "is_local", lambda: False)
    page = open_page("traffic")
    assert "only on the machine where it runs" in words(page)
    assert not page.selectbox


def test_traffic_is_reported(open_page: Open, traffic, tiny_fleet):
    page = open_page("traffic")
    assert "always using" in words(page)
    assert "**Let the learner make a router whose probabilities hold.**" in " ".join(b.value for b in page.info)
    (command,) = (block.value for block in page.code)
    assert "zooter learn --fleet" in command
    steps = charts(page)["choices"]["data"][0]
    assert steps["width"] == 0.85 * 6 * 3_600_000  # six hours: a single step is no line either
    assert "The basis is 50 requests, drawn at random (25%)" in words(page)
    assert {title.value for title in page.header} >= {"Reward against cost", "Choices over time"}
    choices, worth = charts(page).values()
    assert worth["alt"].startswith("Mean reward against dollars per 1,000 answers")
    step, ends = timedelta(hours=6), [datetime.fromisoformat(end) for end in choices["layout"]["xaxis"]["range"]]
    assert {bar["width"] for bar in choices["data"]} == {850 * step.total_seconds()}
    assert all(datetime.fromisoformat(bar["x"][-1]) + step / 2 <= ends[1] for bar in choices["data"])
    assert ["The router is too unsure" in box.value for box in page.warning] == [True]
    assert ":material/thumb_up:" in words(page)
    box = page.selectbox(key="decision")
    assert box.value == "req-196"  # the newest one that every model answered
    assert "What is *196*?" in words(page)
    assert {f"{name} would say 196." for name in load_fleet(tiny_fleet).pool} <= {text.value for text in page.text}
    box.set_value("req-199").run()
    assert "No reward yet: `zooter learn` computes those of a share" in words(page)
    page.segmented_control(key="period").set_value("Last day").run()
    assert "too little data" in words(page)
    assert ". `zooter learn` lets all models answer" in words(page)
    assert "Too few requests were answered by every model" in words(page)
    assert not page.get("plotly_chart") or len(page.get("plotly_chart")) == 1


@pytest.fixture
def learned(fleet_copy: Path) -> Path:
    """A fleet with three days of traffic, whose learner has a challenger with three pairs."""
    versions = Versions(fleet := load_fleet(fleet_copy))
    add_days(data_folder(fleet), fleet.pool)
    versions.state.challenger = versions.add(
        lambda place: shutil.copytree(fleet_copy / "router", place, dirs_exist_ok=True)
    )
    versions.state.pairs = [1.0, 2.0, 3.0]
    versions.save()
    return fleet_copy


def test_promote_and_roll_back(open_page: Open, learned: Path, monkeypatch):
    let_manage(monkeypatch, "*")
    before = (learned / "fleet.toml").read_text()
    page = open_page("traffic", learned)
    assert "version 1 earned 2.00 more reward" in words(page)
    page.button(key="do-promote").click().run()
    assert load_fleet(learned).router.path == str(learned / "routers" / "0001")
    assert "Version 1 serves now." in " ".join(box.value for box in page.success)
    assert "was promoted in place of the trained router by hand" in words(page)
    page.button(key="do-rollback").click().run()
    assert (learned / "fleet.toml").read_text() == before
    assert "was rolled back to the trained router by hand" in words(page)


def test_a_switch_waits_for_a_turn_only_a_moment_and_others_have_no_buttons(
    open_page: Open, learned: Path, monkeypatch
):
    let_manage(monkeypatch, "*")
    monkeypatch.setattr(champions, "PATIENCE", 0.1)
    page = open_page("traffic", learned)
    with lock_learner(load_fleet(learned)):
        page.button(key="do-promote").click().run()
    assert "the learner of the fleet" in " ".join(box.value for box in page.error)
    assert load_fleet(learned).router.path == str(learned / "router")
    with monkeypatch.context() as others:
        others.setattr(champions, "is_local", lambda: False)  # other machines reach the page
        assert_no_buttons(page.run())
    let_manage(monkeypatch)  # nobody may change the fleet
    assert_no_buttons(page.run())


def assert_no_buttons(page: AppTest) -> None:
    assert "is its challenger" in words(page)
    assert not {box.key for box in page.button} & {"do-promote", "do-rollback"}


def test_a_learner_that_is_followed_has_nothing_to_promote_and_a_broken_one_is_an_error(
    open_page: Open, learned: Path, monkeypatch
):
    let_manage(monkeypatch, "*")
    versions = Versions(load_fleet(learned))
    versions.state.challenger, versions.state.follows = None, True
    versions.save()
    page = open_page("traffic", learned)
    assert "later routers serve too" in words(page)
    assert "do-promote" not in {box.key for box in page.button}
    (learned / "routers" / "state.json").write_text("{")
    (error,) = page.run().error
    assert "state.json" in error.value
