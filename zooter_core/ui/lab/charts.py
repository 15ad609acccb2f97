"""Charts of the Lab: a query's labels side by side, and the score over beta."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from zooter_core.ui.charts import colour, label

Array = NDArray[np.float64]
MOST = 12  # candidates that a chart can tell apart


def shown(rows: Mapping[str, Array]) -> list[int]:
    """The numbers of the candidates that a chart shows, in pool order: those with the largest shares, MOST at most."""
    highest = np.max(list(rows.values()), axis=0)
    return sorted(np.argsort(-highest, kind="stable")[:MOST].tolist())


def labels(pool: Sequence[str], rows: Mapping[str, Array]) -> go.Figure:
    """Bars grouped by kind of label (its name -> shares, shape (candidates,)), a colour each candidate."""
    figure = go.Figure()
    for column in shown(rows):
        values = [float(row[column]) for row in rows.values()]
        figure.add_bar(
            x=list(rows),
            y=values,
            name=label(pool[column]),
            marker_color=colour(pool, pool[column]),
            text=[f"{value:.0%}" for value in values],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{fullData.name} has %{y:.1%} of the %{x}<extra></extra>",
        )
    return _laid_out(
        figure,
        title="What this query teaches the router",
        barmode="group",
        bargap=0.2,
        yaxis={"title": "share of the label", "tickformat": ".0%", "range": [0, 1.1], "fixedrange": True},
        xaxis={"fixedrange": True},
    )


def sweep(figures: Mapping[str, Any]) -> go.Figure:
    """The mean score over beta with its 95% interval, a line each tau."""
    figure = go.Figure()
    for tau in dict.fromkeys(row["tau"] for row in figures["rows"]):
        rows = sorted((row for row in figures["rows"] if row["tau"] == tau), key=lambda row: row["beta"])
        means = [row["mean"] for row in rows]
        figure.add_scatter(
            x=[row["beta"] for row in rows],
            y=means,
            error_y={
                "array": [row["interval"][1] - row["mean"] for row in rows],
                "arrayminus": [row["mean"] - row["interval"][0] for row in rows],
            },
            mode="lines+markers",
            name=f"tau {tau:g}",
            hovertemplate="beta %{x:g}: routers earn %{y:.4f} a query<extra></extra>",
        )
    return _laid_out(
        figure,
        title="What routers earn on queries they have not seen",
        showlegend=False,
        xaxis={"title": "beta (share of a query's own label)", "range": [-0.05, 1.05], "fixedrange": True},
        yaxis={"title": "mean score, 95% interval", "fixedrange": True},
    )


def _laid_out(figure: go.Figure, **layout: Any) -> go.Figure:
    figure.update_layout(
        height=340,
        margin={"l": 0, "r": 0, "t": 64, "b": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        **layout,
    )
    return figure
