"""Two charts that the command line saves and the demo shows: the score over beta, and quality over cost.

Each function adds lines to a figure; axes, colours and frame are the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from zooter_core.evaluation.figures import Sweep, SweepRow
from zooter_core.evaluation.report_tables import Point

DASHES = ("solid", "dash", "dot", "dashdot")
GREY = "#888888"
SWEEP_AXES = ("beta (weight of the plain label)", "mean score per query, 95% interval")


def add_sweep(figure: go.Figure, sweep: Sweep, colours: Sequence[str]) -> None:
    """Add the mean score over beta with its 95% interval, a line per tau; a star marks the best point."""
    by_tau: dict[float, list[SweepRow]] = {}
    for row in sorted(sweep.rows, key=lambda row: row.beta):
        by_tau.setdefault(row.tau, []).append(row)
    for number, (tau, rows) in enumerate(by_tau.items()):
        best = [sweep.is_best(row) for row in rows]
        figure.add_scatter(
            x=[row.beta for row in rows],
            y=[row.mean for row in rows],
            error_y={
                "array": [row.interval[1] - row.mean for row in rows],
                "arrayminus": [row.mean - row.interval[0] for row in rows],
            },
            mode="lines+markers",
            line={"color": colours[number % len(colours)], "dash": DASHES[number % len(DASHES)]},
            marker={"symbol": ["star" if top else "circle" for top in best], "size": 11},
            name=f"tau {tau:g}",
            customdata=[
                [*row.interval, row.regret, " (the best)" if top else ""] for row, top in zip(rows, best, strict=True)
            ],
            hovertemplate="<b>beta %{x:g}%{customdata[3]}</b><br>score %{y:.3f}, 95% interval %{customdata[0]:.3f} "
            "to %{customdata[1]:.3f}<br>%{customdata[2]:.3f} below the oracle<extra></extra>",
        )


def add_curves(
    figure: go.Figure,
    curves: Mapping[str, Mapping[int, Sequence[Point]]],
    priced: bool,
    colours: Sequence[str],
    **placed: Any,
) -> None:
    """Add quality over cost: a line per trigger and k, and per k the straight line of as many random queries.

    Args:
        curves: name -> k -> the points in the order of cost. All names start and end at the same points.
        priced: cost in dollars; else in calls.
        placed: further settings of every line, such as its panel.
    """
    for place, (name, lines) in enumerate(curves.items()):
        for number, (k, line) in enumerate(lines.items()):
            costs, rewards = [point.cost(priced) for point in line], [point.reward for point in line]
            if place == 0:
                figure.add_scatter(
                    x=[costs[0], costs[-1]],
                    y=[rewards[0], rewards[-1]],
                    mode="lines",
                    line={"color": GREY, "dash": "dot", "width": 1},
                    name="random queries",
                    legendgroup="random",
                    hoverinfo="skip",
                    **{"showlegend": number == 0} | placed,
                )
            figure.add_scatter(
                x=costs,
                y=rewards,
                mode="lines+markers",
                line={"color": colours[place % len(colours)], "dash": DASHES[number % len(DASHES)], "width": 2},
                marker={"size": 6},
                name=f"{name}, {k} models if unsure",
                text=[curve_text(point, priced) for point in line],
                hovertemplate="%{text}<extra></extra>",
                **placed,
            )


def curve_text(point: Point, priced: bool) -> str:
    """A point of a curve in words."""
    return (
        f"<b>{point.k} models for {point.share:.0%} of the queries</b><br>{point.described(priced)}<br>"
        f"those with an uncertainty above {point.threshold:.3f}"
    )
