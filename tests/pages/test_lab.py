from __future__ import annotations

import gc
import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from zooter_core import pipeline
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.data.runs import Run
from zooter_core.method.labels import LabelConfig, label
from zooter_core.records import Query
from zooter_core.ui import resources
from zooter_core.ui.lab import distill, labels, sweep
from zooter_core.ui.lab.state import Lab
from zooter_core.ui.lab.tasks import Task, heavy

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
    found = page.session_state["lab"]
    assert isinstance(found, Lab)
    return found


def words(page: AppTest) -> str:
    return "\n".join(element.value for element in [*page.markdown, *page.caption, *page.info, *page.success])


def upload(page: AppTest, content: bytes, name: str = "scores.jsonl") -> AppTest:
    """Upload a file and wait until it is read, or refused."""
    page.button_group(key="lab-source").set_value("file").run()
    page.file_uploader[0].upload(name, content, "application/jsonl").run()
    found = state(page)
    assert found.uploaded is not None
    found.read[found.uploaded].wait(30)
    return page.run()


def press(page: AppTest, label: str) -> AppTest:
    return next(button for button in page.button if button.label == label).click().run()


def part(page: AppTest, name: str) -> AppTest:
    page.session_state["lab-part"] = name
    return page.run()


@pytest.fixture
def own_fleet(tiny_fleet: Path, tmp_path: Path) -> Path:
    """The tiny fleet in a folder of its own, beside which others can be saved."""
    folder = tmp_path / "models" / "first"
    folder.mkdir(parents=True)
    for entry in tiny_fleet.iterdir():
        if entry.name != "fleet.toml":  # a fleet is where its fleet.toml is
            (folder / entry.name).symlink_to(entry)
    (folder / "fleet.toml").write_text((tiny_fleet / "fleet.toml").read_text())
    return folder


@pytest.fixture
def distilled(open_page: Open, own_fleet: Path) -> AppTest:
    """The page with a router that was made from an uploaded file."""
    page = part(upload(open_page("lab", own_fleet), packed(LINES)), DISTILL)
    press(page, "Distill a router")
    made = state(page).made
    assert made is not None
    made.wait(60)
    assert made.problem is None
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
    ("line", "found"),
    [
        (LINES[2] | {"scores": {"base": "high", "one": 0, "two": 0}}, '"scores" of base'),
        (LINES[2] | {"query": ""}, '"query"'),
        (LINES[2] | {"scores": {"base": 1}}, "one, two"),
    ],
)
def test_a_wrong_line_is_named_by_number_field_and_file(open_page: Open, line: dict, found: str) -> None:
    page = upload(open_page("lab"), packed([*LINES[:2], line, *LINES[3:]]), "my scores.jsonl")
    assert len(page.error) == 1
    assert "my scores.jsonl, line 3" in page.error[0].value
    assert found in page.error[0].value
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
    assert "By its own label **two** is best" in words(page)
    assert "Queries with its tags go to **base**" in words(page)
    assert "turns to **base**" in words(page)
    table = page.dataframe[0].value
    assert list(table["model"]) == list(POOL)
    assert list(table["score"]) == [0.0, 0.0, 0.4]
    assert table["enhanced"].to_numpy() == pytest.approx(table["prior"].to_numpy())
    page.slider(key="lab-beta").set_value(1.0).run()
    page.selectbox(key="lab-order").set_value("file").run()
    page.selectbox(key="lab-query").set_value(30).run()
    table = page.dataframe[0].value
    assert table["enhanced"].to_numpy() == pytest.approx(table["plain"].to_numpy())
    assert "stays with **two**" in words(page)


def test_queries_are_found_by_their_words(open_page: Open) -> None:
    page = upload(open_page("lab"), packed(LINES))
    page.text_input(key="lab-sought").set_value("SEA 20").run()
    assert page.selectbox(key="lab-query").options == ["Write about the sea 20"]
    page.text_input(key="lab-sought").set_value("nowhere").run()
    assert "No query is like this" in page.info[0].value
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
    seen = set()
    progress = Task.progress

    def look(task: Task[Any], *args: Any) -> None:
        seen.add(len(task.partial["rows"]) if task.partial else 0)
        progress(task, *args)

    monkeypatch.setattr(Task, "progress", look)
    page = part(upload(open_page("lab"), packed(LINES)), SWEEP)
    page.multiselect(key="lab-betas").set_value([0.0, 0.3, 1.0]).run()
    page.slider(key="lab-folds").set_value(2).run()
    assert "6 routers" in words(page)
    press(page, "Sweep beta")
    task = state(page).sweep
    assert task is not None
    task.wait(60)
    page.run()
    assert {1, 2} <= seen
    assert [row["beta"] for row in task.result["rows"]] == [0.0, 0.3, 1.0]
    assert list(page.dataframe[0].value["beta"]) == [0.0, 0.3, 1.0]
    assert "Routers earn most at" in page.success[0].value or "may be as good" in page.success[0].value
    assert "zooter sweep --scores scores.jsonl" in page.code[-1].value


