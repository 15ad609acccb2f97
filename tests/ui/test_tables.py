from __future__ import annotations

from zooter_core.ui import tables


def test_a_table_as_markdown_has_its_first_column_to_the_left() -> None:
    assert tables.markdown(["", "a"], [["x", "1"]]) == "|  | a |\n| --- | ---: |\n| x | 1 |"
    assert tables.markdown(["a", "b"], [], "rl").splitlines()[1] == "| ---: | --- |"


def test_a_small_negative_number_is_zero() -> None:
    assert [tables.written(".2f", value) for value in (-0.001, -0.01, 0.0)] == ["0.00", "-0.01", "0.00"]
