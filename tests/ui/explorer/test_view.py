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


def shades(figure) -> list[list[float]]:
    """The shade of each cell, a row per tag; the last trace holds the numbers."""
    columns = [[float(row[0]) for row in trace.z] for trace in figure.data[:-1]]
    return [list(row) for row in zip(*columns, strict=True)]


def numbers(figure) -> list[str]:
    return list(figure.data[-1].text)


def test_bars_keep_pool_order_and_colours():
    series = live._bar_chart({"a": 0.25, "b": 0.75})["series"][0]
    assert [(bar["value"], bar["itemStyle"]["color"]) for bar in series["data"]] == [
        (25.0, PALETTE[0]),
        (75.0, PALETTE[1]),
    ]
    assert series["data"][1]["label"]["formatter"] == "75%"


def test_each_column_goes_from_the_ground_to_its_models_colour():
    figure = view.heat_map(TABLE, "probability", ("a", "b"))
    assert shades(figure) == [[0.7, 0.3], [0.4, 0.6]]
    assert numbers(figure) == ["70%", "30%", "40%", "60%"]
    assert [trace.colorscale for trace in figure.data[:-1]] == [
        ((0, "rgba(0,114,178,0)"), (1, "rgba(0,114,178,0.55)")),
        ((0, "rgba(230,159,0,0)"), (1, "rgba(230,159,0,0.55)")),
    ]


def test_rewards_are_coloured_within_their_tag_and_shown_as_they_are():
    """sums: mean 1.5, so .5 above and below; odd: mean 1, so 2 below and above."""
    figure = view.heat_map(TABLE, "reward", ("a", "b"))
    assert shades(figure) == [[0.5, 0.0], [0.0, 2.0]]
    assert numbers(figure)[2:] == ["-1.00", "3.00"]
    assert figure.data[0].hovertext[1][0].endswith("<br>mean reward -1.00, -2.00 from the tag's mean<br>1 query")


def test_differences_are_in_points():
    figure = view.heat_map(TABLE, "difference", ("a", "b"))
    assert numbers(figure)[:2] == ["+20", "-20"]
    np.testing.assert_allclose(shades(figure)[0], [0.2, 0.2])
    expected = "<b>sums: a</b><br>router 70.0%, actually best 50.0%<br>difference +20.0 points<br>4 queries"
    assert figure.data[0].hovertext[0][0] == expected


def test_a_large_pool_has_no_room_for_numbers():
    pool = [str(number) for number in range(9)]
    table = TagTable(("sums",), np.array([1]), *[np.full((1, 9), 1 / 9)] * 3)
    assert len(view.heat_map(table, "probability", pool).data) == 9


def test_names_are_shown_as_they_are():
    figure = view.heat_map(TABLE, "difference", ("a", "<i>b</i>"))
    assert figure.layout.yaxis.ticktext[1] == "&lt;b&gt;odd&lt;/b&gt;"
    assert "&lt;i&gt;b" in figure.layout.xaxis.ticktext[1]


def test_reliability_shows_each_bin_with_its_interval():
    bins = [{"from": 0.5, "to": 0.6, "n": 4, "probability": 0.55, "won": 0.5}]
    figure = view.reliability_chart(Calibration(ece=0.05, bins=bins))
    line, (low, high) = figure.data[1], wilson_interval(0.5, 4)
    assert (line.x, line.y) == ((0.55,), (0.5,))
    assert (line.error_y.arrayminus[0], line.error_y.array[0]) == (0.5 - low, high - 0.5)
    assert figure.data[0].y == (0, 1)


def test_entropies_are_bars_from_zero_to_one():
    bars = view.entropy_chart([1] * 20).data[0]
    assert (len(bars.x), bars.x[0], round(bars.x[-1], 9)) == (20, 0.025, 0.975)
