"""Tables and points of a report, worked by hand.

| data set | n | a | b | router | RMR | oracle | random |
|----------|---|---|---|--------|-----|--------|--------|
| x        | 3 | 1 | 2 | 2      | 3   | 4      | 1.5    |
| y        | 1 | 5 | 3 | 4      | 5   | 6      | 4      |
"""

from __future__ import annotations

import csv
import io
import json

import pytest

from zooter_core.errors import ZooterError
from zooter_core.evaluation import report
from zooter_core.evaluation.report import ALL, ONE, Point


def held_back():
    """A new report's held-back part, as far as tables and points go."""
    return {
        "n": 4,
        "datasets": {
            "x": {"n": 3, "chosen": 2, "rmr": 3, "oracle": 4, "random": 1.5, "candidates": {"a": 1, "b": 2}},
            "y": {"n": 1, "chosen": 4, "rmr": 5, "oracle": 6, "random": 4, "candidates": {"a": 5, "b": 3}},
        },
        "mtr": {"router": 3.75, "a": 3.75, "b": 4.25, "rmr": 2.25, "oracle": 1.0},
        "uplift": {"router": 0.0, "a": 0.0, "b": 0.0, "rmr": 0.0, "oracle": 1.0},
        "single": {"mtr": {"router": 1.75, "a": 2.0, "b": 2.25}, "uplift": {"router": 0.5, "a": 0.5, "b": 0.5}},
        "average": {"best_single": {"candidate": "a", "score": 3.0}},
        "mean": {"chosen": 2.5, "oracle": 4.5, "best_single": 2.0, "regret": 2.0, "regret_best_single": 2.5}
        | {"regret_random": 2.375},
        "interval": {name: [1.5, 3.0] for name in ("regret", "regret_best_single", "regret_random")},
        "dollars": {"chosen": 3.0, "candidates": {"a": 1.0, "b": 5.0}, "random": 3.0, "all": 6.0},
        "selection": {
            "curves": [
                {"trigger": "margin", "k": 2, "points": [
                    {"calls": 1.0, "dollars": 3.0, "score": 2.5, "threshold": 0.9},
                    {"calls": 1.5, "dollars": 4.0, "score": 3.0, "threshold": 0.4},
                    {"calls": 2.0, "dollars": 6.0, "score": 3.5, "threshold": 0.1},
                ]},
                {"trigger": "entropy", "k": 2, "points": [{"calls": 1.0, "score": 2.5, "threshold": 0.8}]},
            ],
            "best": {"trigger": "entropy", "k": 2},
        },
    }  # fmt: skip


def old():
    """The same of a report before RMR's figures, prices and selection were in it."""
    found = held_back()
    for row in found["datasets"].values():
        del row["rmr"]
    return {key: value for key, value in found.items() if key not in ("dollars", "selection")}


def test_a_row_a_method_grouped_by_what_it_runs():
    rows = report.table_one(held_back())
    assert [(row.name, row.group) for row in rows] == [
        ("a", ONE), ("b", ONE), ("router", ONE), ("RMR", ALL), ("oracle", ALL)
    ]  # fmt: skip


def test_averages_are_over_data_sets_whatever_their_size():
    averages = {row.name: row.values["average"] for row in report.table_one(held_back())}
    assert averages == {"a": 3.0, "b": 2.5, "router": 3.0, "RMR": 4.0, "oracle": 5.0}


def test_a_row_has_each_data_set_and_its_ranks():
    router, rmr = report.table_one(held_back())[2:4]
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


def test_an_old_report_has_the_places_of_rmr_alone():
    rmr = report.table_one(old())[3]
    assert (rmr.name, rmr.values) == ("RMR", {"mtr": 2.25, "uplift": 0.0})


def test_the_best_is_of_those_that_run_one_model_and_may_be_shared():
    found = report.best(report.table_one(held_back()))
    assert (found["dataset:x"], found["dataset:y"]) == ({1, 2}, {0})  # b and the router; a
    assert (found["average"], found["mtr"]) == ({0, 2}, {0, 2})
    assert (found["mtr_one"], found["uplift_one"]) == ({2}, {0, 1, 2})


def test_a_data_set_may_be_named_like_a_column():
    figures = json.loads(json.dumps(held_back()).replace('"x"', '"average"').replace('"y"', '"mtr"'))
    router = report.table_one(figures)[2].values
    assert (router["dataset:average"], router["average"], router["dataset:mtr"], router["mtr"]) == (2.0, 3.0, 4.0, 3.75)


def test_named_points_are_means_over_queries():
    """Three queries of x and one of y: a (3 * 1 + 5) / 4."""
    points = {point.name: point for point in report.named(held_back())}
    assert {name: point.reward for name, point in points.items()} == {
        "a": 2.0, "b": 2.25, "random": 2.125, "router": 2.5, "RMR": 3.5, "oracle": 4.5
    }  # fmt: skip
    assert {name: (point.calls, point.dollars) for name, point in points.items()} == {
        "a": (1, 1.0), "b": (1, 5.0), "random": (1, 3.0), "router": (1, 3.0), "RMR": (2, 6.0), "oracle": (2, 6.0)
    }  # fmt: skip
    assert [point.name for point in points.values() if point.candidate] == ["a", "b"]


def test_an_old_report_has_points_without_rmr_and_prices():
    points = {point.name: point for point in report.named(old())}
    assert set(points) == {"a", "b", "random", "router", "oracle"}
    assert all(point.dollars is None for point in points.values())
    assert report.triggers(old()) == []


