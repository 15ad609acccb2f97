"""Plotly charts for the demo's pages and for files written by commands: colours, layout, and the charts that both use.

A figure is a dictionary in plotly's JSON format. Names and texts are untrusted, and plotly interprets markup, links,
formulas and templates in every text. So all texts must go through `text` or `hover`.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from zooter_core.evaluation.figures import Sweep, SweepRow
from zooter_core.evaluation.report_tables import Point

Figure = dict[str, Any]
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#C9B400", "#999999")
ROUTER = "#7C4DDB"
GREY = "#888888"
GROUND, THIN = "#ffffff", "#ddd8e8"  # background and lines of a light page (.streamlit/config.toml)
INK = "#000037"  # nearly black; on a page, Streamlit replaces it with its own text colour, which is light in dark mode
FONT = '"Source Sans", "Source Sans Pro", Helvetica, Arial, sans-serif'
WORDS: Figure = {"size": 14, "color": INK}
DASHES = ("solid", "dash", "dot")
SWEEP_COLOURS = (ROUTER, *PALETTE)
SWEEP_AXES = ("beta (weight of the plain label)", "mean score per query, 95% interval")
MARK = 10  # pixels
WIDEST, LABEL = 46, 22  # characters that fit on a phone: per line of a hover text, and per name on an axis
CONFIG: Figure = {"displaylogo": False, "modeBarButtons": [["toImage"]], "toImageButtonOptions": {"scale": 2}}
ENTITIES = {ord(character): f"&#{ord(character)};" for character in "&<>${"}


def text(words: str) -> str:
    """The text, escaped so that plotly finds no tag, link, formula or template in it."""
    return words.translate(ENTITIES)


def hover(*sentences: str) -> str:
    """A hover text with each sentence on a new line."""
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence, WIDEST)]
    return "<br>".join(map(text, lines))


AXIS: Figure = {
    "automargin": True,
    "fixedrange": True,
    "showgrid": True,
    "ticks": "",
    "tickfont": WORDS | {"size": 13},
    "ticklabelstandoff": 4,
    "zeroline": False,
    "ticklabeloverflow": "allow",  # measuring labels takes a fifth of the drawing time
}
LAYOUT: Figure = {
    "font": WORDS,
    "dragmode": False,  # so that swiping over a chart scrolls the page
    "hovermode": "closest",
    "hoverlabel": {"align": "left", "font": WORDS},
    "bargap": 0.25,
    "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": GREY, "activecolor": ROUTER},
}
MARGIN = {"l": 8, "r": 24, "t": 12, "b": 8, "pad": 0}
BELOW: Figure = {
    "orientation": "h",
    "traceorder": "normal",
    "x": 0,
    "y": 0,
    "xref": "container",
    "yref": "container",
    "yanchor": "bottom",
    "font": WORDS,
}


def framed(
    traces: Iterable[Figure],
    x: str = "",
    y: str = "",
    legend: bool | Figure = False,
    margin: Mapping[str, Any] = MARGIN,
    **layout: Any,
) -> Figure:
    """A chart with titles on its axes, in the page's colours. For files, `on_white` sets other colours.

    Args:
        legend: whether there is a legend below the chart, or its settings.
        margin: margins in pixels.
        layout: further settings of the layout; `xaxis` and `yaxis` are merged into the axes.
    """
    titles = {name: {"text": words, "standoff": 12, "font": WORDS} for name, words in (("xaxis", x), ("yaxis", y))}
    axes = {name: AXIS | {"title": title} | layout.pop(name, {}) for name, title in titles.items()}
    shown = {"showlegend": bool(legend), "legend": BELOW | (legend if isinstance(legend, dict) else {})}
    parts = {**LAYOUT, **shown, **axes, "margin": {**MARGIN, **margin}, **layout}
    return {"data": list(traces) or [{"type": "scatter"}], "layout": parts}


def on_white(figure: Figure, height: int) -> Figure:
    """The chart for a file, in the colours of the demo's light pages. `height` is in pixels."""
    axis = {"gridcolor": THIN, "linecolor": THIN}
    label = {"bgcolor": GROUND, "bordercolor": THIN}
    ground = {"paper_bgcolor": GROUND, "plot_bgcolor": GROUND}
    colours = {"font": {"family": FONT}, "hoverlabel": label, "xaxis": axis, "yaxis": axis, **ground}
    return {**figure, "layout": {**figure["layout"], "template": {"layout": colours}, "height": height}}


def of_names(names: Sequence[str], **more: Any) -> Figure:
    """An axis with names instead of the numbers 0, 1, 2 ..., the first on top."""
    words = ["<br>".join(map(text, textwrap.wrap(name, LABEL))) for name in names]
    ticks = {"tickvals": list(range(len(names))), "ticktext": words}
    return {"range": [len(names) - 0.5, -0.5], "showgrid": False, **ticks, **more}


