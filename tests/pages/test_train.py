from __future__ import annotations

import gc
import gzip
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from support.app_pages import Open, words
from support.app_pages import labels as labels_of_buttons
from support.drawn_charts import charts
from support.train_page import LINES, POOL, open_step, packed, settled, state, upload
from zooter_core import pipeline
from zooter_core.base.records import Query
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data.runs import Run
from zooter_core.method.labels import LabelConfig
from zooter_core.ui.train import labels
from zooter_core.ui.train.steps import Session


def test_a_fleet_without_its_queries_says_what_to_take_instead(open_page: Open) -> None:
    page = settled(open_page("train"))
    assert "Take the run or the score file" in page.error[0].value
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
    settled(page.run())
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
    return {part["name"]: part["x"][0] for part in charts(page)["train-bar"]["data"]}


def test_the_label_of_a_query_follows_beta(open_page: Open) -> None:
    query = "![x](http://example.com/a.png) <script>alert(1)</script>"  # shown as text
    odd = LINES[0] | {"id": "odd", "query": query, "scores": dict.fromkeys(POOL, 0.0) | {"two": 0.4}}
    page = open_step(upload(open_page("train"), packed([*LINES, odd])), 2)
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
    page = open_step(upload(open_page("train"), packed(LINES)), 2)
    for tagger in ("clusters", "fleet", "none"):
        page.selectbox(key="train-tagger").set_value(tagger).run()
        settled(page)
        assert not page.error
        assert ("add · apples" in words(page)) == (tagger == "clusters")  # named by its words
        assert ("This query has no tags" in words(page)) == (tagger == "none")
    before = dict(state(page).loaded), dict(state(page).tagging)
    page.run()  # reads and tags nothing again
    assert (state(page).loaded, state(page).tagging) == before


def test_the_sessions_folder_goes_with_the_session() -> None:
    session = Session()
    folder = session.path
    (folder / "router-1").mkdir()
    del session
    gc.collect()
    assert not folder.exists()


def test_the_verdict_of_a_query() -> None:
    sure, flat = np.array([0.98, 0.01, 0.01]), np.full(3, 1 / 3)
    clear = {"plain": sure, "prior": flat, "enhanced": sure}
    assert "Its own scores are clear" in labels.describe_label(POOL, clear, LabelConfig(), True)
    unclear = labels.describe_label(POOL, clear | {"plain": flat}, LabelConfig(), False)
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
