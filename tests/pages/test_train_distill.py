"""Steps 3 and 4 of the Train page: a router is trained, evaluated and saved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from support.app_pages import Open, labels, let_manage, press, words
from support.patience import PATIENCE
from support.scripted_server import serving
from support.train_page import LINES, POOL, open_step, packed, settled, state, train, upload
from zooter_core.base.records import Message
from zooter_core.config.fleet import load_fleet
from zooter_core.evaluation.verdicts import of_report, sentences
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui import links, resources
from zooter_core.ui.benchmark.titles import titled
from zooter_core.ui.text import plain
from zooter_core.ui.train.steps import heavy_work


@pytest.fixture(autouse=True)
def started_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demo was started, which is not where the fleets are: what the page saves goes there."""
    folder = tmp_path / "started-here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    let_manage(monkeypatch, "*")
    return folder


@pytest.fixture
def first_fleet(tiny_fleet: Path, tmp_path: Path) -> Path:
    """The tiny fleet in a folder of its own."""
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
    page = train(open_step(upload(open_page("train", first_fleet), packed(LINES)), 3))
    assert not page.error
    return page


def test_a_router_is_distilled_judged_and_logged_and_outlives_new_settings(distilled: AppTest) -> None:
    task = state(distilled).distillation
    held_back = task.result.report.held_back
    chosen, single = (held_back.best_choice[key].share for key in ("router", "best_single"))
    name = held_back.best_single
    sentence = f"chooses the best model in **{chosen:.0%}** of cases, {name} alone in **{single:.0%}**"
    assert f"Your router {sentence}" in words(distilled)
    assert f"Of {held_back.n} held-back queries" in words(distilled)
    assert all(plain(sentence) in words(distilled) for sentence in sentences(titled(of_report(task.result.report))))
    assert all(f"| {held_back.mean[key]:.3f} |" in words(distilled) for key in ("regret", "regret_random"))
    assert all(f"| {method} |" in words(distilled) for method in (*POOL, "router", "oracle"))
    log = "\n".join(code.value for code in distilled.code)
    assert "Training, epoch by epoch (8 of 8)" in log
    assert "Comparing kinds of router" in log
    assert "Divergence from the labels" in log
    distilled.button(key="train-step-2").click().run()  # it outlives new settings
    distilled.slider(key="train-beta").set_value(0.9).run()
    open_step(distilled, 3)
    assert state(distilled).distillation is task
    assert "Trained with beta 0 and" in words(distilled)


def test_it_is_saved_as_a_fleet_that_can_be_picked_and_gives_its_queries_as_a_sample(
    distilled: AppTest, open_page: Open, first_fleet: Path, started_here: Path
) -> None:
    def save(name: str) -> None:
        distilled.text_input(key="train-name").set_value(name).run()
        press(distilled, "Save as a fleet")

    assert distilled.text_input(key="train-name").value == "my-router"
    for name in ("../outside", "a b", ""):  # wrong names save nothing
        save(name)
        assert "letters, digits and dashes" in distilled.error[0].value
    assert list(started_here.iterdir()) == []
    save("train-task")
    assert "`train-task`, where the demo was started" in distilled.success[-1].value
    assert [entry.name for entry in first_fleet.parent.iterdir()] == ["first"]
    place = started_here / "train-task"
    assert load_fleet(place).pool == POOL
    assert resources.fleets()["train-task"] == str(place)
    assert "30 queries of the file scores.jsonl" in (place / "README.md").read_text()
    assert "held_back" in json.loads((place / "report.json").read_text())
    page = settled(open_page("train", place))
    assert not page.error
    assert "trained on, with each model's reward" in words(page)
    open_step(page, 2)
    assert page.slider(key="train-beta").value == pytest.approx(0.0)  # as its own labels were

    press(distilled, "Save as a fleet")  # again, which is nothing to do
    assert not distilled.error
    train(distilled)
    assert distilled.text_input(key="train-name").value == "my-router"  # another router, and a name that is free
    save("train-task")
    assert "Allow it to be replaced" in distilled.error[0].value
    distilled.checkbox(key="train-replace").check().run()
    press(distilled, "Save as a fleet")
    assert not distilled.error


