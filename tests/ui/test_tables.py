from __future__ import annotations

import csv
import io
import math

import pytest

from zooter_core.ui import tables
from zooter_core.ui.tables import Column


def test_a_table_as_markdown_has_its_first_column_to_the_left() -> None:
    assert tables.markdown(["", "a"], [["x", "1"]]) == "|  | a |\n| --- | ---: |\n| x | 1 |"
    assert tables.markdown(["a", "b"], [], "rl").splitlines()[1] == "| ---: | --- |"
    # one mark too many, as of the exam without problems: it would be no table
    assert tables.markdown(["a", "b"], [["1", "2"]], "llr") == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_a_small_negative_number_is_zero() -> None:
    column = Column("x", "x", "", ".2f")
    assert [tables.figure(column, value, False) for value in (-0.001, -0.01, 0.0)] == ["0.00", "-0.01", "0.00"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"])
def test_a_cell_that_a_spreadsheet_would_run_is_made_harmless(text: str) -> None:
    assert tables.harmless(text) == f"'{text}"


@pytest.mark.parametrize("cell", ["1+1", "a=b", "", -1.5, 3])
def test_other_cells_stay(cell: object) -> None:
    assert tables.harmless(cell) == cell


def test_csv_is_read_back():
    rewards = {'a, "b"': 0.1, "☕": None, "t": math.nan, "=cmd()": -1.5}
    rows = list(csv.reader(io.StringIO(tables.to_csv([{"method": name, "reward": rewards[name]} for name in rewards]))))
    assert rows == [["method", "reward"], ['a, "b"', "0.1"], ["☕", ""], ["t", ""], ["'=cmd()", "-1.5"]]