def test_a_sweep_can_be_stopped_and_keeps_its_whole_rows(open_page: Open) -> None:
    page = part(upload(open_page("lab"), packed(LINES)), SWEEP)
    page.slider(key="lab-folds").set_value(10).run()
    press(page, "Sweep beta")
    task = state(page).sweep
    assert task is not None
    while task.running and not task.partial:
        time.sleep(0.001)
    page.run()
    page.button(key="lab-sweep-stop").click().run()
    task.wait(30)
    page.run()
    assert task.stopped
    assert f"{len(task.partial['rows'])} of 7 betas are done" in words(page)
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
    made = state(distilled).made
    assert made is not None
    found = made.result.report.held_back
    assert not distilled.exception
    values = [metric.value for metric in distilled.metric]
    assert values == [f"{found['mean'][key]:.3f}" for key in ("regret", "regret_best_single", "regret_random")]
    assert f"On {found['n']} held-back queries" in words(distilled)
    assert list(distilled.dataframe[0].value["who answers"]) == ["router", *POOL, "oracle"]
    log = "\n".join(code.value for code in distilled.code)
    assert "Training, epoch by epoch (8 of 8)" in log
    assert "Divergence from the labels" in log
    assert "zooter distill --scores scores.jsonl" in log
    assert "distill(scores," in log


def test_it_is_saved_as_a_fleet_that_can_be_picked(distilled: AppTest, own_fleet: Path) -> None:
    distilled.text_input[-1].set_value("lab-made")
    press(distilled, "Save as a fleet")
    assert "`models/lab-made`" in distilled.success[-1].value
    place = own_fleet.parent / "lab-made"
    assert load_fleet(place).pool == POOL
    assert resources.fleets()["lab-made"] == str(place)
    assert "30 queries of the file scores.jsonl" in (place / "README.md").read_text()
    assert "held_back" in json.loads((place / "report.json").read_text())

    press(distilled, "Save as a fleet")  # the name is taken now
    assert "may be replaced" in distilled.error[0].value
    distilled.checkbox[-1].check()
    press(distilled, "Save as a fleet")
    assert not distilled.error
    assert not distilled.exception


@pytest.mark.parametrize("name", ["../outside", "a b", ""])
def test_a_wrong_name_saves_nothing(distilled: AppTest, own_fleet: Path, name: str) -> None:
    distilled.text_input[-1].set_value(name)
    press(distilled, "Save as a fleet")
    assert "letters, digits and dashes" in distilled.error[0].value
    assert [entry.name for entry in own_fleet.parent.iterdir()] == ["first"]


def test_the_saved_fleet_gives_its_queries_as_a_sample(distilled: AppTest, open_page: Open, own_fleet: Path) -> None:
    distilled.text_input[-1].set_value("lab-made")
    press(distilled, "Save as a fleet")
    page = open_page("lab", own_fleet.parent / "lab-made")
    assert not page.error
    assert "these are they" in words(page)
    assert "with what each model earned" in words(page)
    assert page.slider(key="lab-beta").value == pytest.approx(0.0)  # as its own labels were made


def test_scores_of_more_models_can_be_cut_to_the_fleets(open_page: Open, own_fleet: Path) -> None:
    wider = [line | {"scores": line["scores"] | {"extra": 2.0}} for line in LINES]
    page = part(upload(open_page("lab", own_fleet), packed(wider)), DISTILL)
    assert page.checkbox(key="lab-only").value
    assert 'scores.only(["base", "one", "two"])' in page.code[0].value
    assert "The command takes every query and model" in words(page)
    page.checkbox(key="lab-only").uncheck().run()
    press(page, "Distill a router")
    made = state(page).made
    assert made is not None
    made.wait(60)
    page.run()
    assert "chooses among base, one, two, extra" in words(page)
    page.text_input[-1].set_value("wide")
    press(page, "Save the router")
    assert (own_fleet.parent / "wide" / "router" / "config.json").is_file()
    assert not (own_fleet.parent / "wide" / "fleet.toml").exists()
    assert "wide" not in resources.fleets()