def error_bars(middles: Sequence[float], intervals: Sequence[tuple[float, float]], colour: str) -> Figure:
    """Error bars for plotly: the distance of each end from the middle. There is no bar if an end is not finite."""
    ends = [
        (high - middle, middle - low) if all(map(math.isfinite, (low, middle, high))) else (None, None)
        for middle, (low, high) in zip(middles, intervals, strict=True)
    ]
    return {
        "array": [above for above, _ in ends],
        "arrayminus": [below for _, below in ends],
        "color": colour,
        "thickness": 1.5,
        "width": 0,
    }


def trace(kind: str, xs: Iterable[Any], ys: Iterable[Any], hovers: Iterable[str] = (), **more: Any) -> Figure:
    """A trace in plotly's format. `hovers` are the hover texts of its points; without them, points have none."""
    texts = [hover(*sentences.split("\n")) for sentences in hovers]
    pointed = {"hovertext": texts, "hoverinfo": "text"} if texts else {"hoverinfo": "skip"}
    return {"type": kind, "x": list(xs), "y": list(ys), **pointed, **more}


def _marked(
    xs: Sequence[float],
    ys: Sequence[float],
    colour: str,
    number: int,
    hovers: Iterable[str],
    stars: Collection[int] = (),
    **more: Any,
) -> Figure:
    """A line with a marker per point. Points in `stars` are stars. `number` is the line's index in the chart."""
    marker = {
        "color": colour,
        "opacity": 1,
        "line": {"width": 0},
        "symbol": ["star" if place in stars else "circle" for place in range(len(xs))],
        "size": [2 * MARK if place in stars else MARK for place in range(len(xs))],
    }
    line = {"color": colour, "dash": DASHES[number % len(DASHES)], "width": 2}
    return trace("scatter", xs, ys, hovers, mode="lines+markers", line=line, marker=marker, **more)


def sweep_chart(sweep: Sweep) -> Figure:
    """The mean score against beta with its 95% interval, one line per tau. A star marks the best point."""
    by_tau: dict[float, list[SweepRow]] = {}
    for row in sorted(sweep.rows, key=lambda row: row.beta):
        by_tau.setdefault(row.tau, []).append(row)
    lines = []
    for number, (tau, rows) in enumerate(by_tau.items()):
        colour, means = SWEEP_COLOURS[number % len(SWEEP_COLOURS)], [row.mean for row in rows]
        texts = [_row_texts(row, sweep.is_best(row)) for row in rows]
        stars = [place for place, row in enumerate(rows) if sweep.is_best(row)]
        bars = error_bars(means, [row.interval for row in rows], colour)
        betas, name = [row.beta for row in rows], text(f"tau {tau:g}")
        lines.append(_marked(betas, means, colour, number, texts, stars, name=name, error_y=bars))
    return framed(lines, *SWEEP_AXES, legend=len(lines) > 1)


def _row_texts(row: SweepRow, best: bool) -> str:
    low, high = row.interval
    return (
        f"With beta {row.beta:g}{', the best,' if best else ''} the mean score is {row.mean:.3f}, "
        f"{row.regret:.3f} below the oracle.\nIts 95% interval is {low:.3f} to {high:.3f}."
    )


def selection_chart(
    curves: Mapping[int, Sequence[Point]],
    priced: bool,
    quality: str = "mean score per query",
    marks: Sequence[Figure] = (),
) -> Figure:
    """Quality against cost: one line per k with its points in order of cost, and `marks` above the lines.

    A straight line shows the same number of queries chosen at random. Cost is in dollars if `priced`, otherwise in
    calls.
    """
    straight = {"mode": "lines", "line": {"color": GREY, "dash": "dot", "width": 1.5}, "name": "random queries"}
    traces = []
    for number, (k, points) in enumerate(curves.items()):
        costs, rewards = [point.cost(priced) for point in points], [point.reward for point in points]
        ends = [costs[0], costs[-1]], [rewards[0], rewards[-1]]
        traces.append(trace("scatter", *ends, **straight, showlegend=not number))  # one legend entry for all k
        texts, name = [_curve_texts(point, priced) for point in points], f"router, {k} models if unsure"
        traces.append(_marked(costs, rewards, ROUTER, number, texts, name=name))
    unit = "dollars per thousand queries" if priced else "model calls per query"
    return framed([*traces, *marks], f"mean cost ({unit})", quality, legend=True)


def _curve_texts(point: Point, priced: bool) -> str:
    return (
        f"{point.k} models answer {point.share:.0%} of the queries, those with an uncertainty above "
        f"{point.threshold:.3f}.\nThat earns {point.described(priced)}."
    )
