"""Charts and badges. A candidate has one colour, by its place in the pool, from a palette safe for the colour-blind."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

# Plotly takes pandas from sys.modules as soon as another thread begins to import it, and fails on the half of it:
# whoever draws charts has all of it first.
import pandas  # noqa: F401
import plotly.graph_objects as go

from zooter_core.records import Decision, Ranked, Tag
from zooter_core.ui.text import plain

if TYPE_CHECKING:
    from zooter_core.router.explain import Explanation

PLAIN = {"displayModeBar": False}  # plotly's buttons are of no use on a chart that cannot be zoomed
MOST_PARTS = 12
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999")  # Okabe and Ito


def colour(pool: Sequence[str], name: str) -> str:
    return PALETTE[list(pool).index(name) % len(PALETTE)]


def probabilities(decision: Decision, pool: Sequence[str] | None = None) -> go.Figure:
    """A bar a candidate: how likely it is to give the best answer. `pool` is the fleet's, where only some compete."""
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
    """A bar a candidate: the reward of its response."""
    found = {item.response.candidate: item.reward for item in ranked if item.reward is not None}
    names = [name for name in pool if name in found]
    values = [found[name] for name in names]
    low, high = min([0.0, *values]), max([0.0, *values])
    room = 0.15 * (high - low or 1.0)
    limits = (low - (room if low < 0 else 0), high + room)
    return _bars(names, values, [f"{v:.2f}" for v in values], "reward of %{y}: %{x:.2f}", limits, pool)


def contributions(found: Explanation, pool: Sequence[str]) -> go.Figure:
    """A bar a part of the query: what it adds to the chosen candidate's probability, in percentage points."""
    strongest = sorted(found.pieces, key=lambda piece: -abs(piece.contribution))[:MOST_PARTS]
    parts = [piece for piece in found.pieces if piece in strongest]  # in the query's order
    values = [piece.contribution * 100 for piece in parts]
    most = max([1.0, *map(abs, values)])
    figure = go.Figure(
        go.Bar(
            x=values,
            y=list(range(len(parts))),
            orientation="h",
            marker_color=[colour(pool, found.candidate) if value >= 0 else "#999999" for value in values],
            text=[f"{value:+.{0 if most >= 10 else 1}f}" for value in values],
            textposition="outside",
            cliponaxis=False,
            customdata=[[label(piece.text, 80), label(found.candidate)] for piece in parts],
            hovertemplate="without “%{customdata[0]}”, %{customdata[1]} has %{x:.1f} points less<extra></extra>",
        )
    )
    layout(figure, len(parts), (-1.25 * most if min(values, default=0) < 0 else 0.0, 1.25 * most))
    figure.update_yaxes(tickvals=list(range(len(parts))), ticktext=[label(piece.text, 24) for piece in parts])
    return figure


def label(text: str, most: int = 200) -> str:
    """The first characters of a text as plotly shows them: `<` would begin a link or other mark-up of its own."""
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
    layout(figure, len(names), limits)
    return figure


def layout(figure: go.Figure, bars: int, limits: tuple[float, float]) -> None:
    """A plain chart of horizontal bars, the first on top."""
    figure.update_layout(
        height=34 * bars + 12,
        margin={"l": 0, "r": 0, "t": 4, "b": 4},
        bargap=0.3,
        xaxis={"range": list(limits), "visible": False, "fixedrange": True},
        yaxis={"autorange": "reversed", "fixedrange": True, "ticksuffix": "  "},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"size": 14},
    )


def tag_badges(tags: Sequence[Tag]) -> str:
    """Tags as Markdown badges, the surest first."""
    if not tags:
        return ":gray-badge[no tag fits]"
    return " ".join(f":blue-badge[{plain(tag.name)} {tag.score:.2f}]" for tag in tags)
