"""The Train page: scores, labels, a router that is trained and judged, and its use."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from time import sleep

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from support.app_pages import Open, charts, let_manage, link_fleet, press, tables, words
from support.app_pages import labels as labels_of_buttons
from support.patience import PATIENCE
from support.scripted_server import serving
from zooter_core.base.records import Message
from zooter_core.config.fleet import load_fleet
from zooter_core.data.scores import Scores
from zooter_core.evaluation.verdicts import of_report, sentences
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.labels import LabelConfig
from zooter_core.pipeline.batches import Progress
from zooter_core.router.neighbours import ARRAYS, RECORDS
from zooter_core.ui import resources
from zooter_core.ui.benchmark.titles import titled
from zooter_core.ui.text import plain
from zooter_core.ui.train import labels, use
from zooter_core.ui.train import train as training
from zooter_core.ui.train.session import Session

POOL = ("base", "one", "two")
LINES = [
    {
        "id": f"q{n}",
        "query": f"Add up {n} apples" if n < 18 else f"Write about the sea {n}",
        "scores": {"base": 1.0, "one": 0.2, "two": 0.1} if n < 18 else {"base": 0.1, "one": 0.3, "two": 1.0},
        "dataset": "sums" if n < 18 else "verse",
        "tags": ["math"] if n < 18 else ["writing"],
    }
    for n in range(30)
]


def packed(lines: list[dict]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def state(page: AppTest) -> Session:
    session = page.session_state["train"]
    assert isinstance(session, Session)
    return session


def settled(page: AppTest) -> AppTest:
    """The page once all scores are read and all queries tagged."""
    for name in ("reading", "tagging"):
        if task := getattr(state(page), name):
            task.wait(PATIENCE)
        page.run()
    return page


def upload(page: AppTest, content: bytes, name: str = "scores.jsonl", **more: bytes) -> AppTest:
    """Upload a file, or several at once, and wait until they are read, or refused."""
    for one, text in {name: content, **more}.items():
        page.file_uploader[0].upload(one, text, "application/jsonl")
    page.run()
    return settled(page)


def train(page: AppTest) -> AppTest:
    """Press *Train*, and wait for the router."""
    page.button(key="train-again" if state(page).router else "primary-train").click().run()
    task = state(page).distillation
    assert task is not None
    task.wait(PATIENCE)
    return page.run()


def test_where_a_router_came_without_its_queries_there_are_score_files_alone(open_page: Open) -> None:
    page = settled(open_page("train"))
    assert (len(page.file_uploader), len(page.button_group), len(page.error)) == (1, 0, 0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (LINES[2] | {"scores": {"base": "high", "one": 0, "two": 0}}, "a number as the score of base"),
        ({"query": "q", "scores": "![x](http://example.com/a.png)"}, "example.com"),
    ],
)
def test_a_wrong_line_is_named_by_number_field_and_file(open_page: Open, line: dict, message: str) -> None:
    page = upload(open_page("train"), packed([*LINES[:2], line, *LINES[3:]]), "my scores.jsonl")
    assert len(page.error) == 1
    assert "my scores.jsonl, line 3" in page.error[0].value
    assert message in page.error[0].value
    assert "![x](http" not in page.error[0].value  # nothing in it is loaded
    assert str(state(page).path) not in page.error[0].value
    assert list(state(page).path.iterdir()) == []
    page = upload(page, b"query;base;one\nHi;0,5;high\nHello;1;2\n", "table.csv")  # as a spreadsheet saves it
    assert "a number as the score of one in table.csv, line 2" in page.error[0].value
    assert '{"query": ' in page.code[0].value  # and what a line looks like
    few = [{"query": "q", "scores": {"base": 1}}, {"query": "r", "scores": {"one": 2}}]
    page = upload(page, packed([*LINES, *few]))  # and the next file is taken
    assert "2 are left out" in words(page)
    assert not page.error
    assert not page.code
    assert "30 queries, 2 data sets, 3 models" in words(page)


def test_a_file_is_read_and_goes(open_page: Open) -> None:
    content, name = gzip.compress(packed(LINES)), "scores.jsonl.gz"
    page = upload(open_page("train"), content, name)
    assert "30 queries, 2 data sets, 3 models" in words(page)
    assert list(state(page).path.iterdir()) == []
    assert not page.file_uploader[0].value  # Streamlit's copy in memory went too
    assert "cut short" in upload(page, content[:60], name).error[0].value
    upload(page, packed(LINES))
    assert page.selectbox(key="train-tagger").value == "given"


def test_files_of_one_model_each_are_read_together(open_page: Open) -> None:
    files = [f"query;score\nHi;0,{n}\nHow?;1,{n}\nWhy?;{n},5\n".encode("cp1252") for n in range(3)]
    page = upload(open_page("train"), files[0], "small.csv", **{"mid.csv": files[1], "large.csv": files[2]})
    assert "3 models** from the files small.csv, mid.csv, large.csv: small, mid, large" in words(page)
    page = upload(page, files[0], "small.csv", **{"mid.csv": b"query;score\nHi;high\n"})
    assert "the score of mid in mid.csv, line 2" in page.error[0].value


def bar(page: AppTest) -> dict[str, float]:
    """The parts of the picture of a label."""
    return {part["name"]: part["x"][0] for part in charts(page)["train-bar"]["data"]}


def test_the_label_of_a_query_follows_beta(open_page: Open) -> None:
    query = "![x](http://example.com/a.png) <script>alert(1)</script>"  # shown as text
    odd = LINES[0] | {"id": "odd", "query": query, "scores": dict.fromkeys(POOL, 0.0) | {"two": 0.4}}
    page = upload(open_page("train"), packed([*LINES, odd]))
    page.slider(key="train-beta").set_value(0.0).run()
    assert query in [text.value for text in page.text]  # the query whose scores and kind differ most
    assert "Its own scores" in words(page)
    assert "they favour **two**" in words(page)
    assert "Queries of the same kind favour **base**" in words(page)
    assert "At beta 0 the label favours **base**" in words(page)
    prior = bar(page)
    assert max(prior, key=prior.__getitem__) == "base"
    assert sum(prior.values()) == pytest.approx(1, abs=1e-3)
    page.slider(key="train-beta").set_value(1.0).run()
    plain = bar(page)
    assert max(plain, key=plain.__getitem__) == "two"
    assert "the label still favours **two**" in words(page)
    page.slider(key="train-beta").set_value(0.5).run()
    half = {name: (plain[name] + prior[name]) / 2 for name in POOL}
    assert bar(page) == pytest.approx(half, abs=1e-3)


def test_tags_come_from_elsewhere(open_page: Open) -> None:
    page = upload(open_page("train"), packed(LINES))
    for tagger in ("clusters", "fleet", "none"):
        page.selectbox(key="train-tagger").set_value(tagger).run()
        settled(page)
        assert not page.error
        assert ("add · apples" in words(page)) == (tagger == "clusters")  # named by its words
        assert "add · apples (3)" not in words(page)  # the same words in another clustering
        assert ("This query has no tags" in words(page)) == (tagger == "none")
    before = state(page).reading, state(page).tagging
    page.run()  # reads and tags nothing again
    assert (state(page).reading, state(page).tagging) == before


def test_the_verdict_of_a_query() -> None:
    sure, flat = np.array([0.98, 0.01, 0.01]), np.full(3, 1 / 3)
    clear = {"plain": sure, "prior": flat, "enhanced": sure}
    assert "Its own scores are clear" in labels.describe_label(POOL, clear, LabelConfig(), True)
    unclear = labels.describe_label(POOL, clear | {"plain": flat}, LabelConfig(), False)
    assert "hardly separate the models" in unclear
    assert "same kind" not in unclear


@pytest.fixture
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
    return link_fleet(tiny_fleet, tmp_path / "models" / "first")


@pytest.fixture
def pages_opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, str]]]:
    """The pages that a button leads to, with their parameters."""
    opened: list[tuple[str, dict[str, str]]] = []
    monkeypatch.setattr(use, "go_to", lambda name, **parameters: opened.append((name, parameters)))
    return opened


@pytest.fixture
def distilled(open_page: Open, first_fleet: Path, started_here: Path) -> AppTest:
    """The page with a router that was made from an uploaded file."""
    page = upload(open_page("train", first_fleet), packed(LINES), "odd # <script>.jsonl")
    page = train(page)
    assert not page.error
    return page


def test_a_router_is_distilled_and_judged_and_outlives_new_settings(distilled: AppTest) -> None:
    task = state(distilled).distillation
    held_back = task.result.report.held_back
    chosen, single = (held_back.best_choice[key].share for key in ("router", "best_single"))
    name = held_back.best_single
    sentence = f"chooses the best model in **{chosen:.0%}** of cases, {name} alone in **{single:.0%}**"
    assert f"Your router {sentence}" in words(distilled)
    assert f"Held-back queries, which the router did not train on: {held_back.n}." in words(distilled)
    assert all(plain(sentence) in words(distilled) for sentence in sentences(titled(of_report(task.result.report))))
    average = next(row for table in tables(distilled) for row in table if row[0] == "average")
    assert average[len(POOL) + 1].strip("*") == f"{held_back.average.chosen:.2f}"
    distilled.slider(key="train-beta").set_value(0.9).run()
    upload(distilled, packed(LINES[:12]))
    assert state(distilled).distillation is task
    assert "Trained with beta 0 and" in words(distilled)
    assert "30 queries in the file" in words(distilled)


def test_the_best_model_in_hindsight_is_not_taken_for_the_one_of_the_verdict(distilled: AppTest) -> None:
    router = state(distilled).distillation.result
    held_back = router.report.held_back
    assert "in training" not in training.describe_result(router)
    other = replace(held_back.verdict, against="another")
    router = replace(
        router, report=replace(router.report, held_back=replace(held_back, verdict=other), cross_validation=None)
    )
    described = training.describe_result(router)
    assert f"{held_back.best_single} alone (the best single model here; in training it was another) in" in described


def test_it_is_saved_as_a_fleet_that_can_be_picked_and_gives_its_queries_as_a_sample(
    distilled: AppTest, open_page: Open, first_fleet: Path, started_here: Path, pages_opened: list
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
    assert "held_back" in json.loads((place / "report.json").read_text())
    page = settled(open_page("train", place))
    assert not page.error
    assert "trained on, with each model's reward" in words(page)
    assert page.slider(key="train-beta").value == pytest.approx(0.0)  # as its own labels were
    for name in (ARRAYS, RECORDS):  # another router takes its place, as after an exam
        (place / "router" / name).unlink()
    resources.forget(place)
    assert len(settled(page.run()).file_uploader) == 1
    assert "trained on, with each model's reward" not in words(page)

    press(distilled, "Save as a fleet")  # again, which is nothing to do
    assert not distilled.error
    train(distilled)
    assert distilled.text_input(key="train-name").value == "my-router"  # another router, and a name that is free
    save("train-task")
    assert "Choose another name." in distilled.error[0].value
    distilled.text_input(key="train-name").set_value("my-router").run()
    press(distilled, "Use it in Chat")
    assert not distilled.error
    assert (pages_opened, distilled.session_state["fleet"]) == ([("chat", {})], "my-router")


def test_scores_of_more_models_can_be_cut_to_the_fleets_or_give_a_router_alone(
    open_page: Open, first_fleet: Path, started_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_manage(monkeypatch)  # models may not be connected
    wider = [line | {"scores": line["scores"] | {"extra": 2.0}} for line in LINES]
    page = upload(open_page("train", first_fleet), packed(wider))
    assert page.checkbox(key="train-only").value
    assert "4 models" in words(page)
    page.checkbox(key="train-only").uncheck().run()
    train(page)
    assert "chooses among base, one, two, extra" in words(page)
    assert "Build a fleet with these models" not in labels_of_buttons(page)
    page.text_input(key="train-name").set_value("wide").run()
    press(page, "Save the router")
    assert (started_here / "wide" / "router" / "config.json").is_file()
    assert not (started_here / "wide" / "fleet.toml").exists()
    assert "wide" not in resources.fleets()


def test_a_router_of_ones_own_models_becomes_a_fleet_that_routes(
    open_page: Open, first_fleet: Path, started_here: Path, pages_opened: list
) -> None:
    """From a score file of models that no fleet has: a model found by its name, and one that is chosen."""
    called = {"base": "math-ai/Sums-7B", "one": "tales", "two": "notes"}
    lines = [line | {"scores": {called[name]: score for name, score in line["scores"].items()}} for line in LINES]
    page = train(upload(open_page("train", first_fleet), packed(lines)))
    press(page, "Build a fleet with these models")
    assert pages_opened == [("models", {"router": "my-router"})]

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
            "math-ai/Sums-7B": "sums:7b", "tales": "tales", "notes": "x-9",
        }  # fmt: skip
        decision = Ensemble(fleet).route([Message("user", LINES[0]["query"])])
        assert decision.candidate == "math-ai/Sums-7B"
        assert "Build the fleet" not in labels_of_buttons(open_page("models", first_fleet, router="my-router"))


def test_a_single_query_is_enough_for_a_kind_without_epochs(open_page: Open) -> None:
    page = upload(open_page("train"), packed(LINES[:1]))
    assert "**1 query, 1 data set, 3 models**" in words(page)
    page.selectbox(key="train-kind").set_value("kmeans").run()
    assert "No query was held back" in words(train(page))
    assert not page.error


def test_a_distillation_that_fails_keeps_nothing(open_page: Open) -> None:
    named = [line | {"scores": {"oracle": 1.0, "b": 0.0}} for line in LINES]
    page = train(upload(open_page("train"), packed(named)))
    assert "candidates not named like a method" in page.error[0].value
    assert "Your router" not in words(page)


def test_a_stopped_distillation_keeps_nothing(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def distill(scores: Scores, folder: Path, *, progress: Progress, **more: object) -> None:
        while True:
            progress("embed", 0, len(scores.queries))
            sleep(0.01)

    page = upload(open_page("train"), packed(LINES))
    monkeypatch.setattr(training, "distill", distill)
    press(page, "Train")
    task = state(page).distillation
    page.run()
    page.button(key="train-distill-stop").click().run()
    task.wait(PATIENCE)
    page.run()
    assert task.stopped
    assert "was stopped" in words(page)
    assert "Your router" not in words(page)
