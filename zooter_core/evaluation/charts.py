"""Charts by plotly, for the demo's pages and for the files of commands: their colours, their frame, and what both draw.

A figure is a dictionary as plotly has it in JSON. Names and texts may be a stranger's, and plotly reads markup, links,
formulas and templates in whatever it writes: all words go through `text` or `hover`.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zooter_core.evaluation.figures import Sweep, SweepRow
from zooter_core.evaluation.report_tables import Point

Figure = dict[str, Any]
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#C9B400", "#999999")
ROUTER = "#7C4DDB"
GREY = "#888888"
GROUND, THIN = "#ffffff", "#ddd8e8"  # of a light page (.streamlit/config.toml)
INK = "#000037"  # nearly black; on a page, Streamlit replaces it by what it writes with, on a dark ground nearly white
FONT = '"Source Sans", "Source Sans Pro", Helvetica, Arial, sans-serif'
WORDS: Figure = {"size": 14, "color": INK}
DASHES = ("solid", "dash", "dot")
SWEEP_COLOURS = (ROUTER, *PALETTE)
SWEEP_AXES = ("beta (weight of the plain label)", "mean score per query, 95% interval")
MARK = 10  # pixels
WIDEST, LABEL = 46, 22  # characters of a line of a hover, and of a name on an axis, which fit on a phone
CONFIG: Figure = {"displaylogo": False, "modeBarButtons": [["toImage"]], "toImageButtonOptions": {"scale": 2}}
ENTITIES = {ord(character): f"&#{ord(character)};" for character in "&<>${"}


def text(words: str) -> str:
    """Words in which plotly finds no tag, link, formula or template."""
    return words.translate(ENTITIES)


def hover(*sentences: str) -> str:
    """Sentences for a hover, each on lines of its own."""
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
    "ticklabeloverflow": "allow",  # measuring each label costs a fifth of a drawing
}
LAYOUT: Figure = {
    "font": WORDS,
    "dragmode": False,  # a finger on a chart scrolls the page
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
    """A chart with titles on its axes. Its colours are those of the page; a file has those of `on_white`.

    Args:
        legend: whether there is one below the chart; or what is different about it.
        margin: pixels around the chart, where they are different.
        layout: `xaxis` and `yaxis` add to the axes; others are parts of the layout.
    """
    titles = {name: {"text": words, "standoff": 12, "font": WORDS} for name, words in (("xaxis", x), ("yaxis", y))}
    axes = {name: AXIS | {"title": title} | layout.pop(name, {}) for name, title in titles.items()}
    shown = {"showlegend": bool(legend), "legend": BELOW | (legend if isinstance(legend, dict) else {})}
    parts = {**LAYOUT, **shown, **axes, "margin": {**MARGIN, **margin}, **layout}
    return {"data": list(traces) or [{"type": "scatter"}], "layout": parts}


def on_white(figure: Figure, height: int) -> Figure:
    """A chart outside of a page, so many pixels high: in the colours of the demo's light pages."""
    axis = {"gridcolor": THIN, "linecolor": THIN}
    label = {"bgcolor": GROUND, "bordercolor": THIN}
    ground = {"paper_bgcolor": GROUND, "plot_bgcolor": GROUND}
    colours = {"font": {"family": FONT}, "hoverlabel": label, "xaxis": axis, "yaxis": axis, **ground}
    return {**figure, "layout": {**figure["layout"], "template": {"layout": colours}, "height": height}}


def of_names(names: Sequence[str], **more: Any) -> Figure:
    """An axis with a name for each of the numbers from 0, the first one on top."""
    words = ["<br>".join(map(text, textwrap.wrap(name, LABEL))) for name in names]
    ticks = {"tickvals": list(range(len(names))), "ticktext": words}
    return {"range": [len(names) - 0.5, -0.5], "showgrid": False, **ticks, **more}


