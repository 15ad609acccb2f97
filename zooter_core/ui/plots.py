"""Charts by plotly that several pages draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

# If another thread is still importing pandas, plotly finds it half loaded in sys.modules and fails: import it first.
import pandas  # noqa: F401
import plotly.graph_objects as go
import streamlit as st

from zooter_core.base.records import Ranked
from zooter_core.ui import charts
from zooter_core.ui.text import clipped

CLEAR = {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)"}


def draw(figure: go.Figure, key: str, alt: str) -> None:
    """A chart without plotly's buttons, which are useless where nothing can be zoomed."""
    st.plotly_chart(figure, key=key, config={"displayModeBar": False}, alt=alt)


def rewards(ranked: Sequence[Ranked], pool: Sequence[str]) -> go.Figure:
    """Rewards as dots on one axis: only their distances mean something."""
    scored = sorted((item.reward, item.response.candidate) for item in ranked if item.reward is not None)
    values = [reward for reward, _ in scored]
    low, high = min(values, default=0.0), max(values, default=0.0)
    room = 0.12 * (high - low or 1.0)
    figure = go.Figure(go.Scatter(x=[low, high], y=[0, 0], mode="lines", line={"color": charts.GREY}, hoverinfo="skip"))
    figure.add_scatter(
        x=values,
        y=[0] * len(values),
        mode="markers+text",
        marker={"size": 18, "color": [charts.colour(pool, name) for _, name in scored]},
        text=[f"{label(name)}<br>{reward:z.2f}" for reward, name in scored],
        textposition=["top center" if place % 2 == 0 else "bottom center" for place in range(len(values))],
        textfont={"size": 13},
        cliponaxis=False,
        hovertemplate="reward of %{text}<extra></extra>",
    )
    hidden = {"visible": False, "fixedrange": True}
    margin = {"l": 0, "r": 0, "t": 0, "b": 0}
    axes = {"xaxis": {"range": [low - room, high + room], **hidden}, "yaxis": {"range": [-1, 1], **hidden}}
    return figure.update_layout(height=120, margin=margin, showlegend=False, **axes, **CLEAR)


def wins(shares: Mapping[str, Mapping[str, float]], names: Sequence[str], pool: Sequence[str]) -> go.Figure:
    """A bar for each source of queries, the first one on top: the share of its queries that each model won."""
    sources = [label(source) for source in shares]
    figure = go.Figure(
        [
            go.Bar(
                y=sources,
                x=[of.get(name, 0.0) for of in shares.values()],
                name=label(name, 40),
                orientation="h",
                marker={"color": charts.colour(pool, name)},
                hovertext=[f"{label(name, 40)}: {of.get(name, 0.0):.0%}" for of in shares.values()],
                hovertemplate="%{hovertext}<extra></extra>",
            )
            for name in names
        ]
    )
    framed(figure, "share of the questions", "", 90 + 24 * len(sources), barmode="stack", bargap=0.25)
    figure.update_xaxes(range=[0, 1], tickformat=".0%").update_layout(legend_traceorder="normal")
    return figure.update_yaxes(autorange="reversed")


def label(text: str, most: int = 200) -> str:
    """The start of a text, escaped for plotly, where `<` would begin a link or other markup."""
    return escape(clipped(text, most), quote=False).replace("$", "＄")


def framed(figure: go.Figure, x: str, y: str, height: int = 340, title: str = "", **layout: Any) -> go.Figure:
    """Give a chart titles on its axes, the page's background and its legend below; it cannot be zoomed."""
    axis = {"fixedrange": True, "zeroline": False, "automargin": True}
    return figure.update_layout(
        **({"title": {"text": title}} if title else {}),
        xaxis={**axis, "title": {"text": x}},
        yaxis={**axis, "title": {"text": y}},
        height=height,
        margin={"l": 0, "r": 8, "t": 44 if title else 8, "b": 0},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        hoverlabel={"align": "left"},
        **CLEAR,
        **layout,
    )
