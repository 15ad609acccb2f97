"""The chart of cost and quality on the Benchmark page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from zooter_core.evaluation.charts import GREY, add_curves
from zooter_core.evaluation.report_tables import ORACLE, RANDOM, RMR, ROUTER, Point
from zooter_core.ui import charts

SYMBOLS = {ROUTER: "star", RMR: "diamond", ORACLE: "x", RANDOM: "cross"}
ROOM = 72  # pixels right of the chart, for the labels of the points at its edge
CLOSE, CLOSE_ACROSS = 0.07, 0.2  # shares of the height and width within which two labels would touch
CANDIDATES = ("circle", "square", "triangle-up", "pentagon", "hexagon", "triangle-down", "triangle-left")


def cost_quality(
    points: Sequence[Point], curves: Mapping[int, Sequence[Point]], pool: Sequence[str], priced: bool
) -> go.Figure:
    """Mean reward over mean cost: a line per k with a mark per threshold, and a mark per other method, each labelled.

    Args:
        curves: k -> its points, in the order of cost.
        priced: cost in dollars; else in calls.
    """
    figure = go.Figure()
    add_curves(figure, {ROUTER: curves}, priced, [charts.ROUTER])
    for point, place in zip(points, _places(points, priced), strict=True):
        figure.add_scatter(
            x=[point.cost(priced)],
            y=[point.reward],
            mode="markers+text",
            marker=_mark(point, pool),
            name=charts.label(point.name),
            text=[charts.label(point.name, 16)],
            textposition="top right" if point.name == ROUTER and curves else place,  # the lines begin at the router
            cliponaxis=False,
            hovertext=[f"<b>{charts.label(point.name)}</b><br>{point.described(priced)}"],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    _label_lines(figure, curves, priced)
    unit = "dollars per thousand queries" if priced else "model calls per query"
    charts.framed(figure, f"mean cost ({unit})", "mean reward per query", 420, showlegend=False)
    return figure.update_layout(margin={"r": ROOM})


def _places(points: Sequence[Point], priced: bool) -> list[str]:
    """Where the label of each point goes: right of it, higher or lower where another point is close."""
    costs, rewards = [point.cost(priced) for point in points], [point.reward for point in points]
    wide, high = max(costs) - min(costs) or 1.0, max(rewards) - min(rewards) or 1.0
    places = []
    for number, (cost, reward) in enumerate(zip(costs, rewards, strict=True)):
        gaps = [
            (other - reward) / high
            for place, (x, other) in enumerate(zip(costs, rewards, strict=True))
            if place != number and abs(x - cost) < CLOSE_ACROSS * wide
        ]
        above = any(0 < gap < CLOSE for gap in gaps)
        below = any(-CLOSE < gap < 0 for gap in gaps)
        places.append("middle right" if above == below else "bottom right" if above else "top right")
    return places


def _label_lines(figure: go.Figure, curves: Mapping[int, Sequence[Point]], priced: bool) -> None:
    """Each line's name at its end, and that of the dotted lines below the first of them."""
    text: dict[str, Any] = {"showarrow": False, "font": {"size": 12}}
    most = max((line[-1].cost(priced) for line in curves.values()), default=0.0)
    for number, (k, line) in enumerate(curves.items()):
        x, y = line[-1].cost(priced), line[-1].reward
        name = str(k) if number else f"{k} if unsure"  # in full once: on a phone there is no room for more
        # Right of the end, where the line leaves room, but for the longest, which ends at the marks of other methods.
        side, shift = ("right", -12) if len(curves) > 1 and x == most else ("left", 0)
        figure.add_annotation(x=x, y=y, text=name, xanchor=side, xshift=shift, yanchor="bottom", yshift=3, **text)
    for line in list(curves.values())[:1]:
        x, y = ((line[0].cost(priced) + line[-1].cost(priced)) / 2, (line[0].reward + line[-1].reward) / 2)
        figure.add_annotation(x=x, y=y, text="random queries", yanchor="top", yshift=-4, **text)


def _mark(point: Point, pool: Sequence[str]) -> dict[str, Any]:
    if not point.candidate:
        return {"color": charts.ROUTER if point.name == ROUTER else GREY, "symbol": SYMBOLS[point.name], "size": 13}
    place = list(pool).index(point.name)
    return {"color": charts.colour(pool, point.name), "symbol": CANDIDATES[place % len(CANDIDATES)], "size": 11}