def test_a_distillation_that_fails_keeps_nothing(open_page: Open) -> None:
    named = [line | {"scores": {"oracle": 1.0, "b": 0.0}} for line in LINES]
    page = part(upload(open_page("lab"), packed(named)), DISTILL)
    press(page, "Distill a router")
    made = state(page).made
    assert made is not None
    made.wait(60)
    page.run()
    assert "candidates not named like a method" in page.error[0].value
    assert not page.metric
    assert list(state(page).path.iterdir()) == []


def test_a_stopped_distillation_keeps_nothing(open_page: Open) -> None:
    page = part(upload(open_page("lab"), packed(LINES)), DISTILL)
    page.slider(key="lab-epochs").set_value(30).run()
    with heavy():  # the page's own turn, held so that the work waits
        press(page, "Distill a router")
        made = state(page).made
        assert made is not None
        page.run()
        assert made.waiting
        page.button(key="lab-distill-stop").click().run()
        made.wait(10)
    page.run()
    assert made.stopped
    assert "was stopped" in words(page)
    assert not page.metric
    assert list(state(page).path.iterdir()) == []


def test_what_was_made_outlives_a_rerun_and_new_settings(distilled: AppTest) -> None:
    first = state(distilled).made
    distilled.slider(key="lab-beta").set_value(0.9).run()
    assert state(distilled).made is first
    assert "Made with beta 0," in words(distilled)


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
    before = dict(state(page).steps), dict(state(page).read), dict(state(page).cut)
    page.run()
    after = dict(state(page).steps), dict(state(page).read), dict(state(page).cut)
    assert all(before)
    assert [list(map(id, one.values())) for one in before] == [list(map(id, one.values())) for one in after]


FIGURES = {"n": 10, "folds": 2, "seeds": 1, "normalise": "none"}


def rows(*uppers: float) -> list[dict]:
    return [
        {"beta": n / 10, "tau": 1.0, "mean": 1.0 + (upper == 0), "interval": (0, 1), "minus_best": (-1.0, upper)}
        for n, upper in enumerate(uppers)
    ]


@pytest.mark.parametrize(
    ("uppers", "best", "differs", "said"),
    [
        ((0.0,), 0.0, True, "One beta alone"),
        ((0.0, -0.1, -0.2), 0.0, True, "Every other beta is worse"),
        ((0.0, 0.1, 0.2), 0.0, False, "beta matters little here"),
        ((0.0, 0.1, -0.2), 0.0, False, "Only beta 0.2 is worse"),
    ],
)
def test_the_verdict_of_a_sweep(uppers: tuple, best: float, differs: bool, said: str) -> None:
    figures = FIGURES | {"rows": rows(*uppers), "best": {"beta": best, "tau": 1.0}, "differs": differs}
    assert said in sweep.verdict(figures)


@pytest.mark.parametrize(
    ("interval", "said"), [((0.1, 0.2), "beats"), ((-0.2, -0.1), "worse"), ((-0.1, 0.1), "cannot")]
)
def test_the_verdict_of_a_router(interval: tuple, said: str) -> None:
    assert said in distill.verdict({"interval": {"chosen_minus_best_single": interval}}, "one")


def test_the_verdict_of_a_query() -> None:
    sure, flat = np.array([0.98, 0.01, 0.01]), np.full(3, 1 / 3)
    clear = {"plain label": sure, "tag prior": flat, "enhanced label": sure}
    assert "The rewards are clear" in labels.verdict(POOL, clear, 0.3, True)
    unclear = clear | {"plain label": flat}
    assert "hardly tell the models apart" in labels.verdict(POOL, unclear, 0.3, False)


def test_the_orders_of_queries() -> None:
    rewards = np.array([[1.0, 0.0], [5.0, 0.0], [0.0, 0.1]])
    steps = label(rewards, ["x"] * 3, [("t",)] * 3, LabelConfig(beta=0.0))
    assert labels.order_of(steps, "file") == [0, 1, 2]
    assert labels.order_of(steps, "clear") == [1, 0, 2]
    assert labels.order_of(steps, "unclear") == [2, 0, 1]
    assert labels.order_of(steps, "changed") == [2]
