"""The chart of cost and quality on the Benchmark page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from zooter_core.evaluation.report_tables import ORACLE, RANDOM, RMR, ROUTER, Point
from zooter_core.ui import charts, colours
from zooter_core.ui.colours import GREY

ROUTER_COLOUR = "#7E57C2"  # no candidate has it
SYMBOLS = {ROUTER: "star", RMR: "diamond", ORACLE: "x", RANDOM: "cross"}
CANDIDATES = ("circle", "square", "triangle-up", "pentagon", "hexagon", "triangle-down", "triangle-left")
DASHES = ("solid", "dash", "dot", "dashdot")


def cost_quality(
    points: Sequence[Point], curves: Mapping[int, Sequence[Point]], pool: Sequence[str], priced: bool
) -> go.Figure:
    """Mean reward over mean cost: a line per k with a mark per threshold, and a mark per other method.

    Args:
        curves: k -> its points, in the order of cost.
        priced: cost in dollars; else in calls.
    """
    figure = go.Figure()
    for number, (k, line) in enumerate(curves.items()):
        _add_curve(figure, k, line, number, priced)
    for point in points:
        figure.add_scatter(
            x=[point.cost(priced)],
            y=[point.reward],
            mode="markers",
            marker=_mark(point, pool),
            name=charts.label(point.name),
            text=[hover_text(point, priced)],
            hovertemplate="%{text}<extra></extra>",
        )
    unit = "dollars per thousand queries" if priced else "model calls per query"
    return charts.framed(figure, f"mean cost ({unit})", "mean reward per query", 460)


def _add_curve(figure: go.Figure, k: int, line: Sequence[Point], number: int, priced: bool) -> None:
    """The points of one k, and the straight line of choosing as many queries at random."""
    ends = [line[0], line[-1]]
    figure.add_scatter(
        x=[point.cost(priced) for point in ends],
        y=[point.reward for point in ends],
        mode="lines",
        line={"color": GREY, "dash": "dot", "width": 1},
        name="random queries",
        legendgroup="random",
        showlegend=number == 0,
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[point.cost(priced) for point in line],
        y=[point.reward for point in line],
        mode="lines+markers",
        line={"color": ROUTER_COLOUR, "dash": DASHES[number % len(DASHES)], "width": 2},
        marker={"size": 6},
        name=f"router, {k} models if unsure",
        text=[hover_text(point, priced) for point in line],
        hovertemplate="%{text}<extra></extra>",
    )


def _mark(point: Point, pool: Sequence[str]) -> dict[str, Any]:
    if not point.candidate:
        return {"color": ROUTER_COLOUR if point.name == ROUTER else GREY, "symbol": SYMBOLS[point.name], "size": 13}
    place = list(pool).index(point.name)
    return {"color": colours.colour(pool, point.name), "symbol": CANDIDATES[place % len(CANDIDATES)], "size": 11}


def hover_text(point: Point, priced: bool) -> str:
    """A point in words."""
    cost = f"{point.dollars:.4g} dollars per thousand queries" if priced else f"{point.calls:.2f} calls per query"
    figures = f"reward {point.reward:.3f} for {cost}"
    if point.k == 1:
        return f"<b>{charts.label(point.name)}</b><br>{figures}"
    return (
        f"<b>{point.k} models for {point.share:.0%} of the queries</b><br>{figures}<br>"
        f"those with an uncertainty above {point.threshold:.3f}"
    )
