from __future__ import annotations

import gc
import gzip
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from support.app_pages import Open, column, press, tables, words
from support.app_pages import labels as labels_of_buttons
from support.train_page import LINES, POOL, open_step, packed, state, upload
from zooter_core import pipeline
from zooter_core.base.records import Query
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data.runs import Run
from zooter_core.method.labels import LabelConfig, label
from zooter_core.ui.train import labels
from zooter_core.ui.train.steps import Session, Task


def test_a_fleet_without_its_queries_says_how_to_get_them(open_page: Open) -> None:
    page = open_page("train")
    assert "zooter distill --keep-texts" in page.error[0].value
    assert not page.button


def test_runs_are_listed_and_read(open_page: Open, tiny_ensemble, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = open_page("train")
    page.button_group(key="train-source").set_value("run").run()
    assert "no run with rewards in the folder `runs`" in page.info[0].value
    assert "zooter run" in page.info[0].value
    for name in ("begun", "done"):
        with Run(tmp_path / "runs" / name, create=True) as run:
            pipeline.start(run, tiny_ensemble, [Query(f"q{n}", f"What is {n}?") for n in range(4)])
            if name == "done":
                pipeline.collect(run, tiny_ensemble, GenerationConfig(max_new_tokens=2))
                pipeline.score(run, tiny_ensemble)
                pipeline.tag(run, tiny_ensemble)
    page.run()
    assert page.selectbox(key="train-run").options == ["runs/done: 4 queries, 3 models"]
    assert "`runs/begun` (start finished)" in words(page)
    assert "4 queries, 1 data set, 3 models" in words(page)
    open_step(page, 2)
    assert (page.slider(key="train-beta").value, page.number_input(key="train-tau").value) == (0.3, 1.0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (LINES[2] | {"scores": {"base": "high", "one": 0, "two": 0}}, '"scores" of base'),
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
    page = upload(page, packed(LINES))  # and the next file is taken
    assert not page.error
    assert "30 queries, 2 data sets, 3 models" in words(page)


def test_a_line_may_lack_a_candidate_but_counts_only_with_two(open_page: Open) -> None:
    lines = [LINES[0] | {"scores": {"base": 1.0, "one": 0.2}}, LINES[1] | {"scores": {"base": 1.0}}, *LINES[2:]]
    page = upload(open_page("train"), packed(lines))
    assert not page.error
    assert "29 queries, 2 data sets, 3 models" in words(page)


def test_a_file_is_read_and_goes(open_page: Open) -> None:
    content, name = gzip.compress(packed(LINES)), "scores.jsonl.gz"
    page = upload(open_page("train"), content, name)
    assert "30 queries, 2 data sets, 3 models" in words(page)
    assert list(state(page).path.iterdir()) == []
    assert page.file_uploader[0].value is None  # Streamlit's copy in memory went too
    assert "cut short" in upload(page, content[:60], name).error[0].value
    open_step(upload(page, packed(LINES)), 2)
    assert page.selectbox(key="train-tagger").value == "given"


def bar(page: AppTest) -> dict[str, float]:
    """The parts of the picture of a label."""
    series = json.loads(page.get("echarts_chart")[0].proto.spec)["series"]
    return {part["id"]: part["data"][0] for part in series}


def test_the_label_of_a_query_follows_beta(open_page: Open) -> None:
    odd = LINES[0] | {"id": "odd", "scores": dict.fromkeys(POOL, 0.0) | {"two": 0.4}}
    page = open_step(upload(open_page("train"), packed([*LINES, odd])), 2)
    page.slider(key="train-beta").set_value(0.0).run()
    assert page.selectbox(key="train-query").value == 30  # the query where tags change the winner comes first
    assert "change the winner in 1 of 31 queries" in words(page)
    assert "Its own scores" in words(page)
    assert "they favour **two**" in words(page)
    assert "Queries of the same kind favour **base**" in words(page)
    assert "At beta 0 the label favours **base**" in words(page)
    assert "| base | 0.000 |" in words(page)
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


def test_queries_are_found_by_their_words_and_shown_as_text(open_page: Open) -> None:
    wild = LINES[0] | {"query": "![x](http://example.com/a.png) <script>alert(1)</script> $5", "id": "wild"}
    page = open_step(upload(open_page("train"), packed([*LINES, wild])), 2)
    page.text_input(key="train-sought").set_value("SEA 20").run()
    assert page.selectbox(key="train-query").options == ["Write about the sea 20"]
    page.text_input(key="train-sought").set_value("nowhere").run()
    assert "No query matches" in page.info[0].value
    page.text_input(key="train-sought").set_value("").run()
    page.selectbox(key="train-query").set_value(30).run()
    assert "example.com" in words(page)  # markup is shown as text
    assert "![x](http" not in words(page)


@pytest.mark.parametrize("tagger", ["clusters", "fleet", "none"])
def test_tags_come_from_elsewhere(open_page: Open, tagger: str) -> None:
    page = open_step(upload(open_page("train"), packed(LINES)), 2)
    page.selectbox(key="train-tagger").set_value(tagger).run()
    for task in state(page).tagging.values():
        task.wait(60)
    page.run()
    assert not page.error
    assert ("add · apples" in words(page)) == (tagger == "clusters")  # named by its words
    assert ("This query has no tags" in words(page)) == (tagger == "none")


def test_the_table_fills_row_by_row_and_ends_in_a_verdict(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, report = set(), Task.report

    def count_rows(task: Task[Any], *args: Any) -> None:
        rows.add(len(task.partial.rows) if task.partial else 0)
        report(task, *args)

    monkeypatch.setattr(Task, "report", count_rows)
    page = open_step(upload(open_page("train"), packed(LINES)), 2)
    page.multiselect(key="train-betas").set_value([0.0, 0.3, 1.0]).run()
    page.slider(key="train-folds").set_value(2).run()
    assert "trains 6 routers" in words(page)
    press(page, "Sweep beta")
    task = state(page).sweep
    task.wait(60)
    page.run()
    assert {1, 2} <= rows
    assert [row.beta for row in task.result.rows] == [0.0, 0.3, 1.0]
    assert column(tables(page)[1], "beta") == ["0", "0.3", "1"]
    assert "between the 3 values of beta" in words(page)
    assert "zooter sweep --scores scores.jsonl" in page.code[-1].value


def test_a_sweep_can_be_stopped_and_keeps_its_finished_rows(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, go, report = threading.Event(), threading.Event(), Task.report

    def hold_after_the_first_row(task: Task[Any], *args: Any) -> None:
        if task.partial:
            reached.set()
            go.wait(60)
        report(task, *args)

    monkeypatch.setattr(Task, "report", hold_after_the_first_row)
    page = open_step(upload(open_page("train"), packed(LINES)), 2)
    page.slider(key="train-folds").set_value(10).run()
    press(page, "Sweep beta")
    task = state(page).sweep
    assert reached.wait(60)
    page.run()
    page.button(key="train-sweep-stop").click().run()
    go.set()
    task.wait(60)
    page.run()
    assert task.stopped
    assert "1 of 7 betas are done" in words(page)


def test_a_sweep_that_fails_says_why(open_page: Open) -> None:
    page = open_step(upload(open_page("train"), packed(LINES[:2])), 2)
    press(page, "Sweep beta")
    task = state(page).sweep
    task.wait(60)
    page.run()
    assert "at least 3 queries" in page.error[0].value


def test_the_sessions_folder_goes_with_the_session() -> None:
    session = Session()
    folder = session.path
    (folder / "router-1").mkdir()
    del session
    gc.collect()
    assert not folder.exists()


def test_a_rerun_without_a_change_reads_and_tags_nothing_again(open_page: Open) -> None:
    lines = [{key: value for key, value in line.items() if key != "tags"} for line in LINES]
    page = open_step(upload(open_page("train"), packed(lines)), 2)
    before = dict(state(page).loaded), dict(state(page).tagging)
    page.run()
    assert all(before)
    assert (state(page).loaded, state(page).tagging) == before


def test_the_verdict_of_a_query() -> None:
    sure, flat = np.array([0.98, 0.01, 0.01]), np.full(3, 1 / 3)
    clear = {"plain": sure, "prior": flat, "enhanced": sure}
    assert "Its own scores are clear" in labels.verdict(POOL, clear, LabelConfig(), True)
    unclear = labels.verdict(POOL, clear | {"plain": flat}, LabelConfig(), False)
    assert "hardly separate the models" in unclear
    assert "same kind" not in unclear


def test_a_step_opens_in_its_turn_and_other_scores_start_again(open_page: Open) -> None:
    page = open_step(upload(open_page("train"), packed(LINES)), 3)
    assert {"Change", "Train"} <= labels_of_buttons(page)
    assert "beta 0, tags in the file" in words(page)  # what was chosen, in the line of the step
    page.button(key="train-step-1").click().run()
    assert state(page).reached == 3
    upload(page, packed(LINES[:12]))
    assert state(page).reached == 1
    assert labels_of_buttons(page) == {"Next: labels"}
    assert ":gray[**3 · Train**]" in words(page)


def test_the_orders_of_queries() -> None:
    rewards = np.array([[1.0, 0.0], [5.0, 0.0], [0.0, 0.1]])
    computed = label(rewards, ["x"] * 3, [("t",)] * 3, LabelConfig(beta=0.0))
    assert labels.order_of(computed, "file") == [0, 1, 2]
    assert labels.order_of(computed, "clear") == [1, 0, 2]
    assert labels.order_of(computed, "unclear") == [2, 0, 1]
    assert labels.order_of(computed, "changed") == [2]