def test_scores_of_more_models_can_be_cut_to_the_fleets_or_give_a_router_alone(
    open_page: Open, first_fleet: Path, started_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_manage(monkeypatch)  # models may not be connected
    wider = [line | {"scores": line["scores"] | {"extra": 2.0}} for line in LINES]
    page = upload(open_page("train", first_fleet), packed(wider))
    assert page.checkbox(key="train-only").value
    assert "4 models" in words(page)
    page.checkbox(key="train-only").uncheck().run()
    train(open_step(page, 3))
    assert "chooses among base, one, two, extra" in words(page)
    assert "Build a fleet with these models" not in labels(page)
    page.text_input(key="train-name").set_value("wide").run()
    press(page, "Save the router")
    assert (started_here / "wide" / "router" / "config.json").is_file()
    assert not (started_here / "wide" / "fleet.toml").exists()
    assert "fleet.toml" not in (started_here / "wide" / "README.md").read_text()
    assert "wide" not in resources.fleets()


def test_a_router_of_ones_own_models_becomes_a_fleet_that_routes(
    open_page: Open, first_fleet: Path, started_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a score file of models that no fleet has: a model found by its name, and one that is chosen."""
    called = {"base": "Sums-7B", "one": "tales", "two": "notes"}
    lines = [line | {"scores": {called[name]: score for name, score in line["scores"].items()}} for line in LINES]
    page = train(open_step(upload(open_page("train", first_fleet), packed(lines)), 3))
    opened = []
    monkeypatch.setattr(links, "go_to", lambda name, **parameters: opened.append((name, parameters)))
    press(page, "Build a fleet with these models")
    assert opened == [("models", {"router": "my-router"})]

    with serving() as server:
        server.models = ["sums:7b", "tales", "x-9"]
        page = open_page("models", first_fleet, router="my-router")
        assert all(page.selectbox(key=f"answers-as-{name}").disabled for name in called.values())
        page.text_input(key="address").set_value(server.url)
        press(page, "List its models")
        filled_in = [page.selectbox(key=f"answers-as-{name}").value for name in called.values()]
        assert [model and model.model for model in filled_in] == ["sums:7b", "tales", None]
        assert next(button for button in page.button if button.label == "Build the fleet").disabled
        page.selectbox(key="answers-as-notes").select_index(2).run()
        press(page, "Build the fleet")
        assert not page.error
        assert page.session_state["fleet"] == "my-router"
        fleet = load_fleet(started_here / "my-router")
        assert {one.name: one.model for one in fleet.candidates} == {
            "Sums-7B": "sums:7b", "tales": "tales", "notes": "x-9",
        }  # fmt: skip
        decision = Ensemble(fleet).route([Message("user", LINES[0]["query"])])
        assert decision.candidate == "Sums-7B"
        assert "Build the fleet" not in labels(open_page("models", first_fleet, router="my-router"))


def test_a_single_query_is_enough_for_a_kind_without_epochs(open_page: Open) -> None:
    page = upload(open_page("train"), packed(LINES[:1]))
    assert "**1 query, 1 data set, 3 models**" in words(page)
    open_step(page, 3)
    page.selectbox(key="train-kind").set_value("kmeans").run()
    assert not train(page).error


def test_a_distillation_that_fails_keeps_nothing(open_page: Open) -> None:
    named = [line | {"scores": {"oracle": 1.0, "b": 0.0}} for line in LINES]
    page = train(open_step(upload(open_page("train"), packed(named)), 3))
    assert "candidates not named like a method" in page.error[0].value
    assert "Your router" not in words(page)
    assert list(state(page).path.iterdir()) == []


def test_a_stopped_distillation_keeps_nothing(open_page: Open) -> None:
    page = open_step(upload(open_page("train"), packed(LINES)), 3)
    page.slider(key="train-epochs").set_value(30).run()
    with heavy_work():  # the page's own turn, held so that the work waits
        press(page, "Train")
        task = state(page).distillation
        page.run()
        assert task.waiting
        page.button(key="train-distill-stop").click().run()
        task.wait(PATIENCE)
    page.run()
    assert task.stopped
    assert "was stopped" in words(page)
    assert "Your router" not in words(page)
    assert list(state(page).path.iterdir()) == []
