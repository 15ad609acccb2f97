"""Every rule of a report's recommendation, on traffic and on reports that differ from it in one thing."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from support.invented_traffic import DAY, against_best, fill_week
from zooter_core.config.fleet import load_fleet
from zooter_core.learn.advice import Setup, advise
from zooter_core.learn.changes import Change
from zooter_core.learn.report import TrafficReport, report_on
from zooter_core.learn.report_text import sentences
from zooter_core.learn.traffic import Traffic, data_folder
from zooter_core.learn.versions import Versions
from zooter_core.method.worth import Estimate

MINE = Setup("my fleet")


@pytest.fixture
def good(report: TrafficReport) -> TrafficReport:
    return replace(report, changes=[])


def gaining(report: TrafficReport, mean: float, error: float, cost: float, **more) -> TrafficReport:
    """The same with another gain over the best single model, another ratio of dollars, and other fields."""
    gain = Estimate(mean, mean - 2 * error, mean + 2 * error, error, 400)
    return against_best(report, gain, Estimate(cost, 0.9 * cost, 1.1 * cost, 0.05, 400), **more)


def change(kind: str, name: str) -> Change:
    return Change(kind, name, 0.05, 0.4, 3 * DAY, "It has changed.")


CASES = {  # kind -> the report, the setup, and parts of the advice
    "no traffic": (lambda good: replace(good, requests=0), MINE, ("zooter serve --fleet 'my fleet' --learn",)),
    "not routed": (
        lambda good: replace(good, routed=0), MINE, ('"auto"',),
    ),
    "no rewards": (lambda good: good, replace(MINE, rewards=False), ("[reward]", "'my fleet/fleet.toml'")),
    "fell": (lambda good: replace(good, changes=[change("reward", "code")]), MINE, ("code", "zooter check")),
    "switched": (
        lambda good: gaining(good, -0.5, 0.1, 1.0), replace(MINE, learned=6.5 * DAY), ("zooter report", "--since 12h"),
    ),
    "roll back": (
        lambda good: gaining(good, -0.5, 0.1, 1.0, since=DAY), replace(MINE, learned=1, guarded=True),
        ("zooter learn rollback",),
    ),
    "far": (
        lambda good: replace(good, changes=[change("far", "queries")]), MINE,
        ("It has changed.", "zooter learn --fleet"),
    ),
    "train": (lambda good: gaining(good, 0.0, 0.1, 1.0), replace(MINE, trained=False), ("zooter exam",)),
    "alone": (lambda good: gaining(good, -0.5, 0.1, 1.0), MINE, ("less reward", "http://127.0.0.1:8400")),
    "probabilities": (
        lambda good: replace(good, changes=[change("calibration", "probabilities")]), MINE,
        ("It has changed.", "zooter learn --fleet"),
    ),
    "more": (
        lambda good: gaining(good, 0.1, 0.1, 1.0), MINE,
        ("no significant difference", "a day", "zooter learn"),
    ),
    "nothing": (lambda good: good, MINE, ("nothing to do", "Routing earned")),
}  # fmt: skip


@pytest.mark.parametrize("kind", CASES)
def test_every_rule_has_its_case(good: TrafficReport, kind: str) -> None:
    change_of, setup, parts = CASES[kind]
    advice = advise(change_of(good), setup)
    assert advice.kind == kind
    text = f"{advice.sentence}\n{advice.reason}\n{advice.command}"
    assert [part for part in parts if part not in text] == []
    assert bool(advice.command) == (kind != "nothing")


@pytest.mark.parametrize(
    ("n", "share", "kind", "parts"),
    [
        (2000, 0.0, "not sampled", ("The first figures need 30 requests", "5% of those that are routed", "today's 2")),
        (2000, 0.01, "few", ("The first figures need", "more requests", "1% of", "days at today's 286 requests")),
        (200, 0.02, "few", ("weeks at today's 29 requests a day", "--share 0.1")),
    ],
)
def test_a_sample_that_is_too_small_says_how_long_it_takes(tmp_path, n, share, kind, parts) -> None:
    with Traffic.open(tmp_path) as traffic:
        fill_week(traffic, n=n, share=share)
        advice = advise(report_on(traffic, "f", 0, 7 * DAY), MINE)
    assert advice.kind == kind
    assert "zooter learn --fleet 'my fleet'" in advice.command
    assert [part for part in parts if part not in f"{advice.reason} {advice.command}"] == []


def test_a_better_and_cheaper_choice_needs_nothing_and_a_dearer_one_without_gain_does(good: TrafficReport) -> None:
    assert advise(gaining(good, 0.05, 0.1, 0.5), MINE).kind == "nothing"
    dear = advise(gaining(good, 0.05, 0.1, 3.0), MINE)
    assert (dear.kind, dear.sentence) == ("alone", f"Use {good.best.name} alone.")
    cheap = advise(gaining(good, -0.5, 0.1, 0.5), MINE)
    assert (cheap.kind, "unless the lower cost" in cheap.sentence) == ("alone", True)


def test_a_reason_says_nothing_twice(good: TrafficReport) -> None:
    advice = advise(gaining(good, -0.5, 0.1, 1.0), MINE)
    assert advice.reason in sentences(gaining(good, -0.5, 0.1, 1.0))
    assert advice.reason_beside(sentences(gaining(good, -0.5, 0.1, 1.0))) == ""


def test_the_setup_is_that_of_the_fleet(tiny_fleet: Path, fleet_copy: Path, tmp_path: Path) -> None:
    fleet = load_fleet(fleet_copy)
    setup = Setup.of(fleet, data_folder(fleet))
    assert setup == Setup(str(fleet_copy), "", trained=True, rewards=setup.rewards)
    assert Setup.of(fleet, tmp_path / "data").learn() == f"zooter learn --fleet {fleet_copy} --data {tmp_path}/data"
    learned = replace(fleet, router=replace(fleet.router, path=str(fleet_copy / "routers" / "0001")))
    assert not Setup.of(learned, tmp_path).learned  # it has taken no other's place
    (fleet_copy / "routers").mkdir()
    Versions(fleet).save()
    assert Setup.of(learned, tmp_path).learned > 0
    assert not Setup.of(learned, tmp_path).guarded
    assert not Setup.of(replace(fleet, router=None), tmp_path).trained


def test_the_embedded_fleet_is_copied_first() -> None:
    command = Setup(data="/d").learn()
    assert command.startswith("cp -r ")
    assert " my-fleet && " in command
    assert shlex.split(command)[-5:] == ["learn", "--fleet", "my-fleet", "--data", "/d"]
