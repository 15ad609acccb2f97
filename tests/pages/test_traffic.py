"""Traffic: its empty state, the sample day, and a report on traffic of the session's fleet."""

from __future__ import annotations

import gc
import shutil
import time
from pathlib import Path

import pytest

from support.app_pages import Open, labels, words
from zooter_core.config.fleet import load_fleet
from zooter_core.learn.by_hand import lock_learner
from zooter_core.learn.traffic import Traffic, data_folder
from zooter_core.learn.traffic_rows import SAMPLE, LoggedDecision, LoggedReward
from zooter_core.learn.versions import Versions
from zooter_core.ui.traffic import champions, source

DAY = 86_400.0


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))


@pytest.fixture
def traffic(tiny_fleet: Path) -> Traffic:
    """Three days in which the first model answers and is liked best; every fourth request is sampled."""
    pool = load_fleet(tiny_fleet).pool
    begin, n = time.time() - 3 * DAY, 200
    with Traffic.open(data_folder(load_fleet(tiny_fleet).name)) as opened:
        for number in range(n):
            moment, name = begin + 3 * DAY * number / n, f"req-{number}"
            chances = dict.fromkeys(pool, 1 / len(pool))
            entry = LoggedDecision(
                name, moment, f"What is *{number}*?", choice=pool[0], candidate=pool[0], probability=1 / len(pool),
                probabilities=chances, reason="router", dollars=0.001, seconds=1.5, tokens=7, answer="It is <b>.",
            )  # fmt: skip
            opened.add(entry)
            rewards = [
                LoggedReward(name, who, (who == pool[0]) + number % 3, why=SAMPLE, inclusion=0.25, time=moment,
                             dollars=0.002, seconds=1.0, answer=f"{who} would say {number}.")
                for who in pool
            ]  # fmt: skip
            opened.add_rewards(rewards if number % 4 == 0 else [])
    return opened


def test_a_file_without_requests_is_as_good_as_none(open_page: Open, tiny_fleet: Path):
    with Traffic.open(data_folder(load_fleet(tiny_fleet).name)):
        pass
    page = open_page("traffic")
    assert "No traffic yet" in words(page)
    assert "sample day" in words(page)


def test_what_users_wrote_is_hidden_from_others(open_page: Open, traffic, monkeypatch):
    monkeypatch.setattr(source, "LOCAL", ())
    page = open_page("traffic")
    assert "only on the machine where it runs" in words(page)
    assert "sample day" in words(page)
    assert "What is *1" not in " ".join(str(option) for box in page.selectbox for option in box.options)


def test_traffic_is_reported(open_page: Open, traffic, tiny_fleet):
    page = open_page("traffic")
    assert not page.code
    assert "always using" in words(page)
    assert "This rests on 50 requests, drawn at random (25%)" in words(page)
    assert "Report (HTML)" in {button.proto.label for button in page.get("download_button")} | labels(page)
    box = page.selectbox(key="decision")
    assert box.value == "req-196"  # the newest one that every model answered
    assert "What is *196*?" in words(page)
    assert {f"{name} would say 196." for name in load_fleet(tiny_fleet).pool} <= {text.value for text in page.text}
    box.set_value("req-199").run()
    assert "No reward yet" in words(page)
    page.segmented_control(key="period").set_value("Last day").run()
    assert "too little data" in words(page)
    assert "Too few requests were answered by every model" in words(page)
    assert not page.get("echarts_chart") or len(page.get("echarts_chart")) == 1


def test_without_traffic_it_says_how_to_begin_and_shows_a_sample_day(open_page: Open, tiny_fleet: Path, monkeypatch):
    monkeypatch.setenv("ZOOTER_MANAGE", "*")
    page = open_page("traffic")
    assert any(block.value == f"zooter serve --learn --fleet {tiny_fleet}" for block in page.code)
    assert {title.value for title in page.subheader} >= {"Reward against time", "Choices over time"}
    text = words(page)
    for part in (
        "sample day", "every model answered", "warning", "was promoted in place of", "was rolled back to",
        "The previous router (until ", ":material/thumb_up:",
    ):  # fmt: skip
        assert part in text
    assert page.get("echarts_chart")[1].proto.alt.startswith("Mean reward against seconds per answer")
    assert page.warning
    assert not {box.key for box in page.button} & {"do-promote", "do-rollback"}
    box = page.selectbox(key="tag")
    assert len(box.options) > 5
    box.set_value(box.options[1]).run()
    page.toggle(key="sample").set_value(False).run()
    assert not page.subheader


def test_the_folder_of_the_sample_day_goes_when_nobody_needs_it():
    folder = source.of_sample().folder
    assert folder.is_dir()
    source._sample_folder.clear()
    gc.collect()
    assert not folder.exists()


@pytest.fixture
def learned(fleet_copy: Path, traffic: Traffic) -> Path:
    """A copy of the fleet whose learner has a challenger with three pairs."""
    versions = Versions(load_fleet(fleet_copy))
    versions.state.challenger = versions.add(
        lambda place: shutil.copytree(fleet_copy / "router", place, dirs_exist_ok=True)
    )
    versions.state.pairs = [1.0, 2.0, 3.0]
    versions.save()
    return fleet_copy


def test_promote_and_roll_back(open_page: Open, learned: Path, monkeypatch):
    monkeypatch.setenv("ZOOTER_MANAGE", "*")
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


def test_a_switch_waits_for_a_turn_only_a_moment(open_page: Open, learned: Path, monkeypatch):
    monkeypatch.setenv("ZOOTER_MANAGE", "*")
    monkeypatch.setattr(champions, "PATIENCE", 0.1)
    page = open_page("traffic", learned)
    with lock_learner(load_fleet(learned)):
        page.button(key="do-promote").click().run()
    assert "the learner of the fleet" in " ".join(box.value for box in page.error)
    assert load_fleet(learned).router.path == str(learned / "router")


@pytest.mark.parametrize("address", [True, False])
def test_others_have_no_buttons(open_page: Open, learned: Path, monkeypatch, address):
    if address:  # that other machines reach, though its owner lets visitors manage the fleet
        monkeypatch.setenv("ZOOTER_MANAGE", "*")
        monkeypatch.setattr(champions, "LOCAL", ())
    page = open_page("traffic", learned)
    assert "is its challenger" in words(page)
    assert not {box.key for box in page.button} & {"do-promote", "do-rollback"}


def test_a_learner_that_is_followed_has_nothing_to_promote(open_page: Open, learned: Path, monkeypatch):
    monkeypatch.setenv("ZOOTER_MANAGE", "*")
    versions = Versions(load_fleet(learned))
    versions.state.challenger, versions.state.follows = None, True
    versions.save()
    page = open_page("traffic", learned)
    assert "later routers serve too" in words(page)
    assert "do-promote" not in {box.key for box in page.button}


def test_a_broken_state_is_one_message(open_page: Open, learned: Path):
    (learned / "routers" / "state.json").write_text("{")
    page = open_page("traffic", learned)
    assert "state.json" in " ".join(box.value for box in page.error)
