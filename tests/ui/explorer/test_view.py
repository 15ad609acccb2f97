from __future__ import annotations

import numpy as np

from zooter_core.evaluation.figures import Calibration
from zooter_core.method.metrics import wilson_interval
from zooter_core.method.tag_table import TagTable
from zooter_core.ui.charts import PALETTE
from zooter_core.ui.explorer import live, view

TABLE = TagTable(
    ("sums", "<b>odd</b>"),
    np.array([4, 1]),
    np.array([[0.5, 0.5], [1.0, 0.0]]),
    np.array([[0.7, 0.3], [0.4, 0.6]]),
    np.array([[2.0, 1.0], [-1.0, 3.0]]),
)


def columns(option) -> list[list[list]]:
    """The cells of each candidate's column: column, row, shade, number, and three lines of the hover."""
    return [series["data"] for series in option["series"] if series["type"] == "heatmap"]


def shades(option) -> list[list[float]]:
    """The shade of each cell, a row per tag."""
    return [[cell[2] for cell in row] for row in zip(*columns(option), strict=True)]


def numbers(option) -> list[str]:
    return [cell[3] for row in zip(*columns(option), strict=True) for cell in row]


def test_bars_keep_pool_order_and_colours():
    series = live._bar_chart({"a": 0.25, "b": 0.75})["series"][0]
    assert [(bar["value"], bar["itemStyle"]["color"]) for bar in series["data"]] == [
        (25.0, PALETTE[0]),
        (75.0, PALETTE[1]),
    ]
    assert series["data"][1]["label"]["formatter"] == "75%"


def test_each_column_goes_from_the_ground_to_its_models_colour():
    option = view.heat_map(TABLE, "probability", ("a", "b"))
    assert shades(option) == [[0.7, 0.3], [0.4, 0.6]]
    assert numbers(option) == ["70%", "30%", "40%", "60%"]
    assert [(scale["seriesIndex"], scale["inRange"]["color"]) for scale in option["visualMap"]] == [
        (0, ["rgba(0,114,178,0)", "rgba(0,114,178,0.55)"]),
        (1, ["rgba(230,159,0,0)", "rgba(230,159,0,0.55)"]),
    ]


def test_long_names_stand_aslant_above_the_columns():
    def angle(*pool: str) -> float:
        return view.heat_map(TABLE, "probability", pool)["xAxis"]["axisLabel"]["rotate"]

    assert angle("math", "code") == 0
    assert angle("qwen2.5-7b-instruct", "mistral-small-24b") == view.SLANT


def test_rewards_are_coloured_within_their_tag_and_shown_as_they_are():
    """sums: mean 1.5, so .5 above and below; odd: mean 1, so 2 below and above."""
    option = view.heat_map(TABLE, "reward", ("a", "b"))
    assert shades(option) == [[0.5, 0.0], [0.0, 2.0]]
    assert numbers(option)[2:] == ["-1.00", "3.00"]
    assert columns(option)[0][1][5:] == ["mean reward -1.00, -2.00 from the tag's mean", "1 query"]


def test_differences_are_in_points():
    option = view.heat_map(TABLE, "difference", ("a", "b"))
    assert numbers(option)[:2] == ["+20", "-20"]
    np.testing.assert_allclose(shades(option)[0], [0.2, 0.2])
    expected = ["sums: a", "router 70.0%, actually best 50.0%; difference +20.0 points", "4 queries"]
    assert columns(option)[0][0][4:] == expected


def test_a_large_pool_has_no_room_for_numbers():
    pool = [str(number) for number in range(9)]
    table = TagTable(("sums",), np.array([1]), *[np.full((1, 9), 1 / 9)] * 3)
    series = view.heat_map(table, "probability", pool)["series"][:9]
    assert not any(one["label"]["show"] for one in series)
    assert all(one["label"]["show"] for one in view.heat_map(TABLE, "probability", ("a", "b"))["series"][:2])


def test_names_are_in_no_template():
    option = view.heat_map(TABLE, "difference", ("a", "<i>{b}</i>"))
    assert option["yAxis"][0]["data"][1] == "<b>odd</b>"
    assert option["xAxis"]["data"][1] == "<i>{b}</i>"
    assert "<i>" not in str([[one.get("tooltip"), one.get("label")] for one in option["series"]])


def test_reliability_shows_each_bin_with_its_interval():
    bins = [{"from": 0.5, "to": 0.6, "n": 4, "probability": 0.55, "won": 0.5}]
    ideal, line, room = view.reliability_chart(Calibration(ece=0.05, bins=bins))["series"]
    low, high = wilson_interval(0.5, 4)
    assert line["data"][0]["value"][:2] == [100 * 0.55, 50]
    (interval,) = line["markLine"]["data"]
    assert [end["coord"] for end in interval] == [[100 * 0.55, 100 * low], [100 * 0.55, 100 * high]]
    assert room["data"] == [end["coord"] for end in interval]
    assert ideal["data"] == [[0, 0], [100, 100]]


def test_entropies_are_bars_from_zero_to_one():
    (bars,) = view.entropy_chart([1] * 20)["series"]
    assert [round(bars["data"][place][0], 9) for place in (0, -1)] == [0.025, 0.975]
    assert len(bars["data"]) == 20
