from __future__ import annotations

import gc
import gzip
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from support.app_pages import press, words
from support.lab_page import LINES, POOL, SWEEP, packed, part, state, upload
from zooter_core import pipeline
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data.runs import Run
from zooter_core.method.labels import LabelConfig, label
from zooter_core.records import Query
from zooter_core.ui.lab import labels
from zooter_core.ui.lab.state import Lab
from zooter_core.ui.lab.tasks import Task

Open = Callable[..., AppTest]


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
        (LINES[2] | {"scores": [1, 0, 0]}, '"scores" as an object of numbers'),
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


def test_a_line_may_lack_a_candidate_but_counts_only_with_two(open_page: Open) -> None:
    lines = [LINES[0] | {"scores": {"base": 1.0, "one": 0.2}}, LINES[1] | {"scores": {"base": 1.0}}, *LINES[2:]]
    page = upload(open_page("lab"), packed(lines))
    assert not page.error
    assert not page.exception
    assert "29 queries, 2 data sets, 3 models" in words(page)


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
    task.wait(60)
    page.run()
    assert "at least 3 queries" in page.error[0].value


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
