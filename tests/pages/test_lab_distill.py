"""The third part of the Lab page: a router is distilled, evaluated and saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from support.app_pages import press, words
from support.lab_page import DISTILL, LINES, POOL, packed, part, state, upload
from zooter_core.config.fleet import load_fleet
from zooter_core.ui import resources
from zooter_core.ui.lab.tasks import heavy_work

Open = Callable[..., AppTest]


@pytest.fixture
def first_fleet(tiny_fleet: Path, tmp_path: Path) -> Path:
    """The tiny fleet in a folder of its own, beside which others can be saved."""
    folder = tmp_path / "models" / "first"
    folder.mkdir(parents=True)
    for entry in tiny_fleet.iterdir():
        if entry.name != "fleet.toml":  # a fleet is where its fleet.toml is
            (folder / entry.name).symlink_to(entry)
    (folder / "fleet.toml").write_text((tiny_fleet / "fleet.toml").read_text())
    return folder


@pytest.fixture
def distilled(open_page: Open, first_fleet: Path) -> AppTest:
    """The page with a router that was made from an uploaded file."""
    page = part(upload(open_page("lab", first_fleet), packed(LINES)), DISTILL)
    press(page, "Distill a router")
    task = state(page).distillation
    assert task is not None
    task.wait(60)
    assert task.problem is None
    return page.run()


def test_a_router_is_distilled_judged_and_logged(distilled: AppTest) -> None:
    task = state(distilled).distillation
    assert task is not None
    held_back = task.result.report.held_back
    assert not distilled.exception
    values = [metric.value for metric in distilled.metric]
    assert values == [f"{held_back['mean'][key]:.3f}" for key in ("regret", "regret_best_single", "regret_random")]
    assert f"{held_back['n']} held-back queries" in words(distilled)
    assert list(distilled.dataframe[0].value["method"]) == [*POOL, "router", "oracle"]
    log = "\n".join(code.value for code in distilled.code)
    assert "Training, epoch by epoch (8 of 8)" in log
    assert "Divergence from the labels" in log
    assert "zooter distill --scores scores.jsonl" in log
    assert "distill(scores," in log


def test_it_is_saved_as_a_fleet_that_can_be_picked(distilled: AppTest, first_fleet: Path) -> None:
    distilled.text_input[-1].set_value("lab-task")
    press(distilled, "Save as a fleet")
    assert "`models/lab-task`" in distilled.success[-1].value
    place = first_fleet.parent / "lab-task"
    assert load_fleet(place).pool == POOL
    assert resources.fleets()["lab-task"] == str(place)
    assert "30 queries of the file scores.jsonl" in (place / "README.md").read_text()
    assert "held_back" in json.loads((place / "report.json").read_text())

    press(distilled, "Save as a fleet")  # the name is taken now
    assert "Allow it to be replaced" in distilled.error[0].value
    distilled.checkbox[-1].check()
    press(distilled, "Save as a fleet")
    assert not distilled.error
    assert not distilled.exception


@pytest.mark.parametrize("name", ["../outside", "a b", ""])
def test_a_wrong_name_saves_nothing(distilled: AppTest, first_fleet: Path, name: str) -> None:
    distilled.text_input[-1].set_value(name)
    press(distilled, "Save as a fleet")
    assert "letters, digits and dashes" in distilled.error[0].value
    assert [entry.name for entry in first_fleet.parent.iterdir()] == ["first"]


def test_the_saved_fleet_gives_its_queries_as_a_sample(distilled: AppTest, open_page: Open, first_fleet: Path) -> None:
    distilled.text_input[-1].set_value("lab-task")
    press(distilled, "Save as a fleet")
    page = open_page("lab", first_fleet.parent / "lab-task")
    assert not page.error
    assert "trained on, with each model's reward" in words(page)
    assert "with each model's reward" in words(page)
    assert page.slider(key="lab-beta").value == pytest.approx(0.0)  # as its own labels were task


def test_scores_of_more_models_can_be_cut_to_the_fleets(open_page: Open, first_fleet: Path) -> None:
    wider = [line | {"scores": line["scores"] | {"extra": 2.0}} for line in LINES]
    page = part(upload(open_page("lab", first_fleet), packed(wider)), DISTILL)
    assert page.checkbox(key="lab-only").value
    assert 'scores.only(["base", "one", "two"])' in page.code[0].value
    assert "The command uses all queries and models" in words(page)
    page.checkbox(key="lab-only").uncheck().run()
    press(page, "Distill a router")
    task = state(page).distillation
    assert task is not None
    task.wait(60)
    page.run()
    assert "chooses among base, one, two, extra" in words(page)
    page.text_input[-1].set_value("wide")
    press(page, "Save the router")
    assert (first_fleet.parent / "wide" / "router" / "config.json").is_file()
    assert not (first_fleet.parent / "wide" / "fleet.toml").exists()
    assert "wide" not in resources.fleets()


def test_a_distillation_that_fails_keeps_nothing(open_page: Open) -> None:
    named = [line | {"scores": {"oracle": 1.0, "b": 0.0}} for line in LINES]
    page = part(upload(open_page("lab"), packed(named)), DISTILL)
    press(page, "Distill a router")
    task = state(page).distillation
    assert task is not None
    task.wait(60)
    page.run()
    assert "candidates not named like a method" in page.error[0].value
    assert not page.metric
    assert list(state(page).path.iterdir()) == []


def test_a_stopped_distillation_keeps_nothing(open_page: Open) -> None:
    page = part(upload(open_page("lab"), packed(LINES)), DISTILL)
    page.slider(key="lab-epochs").set_value(30).run()
    with heavy_work():  # the page's own turn, held so that the work waits
        press(page, "Distill a router")
        task = state(page).distillation
        assert task is not None
        page.run()
        assert task.waiting
        page.button(key="lab-distill-stop").click().run()
        task.wait(60)
    page.run()
    assert task.stopped
    assert "was stopped" in words(page)
    assert not page.metric
    assert list(state(page).path.iterdir()) == []


def test_what_was_made_outlives_a_rerun_and_new_settings(distilled: AppTest) -> None:
    first = state(distilled).distillation
    distilled.slider(key="lab-beta").set_value(0.9).run()
    assert state(distilled).distillation is first
    assert "Trained with beta 0 and" in words(distilled)
