from __future__ import annotations

import gc
import gzip
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_support import press, words
from streamlit.testing.v1 import AppTest

from zooter_core import pipeline
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.data.runs import Run
from zooter_core.method.labels import LabelConfig, label
from zooter_core.records import Query
from zooter_core.ui import resources
from zooter_core.ui.lab import labels
from zooter_core.ui.lab.state import Lab
from zooter_core.ui.lab.tasks import Task, heavy_work

Open = Callable[..., AppTest]
POOL = ("base", "one", "two")
SWEEP, DISTILL = ":material/stacked_line_chart: Sweep beta", ":material/science: Distill"
LINES = [
    {
        "id": f"q{n}",
        "query": f"Add up {n} apples" if n < 18 else f"Write about the sea {n}",
        "scores": {"base": 1.0, "one": 0.2, "two": 0.1} if n < 18 else {"base": 0.1, "one": 0.3, "two": 1.0},
        "dataset": "sums" if n < 18 else "texts",
        "tags": ["math"] if n < 18 else ["writing"],
    }
    for n in range(30)
]


def packed(lines: list[dict]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def state(page: AppTest) -> Lab:
    lab = page.session_state["lab"]
    assert isinstance(lab, Lab)
    return lab


def upload(page: AppTest, content: bytes, name: str = "scores.jsonl") -> AppTest:
    """Upload a file and wait until it is read, or refused."""
    page.button_group(key="lab-source").set_value("file").run()
    page.file_uploader[0].upload(name, content, "application/jsonl").run()
    lab = state(page)
    assert lab.uploaded is not None
    lab.loaded[lab.uploaded].wait(60)
    return page.run()


def part(page: AppTest, name: str) -> AppTest:
    page.session_state["lab-part"] = name
    return page.run()


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


def test_a_fleet_without_its_queries_says_how_to_get_them(open_page: Open) -> None:
    page = open_page("lab")
    assert "zooter distill --keep-texts" in page.error[0].value
    assert not page.exception
    assert not page.tabs


def test_no_run_is_told_in_words(open_page: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = open_page("lab")
    page.button_group(key="lab-source").set_value("run").run()
    assert "no run with rewards in the folder `runs`" in page.info[0].value
    assert "zooter run" in page.info[0].value


def test_runs_are_listed_and_read(open_page: Open, tiny_ensemble, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("begun", "done"):
        with Run(tmp_path / "runs" / name, create=True) as run:
            pipeline.start(run, tiny_ensemble, [Query(f"q{n}", f"What is {n}?") for n in range(4)])
            if name == "done":
                pipeline.collect(run, tiny_ensemble, GenerationConfig(max_new_tokens=2))
                pipeline.score(run, tiny_ensemble)
                pipeline.tag(run, tiny_ensemble)
    page = open_page("lab")
    page.button_group(key="lab-source").set_value("run").run()
    assert page.selectbox(key="lab-run").options == ["runs/done: 4 queries, 3 models"]
    assert "`runs/begun` (start finished)" in words(page)
    assert "4 queries, 1 data set, 3 models" in words(page)
    assert (page.slider(key="lab-beta").value, page.number_input(key="lab-tau").value) == (0.3, 1.0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (LINES[2] | {"scores": {"base": "high", "one": 0, "two": 0}}, '"scores" of base'),
        (LINES[2] | {"query": ""}, '"query"'),
        (LINES[2] | {"scores": {"base": 1}}, "one, two"),
    ],
)
def test_a_wrong_line_is_named_by_number_field_and_file(open_page: Open, line: dict, message: str) -> None:
    page = upload(open_page("lab"), packed([*LINES[:2], line, *LINES[3:]]), "my scores.jsonl")
    assert len(page.error) == 1
    assert "my scores.jsonl, line 3" in page.error[0].value
    assert message in page.error[0].value
    assert str(state(page).path) not in page.error[0].value
    assert list(state(page).path.iterdir()) == []
    page = upload(page, packed(LINES))  # and the next file is taken
    assert not page.error
    assert "30 queries, 2 data sets, 3 models" in words(page)


@pytest.mark.parametrize("name", ["scores.jsonl", "scores.jsonl.gz"])
def test_a_file_is_read_and_goes(open_page: Open, name: str) -> None:
    content = gzip.compress(packed(LINES)) if name.endswith(".gz") else packed(LINES)
    page = upload(open_page("lab"), content, name)
    assert not page.exception
    assert "30 queries, 2 data sets, 3 models" in words(page)
    assert list(state(page).path.iterdir()) == []
    assert page.file_uploader[0].value is None  # Streamlit's copy in memory went too
    assert page.selectbox(key="lab-tagger").value == "given"


def test_what_a_wrong_line_holds_loads_nothing(open_page: Open) -> None:
    page = upload(open_page("lab"), packed([{"query": "q", "scores": "![x](http://example.com/a.png)"}]))
    assert "![x](http" not in page.error[0].value
    assert "example.com" in page.error[0].value


def test_a_file_cut_short_is_told(open_page: Open) -> None:
    page = upload(open_page("lab"), gzip.compress(packed(LINES))[:60], "scores.jsonl.gz")
    assert "cut short" in page.error[0].value


def test_the_three_labels_of_a_query_follow_beta(open_page: Open) -> None:
    page = upload(
        open_page("lab"), packed([*LINES, LINES[0] | {"id": "odd", "scores": dict.fromkeys(POOL, 0.0) | {"two": 0.4}}])
    )
    page.slider(key="lab-beta").set_value(0.0).run()
    page.selectbox(key="lab-order").set_value("changed").run()
    assert "change the winner in 1 of 31 queries" in words(page)
    assert "The plain label favours **two**" in words(page)
    assert "Queries with the same tags favour **base**" in words(page)
    assert "trained on, favours **base**" in words(page)
    table = page.dataframe[0].value
    assert list(table["model"]) == list(POOL)
    assert list(table["score"]) == [0.0, 0.0, 0.4]
    assert table["enhanced"].to_numpy() == pytest.approx(table["prior"].to_numpy())
    page.slider(key="lab-beta").set_value(1.0).run()
    page.selectbox(key="lab-order").set_value("file").run()
    page.selectbox(key="lab-query").set_value(30).run()
    table = page.dataframe[0].value
    assert table["enhanced"].to_numpy() == pytest.approx(table["plain"].to_numpy())
    assert "still favours **two**" in words(page)


def test_queries_are_found_by_their_words(open_page: Open) -> None:
    page = upload(open_page("lab"), packed(LINES))
    page.text_input(key="lab-sought").set_value("SEA 20").run()
    assert page.selectbox(key="lab-query").options == ["Write about the sea 20"]
    page.text_input(key="lab-sought").set_value("nowhere").run()
    assert "No query matches" in page.info[0].value
    assert not page.exception


@pytest.mark.parametrize("tagger", ["clusters", "fleet", "none"])
def test_tags_come_from_elsewhere(open_page: Open, tagger: str) -> None:
    page = upload(open_page("lab"), packed(LINES))
    page.selectbox(key="lab-tagger").set_value(tagger).run()
    for task in state(page).tagging.values():
        task.wait(60)
    page.run()
    assert not page.exception
    assert not page.error
    assert ("cluster 0-" in words(page)) == (tagger == "clusters")
    assert ("This query has no tags" in words(page)) == (tagger == "none")


def test_the_table_fills_row_by_row_and_ends_in_a_verdict(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, report = set(), Task.report

    def count_rows(task: Task[Any], *args: Any) -> None:
        rows.add(len(task.partial["rows"]) if task.partial else 0)
        report(task, *args)

    monkeypatch.setattr(Task, "report", count_rows)
    page = part(upload(open_page("lab"), packed(LINES)), SWEEP)
    page.multiselect(key="lab-betas").set_value([0.0, 0.3, 1.0]).run()
    page.slider(key="lab-folds").set_value(2).run()
    assert "trains 6 routers" in words(page)
    press(page, "Sweep beta")
    task = state(page).sweep
    assert task is not None
    task.wait(60)
    page.run()
    assert {1, 2} <= rows
    assert [row["beta"] for row in task.result["rows"]] == [0.0, 0.3, 1.0]
    assert list(page.dataframe[0].value["beta"]) == [0.0, 0.3, 1.0]
    assert "scores highest" in words(page)
    assert "zooter sweep --scores scores.jsonl" in page.code[-1].value


def test_a_sweep_can_be_stopped_and_keeps_its_finished_rows(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, go, report = threading.Event(), threading.Event(), Task.report

    def hold_after_the_first_row(task: Task[Any], *args: Any) -> None:
        if task.partial:
            reached.set()
            go.wait(60)
        report(task, *args)

    monkeypatch.setattr(Task, "report", hold_after_the_first_row)
    page = part(upload(open_page("lab"), packed(LINES)), SWEEP)
    page.slider(key="lab-folds").set_value(10).run()
    press(page, "Sweep beta")
    task = state(page).sweep
    assert task is not None
    assert reached.wait(60)
    page.run()
    page.button(key="lab-sweep-stop").click().run()
    go.set()
    task.wait(60)
    page.run()
    assert task.stopped
    assert "1 of 7 betas are done" in words(page)
    assert not page.exception


def test_a_sweep_that_fails_says_why(open_page: Open) -> None:
    page = part(upload(open_page("lab"), packed(LINES[:2])), SWEEP)
    press(page, "Sweep beta")
    task = state(page).sweep
    assert task is not None
    task.wait(30)
    page.run()
    assert "at least 3 queries" in page.error[0].value


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
        task.wait(10)
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


def test_the_sessions_folder_goes_with_the_session() -> None:
    lab = Lab()
    folder = lab.path
    (folder / "router-1").mkdir()
    del lab
    gc.collect()
    assert not folder.exists()


def test_a_query_that_is_markup_is_shown_as_text(open_page: Open) -> None:
    wild = LINES[0] | {"query": "![x](http://example.com/a.png) <script>alert(1)</script> $5", "id": "wild"}
    page = upload(open_page("lab"), packed([wild, *LINES]))
    assert "![x](http" not in words(page)
    assert not page.exception


def test_a_rerun_without_a_change_computes_nothing_anew(open_page: Open) -> None:
    page = upload(open_page("lab"), packed([line | {"id": f"{line['id']}-{n}"} for n in range(60) for line in LINES]))
    before = dict(state(page).labels), dict(state(page).loaded), dict(state(page).part)
    page.run()
    after = dict(state(page).labels), dict(state(page).loaded), dict(state(page).part)
    assert all(before)
    assert [list(map(id, one.values())) for one in before] == [list(map(id, one.values())) for one in after]


def test_the_verdict_of_a_query() -> None:
    sure, flat = np.array([0.98, 0.01, 0.01]), np.full(3, 1 / 3)
    clear = {"plain label": sure, "tag prior": flat, "enhanced label": sure}
    assert "The rewards are clear" in labels.verdict(POOL, clear, 0.3, True)
    unclear = clear | {"plain label": flat}
    assert "hardly separate the models" in labels.verdict(POOL, unclear, 0.3, False)


def test_the_orders_of_queries() -> None:
    rewards = np.array([[1.0, 0.0], [5.0, 0.0], [0.0, 0.1]])
    computed = label(rewards, ["x"] * 3, [("t",)] * 3, LabelConfig(beta=0.0))
    assert labels.order_of(computed, "file") == [0, 1, 2]
    assert labels.order_of(computed, "clear") == [1, 0, 2]
    assert labels.order_of(computed, "unclear") == [2, 0, 1]
    assert labels.order_of(computed, "changed") == [2]
