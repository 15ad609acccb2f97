from __future__ import annotations

import html
import json
import math
import re
from dataclasses import replace

import numpy as np

from zooter_core.base.records import Query
from zooter_core.evaluation.charts import ROUTER, Figure
from zooter_core.method.calibration import Reliability
from zooter_core.method.metrics import wilson_interval
from zooter_core.method.tag_table import TagTable
from zooter_core.ui.explorer import view

TABLE = TagTable(
    ("sums", "<b>odd</b>"),
    np.array([4, 1]),
    np.array([[0.5, 0.5], [1.0, 0.0]]),
    np.array([[0.7, 0.3], [0.4, 0.6]]),
    np.array([[2.0, 1.0], [-1.0, 3.0]]),
)


def columns(figure: Figure) -> list[Figure]:
    return [trace for trace in figure["data"] if trace["type"] == "heatmap"]


def shades(figure: Figure) -> list[list[float]]:
    """The shade of each cell, a row per tag."""
    return [[float(cell[0]) for cell in row] for row in zip(*(one["z"] for one in columns(figure)), strict=True)]


def numbers(figure: Figure) -> list[str]:
    words: list[str] = figure["data"][-1]["text"]
    return words


def cell(figure: Figure, row: int, column: int) -> str:
    """What the hover of a cell says, on one line."""
    words: str = figure["data"][column]["hovertext"][row][0]
    return html.unescape(words.replace("<br>", " "))


def test_each_column_goes_from_the_ground_to_its_models_colour():
    figure = view.heat_chart(TABLE, view.TABS["Predicted"], ("a", "b"))
    assert shades(figure) == [[0.7, 0.3], [0.4, 0.6]]
    assert numbers(figure) == ["70%", "30%", "40%", "60%"]
    assert [[hue for _, hue in column["colorscale"]] for column in columns(figure)] == [
        ["rgba(0,114,178,0.0)", "rgba(0,114,178,0.55)"],
        ["rgba(230,159,0,0.0)", "rgba(230,159,0,0.55)"],
    ]


def test_a_dot_speaks_of_the_rewards_that_there_are():
    """Of a model without a score for the query, there is none."""
    query = Query("1", "Hi", tags=("greeting", "short"))
    assert view._sentences(query, [0.2, 0.3, 0.5], [math.nan, 1.0, 2.0], ("a", "b", "c")) == [
        "“Hi”", "c earned the highest reward.", "Tags: greeting, short.", "The router gives a 20%, b 30%, c 50%.",
        "The rewards are b 1.00, c 2.00.",
    ]  # fmt: skip


def test_rewards_are_coloured_within_their_tag_and_shown_as_they_are():
    """sums: mean 1.5, so .5 above and below; odd: mean 1, so 2 below and above, the deepest."""
    figure = view.heat_chart(TABLE, view.TABS["Earned"], ("a", "b"))
    assert shades(figure) == [[0.25, 0.0], [0.0, 1.0]]
    assert numbers(figure)[2:] == ["-1.00", "3.00"]
    assert cell(figure, 1, 0) == (
        "a earned -1.00 on average over the 1 query tagged <b>odd</b>. That is -2.00 from the tag's mean."
    )


def test_a_model_without_scores_for_a_tag_has_a_dash_there():
    table = replace(TABLE, rewards=np.array([[2.0, 1.0], [np.nan, 3.0]]))
    figure = view.heat_chart(table, view.TABS["Earned"], ("a", "b"))
    assert shades(figure) == [[1.0, 0.0], [0.0, 0.0]]
    assert numbers(figure)[2:] == ["–", "3.00"]
    assert cell(figure, 1, 0) == "a has no score for the 1 query tagged <b>odd</b>."


def test_names_are_no_markup():
    figure = view.heat_chart(TABLE, view.TABS["Difference"], ("a", "<i>%{text}</i>"))
    assert not re.search("<[bi]>|%{text}<", json.dumps(figure, default=list))


def test_reliability_shows_each_bin_with_its_interval():
    bins = [{"from": 0.5, "to": 0.6, "n": 4, "probability": 0.55, "won": 0.5}]
    ideal, dots = view.reliability_chart(Reliability(ece=0.05, bins=bins))["data"]
    low, high = wilson_interval(0.5, 4)
    assert (dots["x"], dots["y"]) == ([0.55], [0.5])
    assert (dots["error_y"]["array"], dots["error_y"]["arrayminus"]) == ([high - 0.5], [0.5 - low])
    assert (ideal["x"], ideal["y"]) == ([0, 1], [0, 1])
    assert dots["line"]["color"] == ROUTER  # what is the router's has no model's colour
