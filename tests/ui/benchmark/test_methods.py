from __future__ import annotations

from zooter_core.evaluation.report_tables import ALL, ONE, Method
from zooter_core.ui.benchmark import sections
from zooter_core.ui.tables import Column

COLUMNS = [Column("dataset:sums", "su|ms", "", ".2f"), Column("mtr", "MTR", "", ".2f")]


def table(models: int) -> list[Method]:
    candidates = [Method(f"m{n}", ONE, {"dataset:sums": float(n), "mtr": 9.0 - n}) for n in range(models)]
    router = Method("router", ONE, {"dataset:sums": models - 1.0, "mtr": 1.0})
    return [*candidates, router, Method("oracle", ALL, {"dataset:sums": 99.0})]


def test_methods_stand_side_by_side_and_the_best_that_runs_one_model_is_bold() -> None:
    head, rows = sections.cells(table(2), COLUMNS, 2)
    assert head == ["", "m0", "m1", "router", "oracle"]
    best = ":green-background[**1.00**]"
    assert rows == [["su\\|ms", "0.00", best, best, "99.00"], ["MTR", "9.00", "8.00", best, "–"]]


def test_of_many_models_the_best_stands_for_all() -> None:
    head, rows = sections.cells(table(6), COLUMNS, 6)
    assert head == ["", "best model", "router", "oracle"]
    best = ":green-background[**5.00**]"
    assert rows[0] == ["su\\|ms", f"m5 {best}", best, "99.00"]
    assert rows[1][1:] == ["m5 4.00", ":green-background[**1.00**]", "–"]
