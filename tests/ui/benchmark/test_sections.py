"""The Benchmark page's table of methods, chart of cost and quality, and its headline."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from support.sample_report import evaluation
from zooter_core.evaluation.charts import ROUTER, Figure
from zooter_core.evaluation.figures import Evaluation
from zooter_core.evaluation.report_tables import ALL, ONE, Method, Point
from zooter_core.ui.benchmark import sections, view
from zooter_core.ui.charts import colour
from zooter_core.ui.tables import Column

COLUMNS = [Column("dataset:sums", "su|ms", "", ".2f"), Column("mtr", "MTR", "", ".2f")]


def table(models: int) -> list[Method]:
    candidates = [Method(f"m{n}", ONE, {"dataset:sums": float(n), "mtr": 9.0 - n}) for n in range(models)]
    router = Method("router", ONE, {"dataset:sums": models - 1.0, "mtr": 1.0})
    return [*candidates, router, Method("oracle", ALL, {"dataset:sums": 99.0})]


def test_methods_stand_side_by_side_and_the_best_that_runs_one_model_is_bold() -> None:
    head, rows = sections.method_cells(table(2), COLUMNS, 2)
    assert head == ["", "m0", "m1", "router", "perfect choice"]
    best = ":green-background[**1.00**]"
    assert rows == [["su\\|ms", "0.00", best, best, "99.00"], ["MTR", "9.00", "8.00", best, "–"]]


def test_of_many_models_the_best_stands_for_all() -> None:
    head, rows = sections.method_cells(table(6), COLUMNS, 6)
    assert head == ["", "best model", "router", "perfect choice"]
    best = ":green-background[**5.00**]"
    assert rows[0] == ["su\\|ms", f"m5 {best}", best, "99.00"]
    assert rows[1][1:] == ["m5 4.00", ":green-background[**1.00**]", "–"]


@pytest.mark.parametrize(("rmr", "shown"), [(1.25, True), (2.5, False)])
def test_what_all_models_earn_is_shown_unless_it_is_what_a_perfect_choice_earns(rmr: float, shown: bool) -> None:
    def page(rmr: float) -> None:
        from dataclasses import replace

        from support.sample_report import evaluation
        from zooter_core.ui.benchmark.sections import draw_methods

        held_back = evaluation()
        draw_methods(replace(held_back, mean=held_back.mean | {"rmr": rmr, "oracle": 2.5}))

    test = AppTest.from_function(page, kwargs={"rmr": rmr}).run()
    assert not test.exception
    texts = [element.value for element in (*test.markdown, *test.caption)]
    assert any("perfect choice" in text for text in texts)
    assert any("all models" in text.lower() for text in texts) == shown


def test_data_sets_have_titles_on_the_page_alone() -> None:
    held_back = evaluation()
    held_back.datasets["terse_chat"] = held_back.datasets.pop("x")
    columns = sections.method_columns(held_back, [])[:2]
    assert {column.key: column.label for column in columns} == {
        "dataset:terse_chat": "questions in a few words",
        "dataset:y": "y",  # of somebody else
    }
    assert sorted(column.help.split(" over ")[1].split(";")[0] for column in columns) == [
        "1 held-back query",
        "3 held-back queries",
    ]


POOL = ("chat", "math")
POINTS = [
    Point("chat", 1, 0.5, 2.0, candidate=True),
    Point("math", 1, 0.6, 4.0, candidate=True),
    Point("router", 1, 1.0, 3.0),
    Point("oracle", 2, 1.5, 6.0),
]
LINE = [
    Point("router", 1.0, 1.0, 3.0, k=2, share=0.0, threshold=0.9),
    Point("router", 1.5, 1.3, 4.0, k=2, share=0.5, threshold=0.4),
    Point("router", 2.0, 1.4, 6.0, k=2, share=1.0, threshold=0.1),
]


def by_name(figure: Figure) -> dict[str, Figure]:
    return {trace["name"]: trace for trace in figure["data"]}


def places(trace: Figure) -> list[tuple[float, float]]:
    return list(zip(trace["x"], trace["y"], strict=True))


UNSURE = "router, 2 models if unsure"


def test_each_way_is_a_mark_and_each_k_a_line_with_its_name_in_the_legend() -> None:
    alone = sections.cost_chart(POINTS, {}, POOL, priced=False)
    names = ["chat", "math", "router", "perfect choice"]
    assert [places(by_name(alone)[name]) for name in names] == [[(1, 0.5)], [(1, 0.6)], [(1, 1.0)], [(2, 1.5)]]
    figure = sections.cost_chart(POINTS, {2: LINE, 3: LINE}, POOL, priced=False)
    lines = by_name(figure)
    marks = [lines[name] for name in names]
    assert marks[1]["marker"]["color"] == colour(POOL, "math")
    assert len({mark["marker"]["symbol"] for mark in marks}) == len(POINTS)
    assert [mark["hovertext"][0].split(" earns ")[0] for mark in marks] == names
    assert places(lines[UNSURE]) == [(1.0, 1.0), (1.5, 1.3), (2.0, 1.4)]
    assert "2 models answer 50% of the queries" in lines[UNSURE]["hovertext"][1]
    assert places(lines["random queries"]) == [(1.0, 1.0), (2.0, 1.4)]
    shown = [trace["name"] for trace in figure["data"] if trace.get("showlegend", True)]
    assert shown == ["random queries", UNSURE, "router, 3 models if unsure", *names]
    assert figure["layout"]["showlegend"]


def test_what_is_far_away_squashes_nothing() -> None:
    low = [Point(name, 1.0, reward, candidate=True) for name, reward in {"chat": -0.5, "math": -2.7}.items()]
    points = [*low, Point("router", 1.0, 0.9), Point("oracle", 2.0, 2.5), Point("random", 1.0, -1.5)]
    far = sections.far_away(points, {2: LINE})
    assert [point.name for point in far] == ["oracle", "chat", "random", "math"]
    near = [Point("chat", 1.0, 0.5, candidate=True), Point("oracle", 2.0, 1.9)]
    assert sections.far_away([*near, *points[2:3]], {2: LINE}) == []
    assert sections.far_away(low, {}) == []  # nothing to compare them with


def figures(chosen: float, oracle: float = 0.5) -> Evaluation:
    regrets = {"regret": oracle - chosen, "regret_best_single": oracle + 0.5, "regret_random": oracle + 1.0}
    means = regrets | {"random": -1.0, "best_single": -0.5, "chosen": chosen, "rmr": 0.25, "oracle": oracle}
    return evaluation(mean=means, average={"best_single": {"candidate": "<b>", "score": -0.5}})


@pytest.mark.parametrize(
    ("chosen", "oracle", "sentence"),
    [
        (0.3, 0.5, "80% of the way from the best single model to a perfect choice, with one call instead of 2."),
        (-0.6, 0.5, "No better than <b> alone, with one call instead of 2."),
        (-0.5, -0.5, "<b> alone is already a perfect choice on every query."),
    ],
)
def test_the_sentence_says_what_the_figures_are(chosen: float, oracle: float, sentence: str) -> None:
    assert view.describe_share_of_gap(figures(chosen, oracle)) == sentence


def test_where_scores_are_missing_no_router_is_better_than_a_perfect_choice() -> None:
    means = {"chosen": 0.74, "oracle": 0.67, "best_single": 0.48, "random": 0.47, "rmr": 0.67}
    missing = evaluation(mean=means | {"regret": 0.01, "regret_best_single": 0.2, "regret_random": 0.2})
    assert "95% of the way" in view.describe_share_of_gap(missing)
    means = [mean for _, mean, _ in view.mean_rows(missing, ["one", "two"])]
    assert means[2] < means[4]


def test_every_method_has_its_mean_reward() -> None:
    rows = view.mean_rows(figures(0.5, 0.5), ["<b>", "two"])
    assert [name for name, _, _ in rows] == [
        "a random model", "<b> alone", "the router (1 call)", "all models (2 calls)", "a perfect choice",
    ]  # fmt: skip
    assert rows[0][1] == min(mean for _, mean, _ in rows)
    assert rows[2] == ("the router (1 call)", 0.5, ROUTER)
