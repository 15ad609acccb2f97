"""The chart of cost and quality on the Benchmark page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from zooter_core.evaluation.charts import GREY, add_curves
from zooter_core.evaluation.report_tables import ORACLE, RANDOM, RMR, ROUTER, Point
from zooter_core.ui import charts, colours

ROUTER_COLOUR = "#7E57C2"  # no candidate has it
SYMBOLS = {ROUTER: "star", RMR: "diamond", ORACLE: "x", RANDOM: "cross"}
CANDIDATES = ("circle", "square", "triangle-up", "pentagon", "hexagon", "triangle-down", "triangle-left")


def cost_quality(
    points: Sequence[Point], curves: Mapping[int, Sequence[Point]], pool: Sequence[str], priced: bool
) -> go.Figure:
    """Mean reward over mean cost: a line per k with a mark per threshold, and a mark per other method.

    Args:
        curves: k -> its points, in the order of cost.
        priced: cost in dollars; else in calls.
    """
    figure = go.Figure()
    add_curves(figure, {ROUTER: curves}, priced, [ROUTER_COLOUR])
    for point in points:
        figure.add_scatter(
            x=[point.cost(priced)],
            y=[point.reward],
            mode="markers",
            marker=_mark(point, pool),
            name=charts.label(point.name),
            text=[f"<b>{charts.label(point.name)}</b><br>{point.described(priced)}"],
            hovertemplate="%{text}<extra></extra>",
        )
    unit = "dollars per thousand queries" if priced else "model calls per query"
    return charts.framed(figure, f"mean cost ({unit})", "mean reward per query", 460)


def _mark(point: Point, pool: Sequence[str]) -> dict[str, Any]:
    if not point.candidate:
        return {"color": ROUTER_COLOUR if point.name == ROUTER else GREY, "symbol": SYMBOLS[point.name], "size": 13}
    place = list(pool).index(point.name)
    return {"color": colours.colour(pool, point.name), "symbol": CANDIDATES[place % len(CANDIDATES)], "size": 11}
