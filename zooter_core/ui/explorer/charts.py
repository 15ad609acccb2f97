"""Charts of what a router has learned: tags, reward entropies, reliability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from zooter_core.evaluation.figures import Calibration
from zooter_core.method.metrics import wilson_interval
from zooter_core.method.tag_table import BINS, TagTable
from zooter_core.ui.charts import CLEAR, GREY, PALETTE, colour, framed, label

Kind = Literal["probability", "reward", "difference"]
ROW = 24  # pixels per tag
MOST_NUMBERS = 8  # candidates up to which a heat map's cell has room for its number
DEEPEST = 0.55  # opacity of the deepest shade


def heat(table: TagTable, kind: Kind, pool: Sequence[str]) -> go.Figure:
    """Tags by candidates, each candidate's column from the page's ground to its colour.

    Rewards are coloured relative to their row, because some tags are harder than others.
    """
    values = {"probability": table.probabilities, "reward": table.rewards, "difference": table.difference}[kind]
    shades = np.maximum(values - values.mean(axis=1, keepdims=True), 0) if kind == "reward" else np.abs(values)
    most = 1.0 if kind == "probability" else float(shades.max(initial=0.0)) or 1.0
    rows = list(range(len(table.names)))
    figure = go.Figure()
    for column, name in enumerate(pool):
        figure.add_heatmap(
            z=shades[:, [column]],
            x=[column],
            y=rows,
            hovertext=[[_hover(table, kind, row, column, name)] for row in rows],
            hovertemplate="%{hovertext}<extra></extra>",
            colorscale=_scale(colour(pool, name)),
            zmin=0,
            zmax=most,
            showscale=False,
            xgap=2,
            ygap=2,
        )
    if len(pool) <= MOST_NUMBERS:
        _numbers(figure, values, kind)
    _tags_by_candidates(figure, table.names, pool)
    return figure


def _scale(hue: str) -> list[tuple[float, str]]:
    """A colour scale from the page's ground, light or dark, to a colour on which text in the page's ink is readable."""
    red, green, blue = (int(hue[place : place + 2], 16) for place in (1, 3, 5))
    return [(0.0, f"rgba({red},{green},{blue},0)"), (1.0, f"rgba({red},{green},{blue},{DEEPEST})")]


def _numbers(figure: go.Figure, values: NDArray[np.float64], kind: Kind) -> None:
    """The number of each cell in the page's ink; a heat map would choose an ink without knowing the ground."""
    places = [(column, row) for row in range(values.shape[0]) for column in range(values.shape[1])]
    figure.add_scatter(
        x=[column for column, _ in places],
        y=[row for _, row in places],
        mode="text",
        text=[_number(values[row, column], kind) for column, row in places],
        textfont={"size": 13},
        hoverinfo="skip",
        showlegend=False,
    )


def _tags_by_candidates(figure: go.Figure, tags: Sequence[str], pool: Sequence[str]) -> None:
    """Axes of the heat map: a row per tag, a column per candidate with its colour."""
    axis = {"fixedrange": True, "showgrid": False, "zeroline": False}
    names = [f"<span style='color:{colour(pool, name)}'>■</span> {label(name)}" for name in pool]
    figure.update_layout(
        height=ROW * len(tags) + 56,
        margin={"l": 0, "r": 0, "t": 44, "b": 0},
        xaxis={
            "side": "top",
            "tickvals": list(range(len(pool))),
            "ticktext": names,
            "range": [-0.5, len(pool) - 0.5],  # plotly would leave room around the numbers
            **axis,
        },
        yaxis={
            "range": [len(tags) - 0.5, -0.5],
            "tickvals": list(range(len(tags))),
            "ticktext": [label(name) for name in tags],
            "ticksuffix": "  ",
            **axis,
        },
        **CLEAR,
    )


def _hover(table: TagTable, kind: Kind, row: int, column: int, name: str) -> str:
    p, won, reward = (values[row, column] for values in (table.probabilities, table.won, table.rewards))
    facts = {
        "probability": f"mean probability {p:.1%}",
        "reward": f"mean reward {reward:z.2f}, {reward - table.rewards[row].mean():+z.2f} from the tag's mean",
        "difference": f"router {p:.1%}, actually best {won:.1%}<br>difference {100 * (p - won):+z.1f} points",
    }
    count = "1 query" if table.counts[row] == 1 else f"{table.counts[row]} queries"
    return f"<b>{label(table.names[row])}: {label(name)}</b><br>{facts[kind]}<br>{count}"


def _number(value: float, kind: Kind) -> str:
    """The number in a cell; probabilities in percent, their differences in percentage points."""
    if kind == "probability":
        return f"{value:.0%}"
    return f"{value:.2f}" if kind == "reward" else f"{round(100 * value) or 0:+d}".replace("+0", "0")


def entropies(counts: Sequence[int]) -> go.Figure:
    """A histogram of the reward entropy of the training queries.

    Args:
        counts: queries per bin, shape (BINS,).
    """
    width = 1 / BINS
    edges = [(number * width, (number + 1) * width) for number in range(BINS)]
    figure = go.Figure(
        go.Bar(
            x=[(low + high) / 2 for low, high in edges],
            y=list(counts),
            width=width * 0.94,
            marker_color=PALETTE[0],
            customdata=edges,
            hovertemplate="entropy %{customdata[0]:.2f} to %{customdata[1]:.2f}: %{y} queries<extra></extra>",
        )
    )
    framed(figure, "reward entropy (0: one clear winner, 1: all equal)", "training queries", showlegend=False)
    return figure.update_xaxes(range=[0, 1])


def reliability(calibration: Calibration) -> go.Figure:
    """Probability against how often that candidate was the best; both agree on the dashed line."""
    bins = calibration.bins
    intervals = [wilson_interval(one.won, one.n) for one in bins]
    figure = go.Figure(
        go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dash", "color": GREY}, hoverinfo="skip")
    )
    figure.add_scatter(
        x=[one.probability for one in bins],
        y=[one.won for one in bins],
        mode="lines+markers",
        cliponaxis=False,  # a dot at 100% is drawn in full
        line={"color": PALETTE[0]},
        marker={"size": [8 + 16 * (one.n / max(other.n for other in bins)) ** 0.5 for one in bins]},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [high - one.won for one, (_, high) in zip(bins, intervals, strict=True)],
            "arrayminus": [one.won - low for one, (low, _) in zip(bins, intervals, strict=True)],
            "thickness": 1,
            "width": 3,
        },
        customdata=[[one.start, one.end, one.n, *ends] for one, ends in zip(bins, intervals, strict=True)],
        hovertemplate=(
            "<b>probability %{customdata[0]:.0%} to %{customdata[1]:.0%}: %{customdata[2]} queries</b><br>"
            "mean %{x:.1%}; actually best %{y:.1%}<br>"
            "95% interval %{customdata[3]:.0%} to %{customdata[4]:.0%}<extra></extra>"
        ),
    )
    framed(figure, "probability of the chosen model", "how often it was the best", showlegend=False)
    figure.update_xaxes(range=[0, 1], tickformat=".0%")
    return figure.update_yaxes(range=[0, 1.02], tickformat=".0%")