def test_a_candidate_may_be_named_like_a_way_of_choosing():
    figures = json.loads(json.dumps(held_back()).replace('"a"', '"random"').replace('"b"', '"RMR"'))
    points = [(point.name, point.candidate, point.reward) for point in report.named(figures)]
    assert points[:4] == [("random", True, 2.0), ("RMR", True, 2.25), ("random", False, 2.125), ("router", False, 2.5)]
    assert [(row.name, row.group) for row in report.table_one(figures)][1::2] == [("RMR", ONE), ("RMR", ALL)]


def test_a_curve_has_a_point_a_threshold():
    found = report.curves(held_back(), "margin")
    assert list(found) == [2]
    assert [(p.share, p.threshold, p.calls, p.dollars, p.reward) for p in found[2]] == [
        (0.0, 0.9, 1.0, 3.0, 2.5), (0.5, 0.4, 1.5, 4.0, 3.0), (1.0, 0.1, 2.0, 6.0, 3.5)
    ]  # fmt: skip
    assert report.triggers(held_back()) == ["entropy", "margin"]


def test_the_frontier_leaves_out_what_another_beats():
    """By calls, b (2.25) is beaten by the router (2.5) for the same; by dollars, a costs less than the router."""
    points = report.named(held_back())
    real = [point for point in points if point.name not in ("random", "oracle")]
    assert [point.name for point in report.frontier(real, priced=False)] == ["router", "RMR"]
    assert [point.name for point in report.frontier(real, priced=True)] == ["a", "router", "RMR"]
    same = [Point("p", 1, 2.0), Point("q", 2, 2.0)]
    assert report.frontier(same, priced=False) == same[:1]


SWEEP = {
    "n": 10, "folds": 2, "seeds": 1, "normalise": "none",
    "rows": [
        {"beta": 0.0, "tau": 1.0, "mean": 1.0, "interval": [0.5, 1.5], "regret": 1.0, "minus_best": [-0.5, -0.1]},
        {"beta": 0.3, "tau": 1.0, "mean": 1.3, "interval": [0.8, 1.8], "regret": 0.7, "minus_best": [0.0, 0.0]},
        {"beta": 1.0, "tau": 1.0, "mean": 1.2, "interval": [0.7, 1.7], "regret": 0.8, "minus_best": [-0.3, 0.1]},
    ],
    "best": {"beta": 0.3, "tau": 1.0}, "differs": False,
}  # fmt: skip


def test_which_betas_may_be_as_good():
    assert [row["beta"] for row in report.as_good(SWEEP)] == [1.0]
    assert [report.is_best(row, SWEEP) for row in SWEEP["rows"]] == [False, True, False]


def test_csv_is_read_back():
    rows = [{"method": 'a, "b"', "reward": 0.1}, {"method": "☕", "reward": None}]
    assert list(csv.DictReader(io.StringIO(report.to_csv(rows)))) == [
        {"method": 'a, "b"', "reward": "0.1"}, {"method": "☕", "reward": ""}
    ]  # fmt: skip


# Files


REPORT = {"candidates": {"all": {"n": 4, "mean_reward": {"a": 1, "b": 2}}}}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_report_lies_in_the_folder_or_with_the_router(tmp_path):
    router = tmp_path / "run" / "router"
    assert report.find(tmp_path, router) is None
    inside = write(router / "report.json", {})
    assert report.find(tmp_path, router) == inside  # zooter distill --scores
    beside = write(tmp_path / "run" / "report.json", {})
    assert report.find(tmp_path, router) == beside  # zooter run
    own = write(tmp_path / "report.json", {})
    assert report.find(tmp_path, router) == own
    assert report.find(tmp_path) == own


def test_reports_are_read(tmp_path):
    path = write(tmp_path / "report.json", REPORT)
    assert report.load_report(path) == REPORT
    write(path, REPORT | {"held_back": held_back()})
    assert report.load_report(path)["held_back"]["n"] == 4
    assert report.load_sweep(write(tmp_path / "sweep.json", SWEEP)) == SWEEP


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "a readable"),
        ("[]", "a JSON object"),
        ({"candidates": ["a", "b"], "added": "b"}, "another kind of report"),  # of zooter extend
        ({"candidates": {}}, "another kind of report"),
        (REPORT | {"held_back": {}}, "KeyError"),
        (REPORT | {"held_back": {**held_back(), "datasets": {}}}, "StopIteration"),
        (REPORT | {"held_back": {**held_back(), "mtr": None}}, "TypeError"),
        (REPORT | {"held_back": {**held_back(), "interval": {"regret": [1]}}}, "ValueError"),
        (REPORT | {"held_back": {**held_back(), "mean": {"chosen": 1}}}, "KeyError: 'oracle'"),
    ],
)
def test_a_report_that_cannot_be_read_is_one_clear_error(tmp_path, content, said):
    with pytest.raises(ZooterError, match=said):
        report.load_report(write(tmp_path / "report.json", content))


@pytest.mark.parametrize(
    "content",
    ["no", {}, {"rows": []}, {"rows": [{}]}, {k: v for k, v in SWEEP.items() if k != "best"}],
)
def test_a_sweep_that_cannot_be_read_is_one_clear_error(tmp_path, content):
    with pytest.raises(ZooterError):
        report.load_sweep(write(tmp_path / "sweep.json", content))


def test_the_next_step_of_a_run(tmp_path):
    assert report.next_step(tmp_path) is None
    write(tmp_path / "run.json", {"seals": {"start": {}, "collect": {}}})
    assert report.next_step(tmp_path) == "score"
    steps = ("start", "collect", "score", "tag", "label", "distill")
    write(tmp_path / "run.json", {"seals": {step: {} for step in steps}})
    assert report.next_step(tmp_path) is None
