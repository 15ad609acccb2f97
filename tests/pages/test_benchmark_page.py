"""The Benchmark page over the tiny fleet with a run of its own, in every state."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from support.app_pages import Open, charts, column, opened, tables
from support.hostile_texts import faults
from support.sample_report import as_figures
from zooter_core import pipeline
from zooter_core.base.records import Query
from zooter_core.config.fleet import load_fleet
from zooter_core.data.runs import Run
from zooter_core.evaluation.figures import Verdict, to_json
from zooter_core.evaluation.sweep import sweep
from zooter_core.evaluation.verdicts import headline
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.labels import LabelConfig
from zooter_core.router.kinds import DistillConfig
from zooter_core.ui.text import plain


@pytest.fixture(scope="session")
def run(tiny_fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run of the tiny fleet: forty queries of two data sets, half of them held back, and its sweep."""
    from support import tiny_models

    folder = tmp_path_factory.mktemp("benchmark") / "run"
    fleet = load_fleet(tiny_fleet)
    ensemble = Ensemble(fleet)
    queries = [Query(f"q{n}", text, "odd" if n % 2 else "even") for n, text in enumerate(tiny_models.QUERIES)]
    with Run(folder, create=True) as opened:
        pipeline.start(opened, ensemble, queries)
        pipeline.collect(opened, ensemble, fleet.generation, samples=2)
        pipeline.score(opened, ensemble)
        pipeline.tag(opened, ensemble)
        pipeline.label(opened, LabelConfig(holdout=0.5))
        pipeline.distill_run(opened, ensemble, fleet.tagger.encoder, DistillConfig(epochs=2))
        scores, tags = opened.scores(), opened.tags()
    configs = [LabelConfig(beta) for beta in (0.0, 0.3, 1.0)]
    vectors = ensemble.encoders(fleet.tagger.encoder).embed_all([query.text for query in scores.queries])
    figures = sweep(scores, tags, vectors, configs, DistillConfig(epochs=2))
    (folder / "sweep.json").write_text(json.dumps(to_json(figures)))
    return folder


@pytest.fixture
def fleet_with_report(fleet_copy: Path, run: Path) -> Path:
    """The tiny fleet with the report of its run."""
    shutil.copy(run / "report.json", fleet_copy)
    return fleet_copy


