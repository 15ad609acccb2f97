"""Charts of the Benchmark page: cost against quality, and beta."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from zooter_core.evaluation.report_tables import ORACLE, RANDOM, RMR, ROUTER, Figures, Point, is_best
from zooter_core.ui import charts

OWN = "#7E57C2"  # the router's and its curves': no candidate has it
GREY = "#888888"
SYMBOLS = {ROUTER: "star", RMR: "diamond", ORACLE: "x", RANDOM: "cross"}
CANDIDATES = ("circle", "square", "triangle-up", "pentagon", "hexagon", "triangle-down", "triangle-left")
DASHES = ("solid", "dash", "dot", "dashdot")


def cost_quality(
    points: Sequence[Point], curves: Mapping[int, Sequence[Point]], pool: Sequence[str], priced: bool
) -> go.Figure:
    """Mean reward over mean cost: a line a k with a mark a threshold, and the other ways of answering as marks."""
    figure = go.Figure()
    for number, (k, line) in enumerate(curves.items()):
        ends = [line[0], line[-1]]
        figure.add_scatter(
            x=[point.cost(priced) for point in ends],
            y=[point.reward for point in ends],
            mode="lines",
            line={"color": GREY, "dash": "dot", "width": 1},
            name="as many at random",
            legendgroup="random",
            showlegend=number == 0,
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=[point.cost(priced) for point in line],
            y=[point.reward for point in line],
            mode="lines+markers",
            line={"color": OWN, "dash": DASHES[number % len(DASHES)], "width": 2},
            marker={"size": 6},
            name=f"router, {k} where unsure",
            text=[spoken(point, priced) for point in line],
            hovertemplate="%{text}<extra></extra>",
        )
    for point in points:
        figure.add_scatter(
            x=[point.cost(priced)],
            y=[point.reward],
            mode="markers",
            marker=_mark(point, pool),
            name=charts.label(point.name),
            text=[spoken(point, priced)],
            hovertemplate="%{text}<extra></extra>",
        )
    unit = "dollars a thousand queries" if priced else "calls of a model a query"
    return _laid_out(figure, "Cost and quality", f"mean cost ({unit})", "mean reward a query", 460)


def _mark(point: Point, pool: Sequence[str]) -> dict[str, Any]:
    if not point.candidate:
        return {"color": OWN if point.name == ROUTER else GREY, "symbol": SYMBOLS[point.name], "size": 13}
    place = list(pool).index(point.name)
    return {"color": charts.colour(pool, point.name), "symbol": CANDIDATES[place % len(CANDIDATES)], "size": 11}


def spoken(point: Point, priced: bool) -> str:
    """A point in words, for its hover."""
    cost = f"{point.dollars:.4g} dollars a thousand queries" if priced else f"{point.calls:.2f} calls a query"
    figures = f"reward {point.reward:.3f} for {cost}"
    if point.k == 1:
        return f"<b>{charts.label(point.name)}</b><br>{figures}"
    return (
        f"<b>{point.k} models for {point.share:.0%} of the queries</b><br>{figures}<br>"
        f"those with an unsureness above {point.threshold:.3f}"
    )


def beta(sweep: Figures) -> go.Figure:
    """The mean reward over beta with its 95% interval, a line a tau; the best point has a mark of its own."""
    figure = go.Figure()
    for number, tau in enumerate(dict.fromkeys(row["tau"] for row in sweep["rows"])):
        rows = [row for row in sweep["rows"] if row["tau"] == tau]
        figure.add_scatter(
            x=[row["beta"] for row in rows],
            y=[row["mean"] for row in rows],
            error_y={
                "array": [row["interval"][1] - row["mean"] for row in rows],
                "arrayminus": [row["mean"] - row["interval"][0] for row in rows],
                "thickness": 1.5,
            },
            mode="lines+markers",
            line={"color": charts.PALETTE[number % len(charts.PALETTE)], "dash": DASHES[number % len(DASHES)]},
            marker={"symbol": ["star" if is_best(row, sweep) else "circle" for row in rows], "size": 11},
            name=f"tau {tau:g}",
            customdata=[
                [*row["interval"], row["regret"], " (the best)" if is_best(row, sweep) else ""] for row in rows
            ],
            hovertemplate=(
                "<b>beta %{x:g}%{customdata[3]}</b><br>reward %{y:.3f}, 95% interval %{customdata[0]:.3f} to "
                "%{customdata[1]:.3f}<br>%{customdata[2]:.3f} below the oracle<extra></extra>"
            ),
        )
    laid = _laid_out(
        figure, "Reward over beta", "beta (share of the plain label)", "mean reward a query, 95% interval", 380
    )
    return laid.update_layout(showlegend=len(laid.data) > 1)


def _laid_out(figure: go.Figure, title: str, x: str, y: str, height: int) -> go.Figure:
    axis = {"fixedrange": True, "zeroline": False, "automargin": True}
    return figure.update_layout(
        title={"text": title},
        xaxis={**axis, "title": {"text": x}},
        yaxis={**axis, "title": {"text": y}},
        height=height,
        margin={"l": 0, "r": 8, "t": 44, "b": 0},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        hoverlabel={"align": "left"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
