"""Tables and points of a report, worked by hand from the figures in tests/support/sample_report.py."""

from __future__ import annotations

from support.sample_report import evaluation
from zooter_core.evaluation import report_tables
from zooter_core.evaluation.report_tables import ALL, ONE, Point


def test_a_row_a_method_grouped_by_what_it_runs_has_each_data_set_and_its_ranks():
    rows = report_tables.table_one(evaluation())
    assert [(row.name, row.group) for row in rows] == [
        ("a", ONE), ("b", ONE), ("router", ONE), ("RMR", ALL), ("oracle", ALL)
    ]  # fmt: skip
    router, rmr = rows[2:4]
    assert router.values == {
        "dataset:x": 2.0,
        "dataset:y": 4.0,
        "average": 3.0,
        "mtr": 3.75,
        "uplift": 0.0,
        "mtr_one": 1.75,
        "uplift_one": 0.5,
    }
    assert rmr.values == {"dataset:x": 3.0, "dataset:y": 5.0, "average": 4.0, "mtr": 2.25, "uplift": 0.0}


def test_the_best_is_of_those_that_run_one_model_and_may_be_shared():
    winners = report_tables.best(report_tables.table_one(evaluation()))
    assert (winners["dataset:x"], winners["dataset:y"]) == ({1, 2}, {0})  # b and the router; a
    assert (winners["average"], winners["mtr"]) == ({0, 2}, {0, 2})
    assert (winners["mtr_one"], winners["uplift_one"]) == ({2}, {0, 1, 2})


def test_named_points_are_means_over_queries():
    """Three queries of x and one of y: a (3 * 1 + 5) / 4."""
    points = {point.name: point for point in report_tables.named(evaluation())}
    assert {name: point.reward for name, point in points.items()} == {
        "a": 2.0, "b": 2.25, "random": 2.125, "router": 2.5, "RMR": 3.5, "oracle": 4.5
    }  # fmt: skip
    assert {name: (point.calls, point.dollars) for name, point in points.items()} == {
        "a": (1, 1.0), "b": (1, 5.0), "random": (1, 3.0), "router": (1, 3.0), "RMR": (2, 6.0), "oracle": (2, 6.0)
    }  # fmt: skip
    assert [point.name for point in points.values() if point.candidate] == ["a", "b"]


def test_a_curve_has_a_point_a_threshold():
    curves = report_tables.curves(evaluation().selection)
    assert list(curves) == [2]
    assert [(p.share, p.threshold, p.calls, p.dollars, p.reward) for p in curves[2]] == [
        (0.0, 0.9, 1.0, 3.0, 2.5), (0.5, 0.4, 1.5, 4.0, 3.0), (1.0, 0.1, 2.0, 6.0, 3.5)
    ]  # fmt: skip


def test_the_frontier_leaves_out_what_another_beats():
    """By calls, b (2.25) is beaten by the router (2.5) for the same; by dollars, a costs less than the router."""
    points = report_tables.named(evaluation())
    real = [point for point in points if point.name not in ("random", "oracle")]
    assert [point.name for point in report_tables.frontier(real, priced=False)] == ["router", "RMR"]
    assert [point.name for point in report_tables.frontier(real, priced=True)] == ["a", "router", "RMR"]
    same = [Point("p", 1, 2.0), Point("q", 2, 2.0)]
    assert report_tables.frontier(same, priced=False) == same[:1]