def report(folder: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return figures


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    figures = report(folder)
    edit(figures)
    (folder / "report.json").write_text(json.dumps(figures))


def unfolded(open_page: Open, folder: Path) -> AppTest:
    """The page with all its tables."""
    return opened(open_page("benchmark", folder), "more-figures", "points")


def downloads(page: AppTest) -> list[str]:
    return [element.proto.label for element in page.get("download_button")]


def plots(page: AppTest) -> int:
    return len(charts(page))


def methods(page: AppTest) -> list[list[str]]:
    """The cells of the table of methods."""
    return tables(page)[0]


def test_no_report_says_how_to_make_one(open_page: Open, tiny_fleet: Path) -> None:
    page = open_page("benchmark")
    assert "no report yet" in page.info[0].value
    assert f"zooter run --fleet {tiny_fleet}" in page.code[0].value
    assert page.code[0].proto.wrap_lines
    assert not tables(page)


def test_a_sweep_beside_the_report_is_drawn_and_every_column_has_its_meaning(
    open_page: Open, fleet_with_report: Path, run: Path
) -> None:
    shutil.copy(run / "sweep.json", fleet_with_report)
    page = unfolded(open_page, fleet_with_report)
    assert not page.error
    assert [len(row) for row in methods(page)] == [7] * len(methods(page))
    assert plots(page) == 3
    assert column(tables(page)[3], "beta") == ["0", "0.3", "1"]
    verdict = next(text.value for text in page.markdown if "scores highest" in text.value or "values of" in text.value)
    assert ("significantly higher" in verdict) == json.loads((run / "sweep.json").read_text())["differs"]
    assert downloads(page) == ["This table (CSV)"] * 3 + ["Full report (JSON)"]
    meanings = [element.value for element in page.markdown if element.value.startswith("- **")]
    for table in tables(page)[2:]:
        assert any(all(f"- **{name}**: " in text for name in table[0]) for text in meanings)


def test_a_report_is_a_verdict_tables_and_a_chart(open_page: Open, fleet_with_report: Path) -> None:
    page = unfolded(open_page, fleet_with_report)
    held_back = report(fleet_with_report)["held_back"]
    verdict = held_back["verdict"]
    assert (verdict["n"], verdict["significant"], verdict["hindsight"]) == (20, False, False)
    sentence = headline(as_figures(Verdict, verdict))
    assert page.markdown[0].value.startswith(f"**{plain(sentence)}**")
    assert f"always using {verdict['against']}" in sentence
    head, *rows = methods(page)
    assert head == ["", "base", "one", "two", "router", "all models", "perfect choice"]
    shown = {row[0]: row[1:] for row in rows}
    for name, row in held_back["datasets"].items():
        expected = [*row["candidates"].values(), row["chosen"], row["rmr"], row["oracle"]]
        assert [float(cell) for cell in shown[name]] == pytest.approx(expected, abs=0.0051)
    ranks = [held_back["mtr"][name] for name in ("router", "rmr", "oracle")]
    order = next(row for row in tables(page)[1] if row[0] == "MTR")
    assert [float(cell) for cell in order[4:]] == pytest.approx(ranks, abs=0.0051)
    ways = tables(page)[2]
    assert max(map(float, column(ways, "calls"))) == 3
    assert max(map(float, column(ways, "reward"))) == pytest.approx(held_back["mean"]["oracle"], abs=5e-4)
    assert plots(page) == 2
    assert "no sweep" in page.info[-1].value
    assert f"> {fleet_with_report / 'sweep.json'}" in page.code[-1].value


def test_without_held_back_queries_cross_validation_has_the_verdict_and_names_are_no_markdown(
    open_page: Open, fleet_with_report: Path
) -> None:
    name = "![x](http://elsewhere/x.png)"

    def crossed(figures: dict[str, Any]) -> None:
        verdict = figures.pop("held_back")["verdict"] | {"against": name, "never_needed": [name]}
        figures["cross_validation"] = verdict | {"source": "cross-validation", "n": 900}

    change(fleet_with_report, crossed)
    page = unfolded(open_page, fleet_with_report)
    assert "900 cross-validated queries" in page.markdown[0].value
    assert faults(page.markdown[0].value) == []


def traces(page: AppTest) -> list[dict[str, Any]]:
    """The lines and marks of the chart of cost and quality."""
    drawn: list[dict[str, Any]] = charts(page)["cost-quality"]["data"]
    return drawn


def test_the_chart_draws_the_curves_that_are_chosen(open_page: Open, fleet_with_report: Path) -> None:
    def lines() -> list[str]:
        return [trace["name"] for trace in traces(page) if "lines" in trace["mode"]]

    page = unfolded(open_page, fleet_with_report)
    two, three = [["random queries", f"router, {k} models if unsure"] for k in (2, 3)]
    assert lines() == two + three
    page.pills(key="curves").set_value([2]).run()
    assert lines() == two
    page.pills(key="curves").set_value([]).run()
    assert lines() == []
    assert {trace["name"] for trace in traces(page)} >= {"router", "all models"}
    curves = report(fleet_with_report)["held_back"]["selection"]["curves"]
    thresholds = [float(cell) for cell in column(tables(page)[2], "threshold") if cell != "–"]
    assert thresholds == pytest.approx([point["threshold"] for c in curves for point in c["points"][1:]], abs=5e-4)
    assert any("a second response was better on similar training queries" in text.value for text in page.markdown)


def test_the_chart_says_where_its_lines_and_marks_are_of_other_queries(
    open_page: Open, fleet_with_report: Path
) -> None:
    assert not any("Lines are of" in text.value for text in open_page("benchmark", fleet_with_report).caption)
    change(fleet_with_report, lambda figures: figures["held_back"]["selection"].update(n=12))
    change(fleet_with_report, lambda figures: figures["held_back"]["counts"].update(chosen=15))
    (note,) = [text.value for text in open_page("benchmark", fleet_with_report).caption if "Lines are of" in text.value]
    assert "Some scores are missing" in note
    assert "of the 12 queries" in note


def test_a_report_without_parts_is_drawn_and_a_broken_file_is_one_error(
    open_page: Open, fleet_with_report: Path
) -> None:
    change(fleet_with_report, lambda figures: figures["held_back"].pop("selection"))  # as of a pool of one
    page = unfolded(open_page, fleet_with_report)
    assert not page.pills
    assert len(tables(page)) == 3
    change(fleet_with_report, lambda figures: figures.pop("held_back"))
    page.run()
    assert "held back no queries" in page.info[0].value
    assert downloads(page) == ["Full report (JSON)"]
    for name, content, message in (
        ("sweep.json", "", "sweep.json"),  # of a command that was stopped
        ("report.json", '{"candidates": {}}', "another kind of report"),
    ):
        (fleet_with_report / name).write_text(content)
        page.run()
        assert [message in error.value for error in page.error] == [True]
        assert not tables(page)


def test_prices_turn_calls_into_dollars(open_page: Open, fleet_with_report: Path) -> None:
    def priced(figures: dict[str, Any]) -> None:
        held_back = figures["held_back"]
        held_back["dollars"] = {"chosen": 2.0, "candidates": {"base": 1.0, "one": 2.0, "two": 3.0}}
        held_back["dollars"] |= {"random": 2.0, "all": 6.0}
        for curve in held_back["selection"]["curves"]:
            for point in curve["points"]:
                point["dollars"] = 2 * point["calls"]

    change(fleet_with_report, priced)
    page = unfolded(open_page, fleet_with_report)
    assert max(float(cell) for cell in column(tables(page)[2], "dollars")) == 6.0
    assert any("Dollars cover" in caption.value for caption in page.caption)