def bars_of(middles: Sequence[float], intervals: Sequence[tuple[float, float]], colour: str) -> Figure:
    """Error bars as plotly has them: how far each end is from its middle; none where one is not finite."""
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


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        points: (x, y).
        texts: the sentences of each point; none for a line without marks.
        intervals: the ends of each point's interval in y, where it has one.
        best: the numbers of the points that have a star.
    """

    name: str
    points: Sequence[tuple[float, float]]
    colour: str
    dash: str = "solid"
    texts: Sequence[Sequence[str]] = ()
    intervals: Sequence[tuple[float, float]] = ()
    best: Collection[int] = ()

    def trace(self) -> Figure:
        heights = [y for _, y in self.points]
        marks = {
            "symbol": ["star" if place in self.best else "circle" for place in range(len(heights))],
            "size": [2 * MARK if place in self.best else MARK for place in range(len(heights))],
        }
        return {
            "type": "scatter",
            "mode": "lines+markers" if self.texts else "lines",
            "name": text(self.name),
            "x": [x for x, _ in self.points],
            "y": heights,
            "line": {"color": self.colour, "dash": self.dash, "width": 2 if self.texts else 1.5},
            "marker": {"color": self.colour, "opacity": 1, "line": {"width": 0}, **marks},
            "hovertext": [hover(*sentences) for sentences in self.texts],
            "hoverinfo": "text" if self.texts else "skip",
            **({"error_y": bars_of(heights, self.intervals, self.colour)} if self.intervals else {}),
        }


def sweep_chart(sweep: Sweep) -> Figure:
    """The mean score over beta with its 95% interval, a line per tau; a star marks the best point."""
    by_tau: dict[float, list[SweepRow]] = {}
    for row in sorted(sweep.rows, key=lambda row: row.beta):
        by_tau.setdefault(row.tau, []).append(row)
    lines = [
        Line(
            f"tau {tau:g}",
            [(row.beta, row.mean) for row in rows],
            SWEEP_COLOURS[number % len(SWEEP_COLOURS)],
            DASHES[number % len(DASHES)],
            [_row_texts(row, sweep.is_best(row)) for row in rows],
            [row.interval for row in rows],
            [place for place, row in enumerate(rows) if sweep.is_best(row)],
        )
        for number, (tau, rows) in enumerate(by_tau.items())
    ]
    return framed([line.trace() for line in lines], *SWEEP_AXES, legend=len(lines) > 1)


def _row_texts(row: SweepRow, best: bool) -> list[str]:
    low, high = row.interval
    return [
        f"With beta {row.beta:g}{', the best,' if best else ''} the mean score is {row.mean:.3f}, "
        f"{row.regret:.3f} below the oracle.",
        f"Its 95% interval is {low:.3f} to {high:.3f}.",
    ]


def selection_chart(
    curves: Mapping[int, Sequence[Point]],
    priced: bool,
    quality: str = "mean score per query",
    marks: Sequence[Figure] = (),
) -> Figure:
    """Quality over cost: a line per k, and the straight line of as many random queries.

    Args:
        curves: k -> the points in the order of cost.
        priced: cost in dollars; else in calls.
        marks: drawn over the lines.
    """
    traces = []
    for number, (k, points) in enumerate(curves.items()):
        places = [(point.cost(priced), point.reward) for point in points]
        straight = Line("random queries", [places[0], places[-1]], GREY, "dot").trace()
        traces.append(straight | {"showlegend": not number})  # all of them have one entry
        texts = [_curve_texts(point, priced) for point in points]
        line = Line(f"router, {k} models if unsure", places, ROUTER, DASHES[number % len(DASHES)], texts)
        traces.append(line.trace())
    unit = "dollars per thousand queries" if priced else "model calls per query"
    return framed([*traces, *marks], f"mean cost ({unit})", quality, legend=True)


def _curve_texts(point: Point, priced: bool) -> list[str]:
    return [
        f"{point.k} models answer {point.share:.0%} of the queries, those with an uncertainty above "
        f"{point.threshold:.3f}.",
        f"That earns {point.described(priced)}.",
    ]
