"""Charts and badges. A candidate has one colour, by its place in the pool, from a palette safe for the colour-blind."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from zooter_core.records import Decision, Ranked, Tag

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999")  # Okabe and Ito


def colour(pool: Sequence[str], name: str) -> str:
    return PALETTE[list(pool).index(name) % len(PALETTE)]


def probabilities(decision: Decision) -> go.Figure:
    """A bar a candidate: how likely it is to give the best answer."""
    pool = list(decision.probabilities)
    values = [decision.probabilities[name] for name in pool]
    return _bars(
        pool,
        values,
        [f"{value:.0%}" for value in values],
        "%{y} gives the best answer with probability %{x:.1%}",
        (0, 1.12),
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
            y=list(names),
            orientation="h",
            marker_color=[colour(pool or names, name) for name in names],
            text=list(texts),
            textposition="outside",
            cliponaxis=False,
            hovertemplate=hover + "<extra></extra>",
        )
    )
    figure.update_layout(
        height=34 * len(names) + 12,
        margin={"l": 0, "r": 0, "t": 4, "b": 4},
        bargap=0.3,
        xaxis={"range": list(limits), "visible": False, "fixedrange": True},
        yaxis={"autorange": "reversed", "fixedrange": True, "ticksuffix": "  "},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"size": 14},
    )
    return figure


def tag_badges(tags: Sequence[Tag]) -> str:
    """Tags as Markdown badges, the surest first."""
    if not tags:
        return ":gray-badge[no tag fits]"
    return " ".join(f":blue-badge[{tag.name} {tag.score:.2f}]" for tag in tags)
