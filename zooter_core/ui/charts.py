"""Charts and badges that several pages draw."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

# If another thread is still importing pandas, plotly finds it half loaded in sys.modules and fails: import it first.
import pandas  # noqa: F401
import plotly.graph_objects as go

from zooter_core.records import Decision, Ranked, Tag
from zooter_core.ui.colours import GREY, colour
from zooter_core.ui.text import plain

if TYPE_CHECKING:
    from zooter_core.router.explain import Explanation

PLAIN = {"displayModeBar": False}  # plotly's buttons are useless on a chart that cannot be zoomed
MOST_PARTS = 12
CLEAR = {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)"}


def probabilities(decision: Decision, pool: Sequence[str] | None = None) -> go.Figure:
    """A bar per candidate: the probability that it gives the best answer. `pool`: the fleet's, if only some compete."""
    names = list(decision.probabilities)
    values = [decision.probabilities[name] for name in names]
    return _bars(
        names,
        values,
        [f"{value:.0%}" for value in values],
        "%{y} gives the best answer with probability %{x:.1%}",
        (0, 1.25),  # room for "100%" on a narrow page
        pool,
    )


def rewards(ranked: Sequence[Ranked], pool: Sequence[str]) -> go.Figure:
    """A bar per candidate: the reward of its response."""
    by_name = {item.response.candidate: item.reward for item in ranked if item.reward is not None}
    names = [name for name in pool if name in by_name]
    values = [by_name[name] for name in names]
    low, high = min([0.0, *values]), max([0.0, *values])
    room = 0.15 * (high - low or 1.0)
    limits = (low - (room if low < 0 else 0), high + room)
    return _bars(names, values, [f"{v:.2f}" for v in values], "reward of %{y}: %{x:.2f}", limits, pool)


def contributions(explanation: Explanation, pool: Sequence[str]) -> go.Figure:
    """A bar per part of the query: what it adds to the chosen candidate's probability, in percentage points."""
    strongest = sorted(explanation.pieces, key=lambda piece: -abs(piece.contribution))[:MOST_PARTS]
    parts = [piece for piece in explanation.pieces if piece in strongest]  # in the query's order
    values = [piece.contribution * 100 for piece in parts]
    most = max([1.0, *map(abs, values)])
    digits = 0 if most >= 10 else 1
    figure = go.Figure(
        go.Bar(
            x=values,
            y=list(range(len(parts))),
            orientation="h",
            marker_color=[colour(pool, explanation.candidate) if value >= 0 else GREY for value in values],
            text=[f"{round(value, digits) + 0.0:+.{digits}f}" for value in values],  # + 0.0: no "-0"
            textposition="outside",
            cliponaxis=False,
            customdata=[[label(piece.text, 80), label(explanation.candidate)] for piece in parts],
            hovertemplate="without “%{customdata[0]}”, %{customdata[1]} loses %{x:.1f} points<extra></extra>",
        )
    )
    _bar_layout(figure, len(parts), (-1.25 * most if min(values, default=0) < 0 else 0.0, 1.25 * most))
    figure.update_yaxes(tickvals=list(range(len(parts))), ticktext=[label(piece.text, 24) for piece in parts])
    return figure


def label(text: str, most: int = 200) -> str:
    """The start of a text, escaped for plotly, where `<` would begin a link or other markup."""
    text = " ".join(text.split())
    return escape(text if len(text) <= most else text[: most - 1] + "…", quote=False).replace("$", "＄")


def _bars(
    names: Sequence[str],
    values: Sequence[float],
    texts: Sequence[str],
    hover: str,
    limits: tuple[float, float],
    pool: Sequence[str] | None = None,
) -> go.Figure:
    figure = go.Figure(
        go.Bar(
            x=list(values),
            y=[label(name) for name in names],
            orientation="h",
            marker_color=[colour(pool or names, name) for name in names],
            text=list(texts),
            textposition="outside",
            cliponaxis=False,
            hovertemplate=hover + "<extra></extra>",
        )
    )
    _bar_layout(figure, len(names), limits)
    return figure


def _bar_layout(figure: go.Figure, bars: int, limits: tuple[float, float]) -> None:
    """Horizontal bars without axes, the first on top."""
    figure.update_layout(
        height=34 * bars + 12,
        margin={"l": 0, "r": 0, "t": 4, "b": 4},
        bargap=0.3,
        xaxis={"range": list(limits), "visible": False, "fixedrange": True},
        yaxis={"autorange": "reversed", "fixedrange": True, "ticksuffix": "  "},
        font={"size": 14},
        **CLEAR,
    )


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


def tag_badges(tags: Sequence[Tag]) -> str:
    """Tags as Markdown badges, the most certain first."""
    if not tags:
        return ":gray-badge[no tag fits]"
    return " ".join(f":blue-badge[{plain(tag.name)} {tag.score:.2f}]" for tag in tags)
