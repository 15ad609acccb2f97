"""Charts that several pages draw, as options of ECharts, which Streamlit includes.

Names and texts may be a stranger's. They stand in the data of a series, from where labels and tooltips take them with
`{@[2]}`: only there are they plain text and no template.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from zooter_core.base.records import Ranked
from zooter_core.evaluation.charts import Line
from zooter_core.ui import charts
from zooter_core.ui.text import clipped

Option = dict[str, Any]
HOVER = {"confine": True, "extraCssText": "max-width:min(360px,80vw);white-space:normal;overflow-wrap:anywhere"}
MARK = 10  # pixels
STAR = "path://M0-9 2.1-2.9 8.6-2.8 3.4 1.1 5.3 7.3 0 3.6-5.3 7.3-3.4 1.1-8.6-2.8-2.1-2.9Z"
CROSS = "path://M-2-6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z"
X = "path://M-6-4-4-6 0-2 4-6 6-4 2 0 6 4 4 6 0 2-4 6-6 4-2 0Z"
PENTAGON = "path://M0-6 5.7-1.9 3.5 4.9H-3.5L-5.7-1.9Z"
DOWN = "path://M0 6-6-5H6Z"
LEFT = "path://M-6 0 5-6V6Z"
SHORT = 12  # characters of a name that fits on both sides of its dot, also at the edge of a chart
SQUARE = 12  # pixels of a mark in a legend; that of a line is wider
TIME = {"type": "time", "axisLabel": {"formatter": {"day": "{d} {MMM}", "hour": "{HH}:{mm}", "minute": "{HH}:{mm}"}}}


def draw(option: Option, key: str, alt: str, height: int) -> None:
    st.echarts_chart(option, key=key, height=height, renderer="svg", alt=alt)


def framed(series: Iterable[Option], x: str = "", y: str = "", legend: bool = False, **more: Any) -> Option:
    """A chart with titles on its axes and its legend below.

    Args:
        more: `xAxis` and `yAxis` add to the axes; others are parts of the option.
    """
    across = {"nameLocation": "middle", "nameGap": 28, **more.pop("xAxis", {})}
    up = {"nameLocation": "end", "nameTextStyle": {"align": "left"}, **more.pop("yAxis", {})}
    below = 30 * bool(x) + 30 * legend
    parts = list(series)
    narrow = {} if any(part["type"] == "line" for part in parts) else {"itemWidth": SQUARE, "itemHeight": SQUARE}
    ends = [end["coord"] for part in parts for pair in part.get("markLine", {}).get("data", ()) for end in pair]
    if ends:  # ECharts' axes do not make room for marked lines
        parts.append({"type": "scatter", "data": ends, "symbolSize": 0, "silent": True})
    return {
        "animation": False,
        "grid": {"left": 4, "right": 16, "top": 32 if y else 8, "bottom": below, "containLabel": True},
        "legend": {"show": legend, "type": "scroll", "bottom": 0, "left": 0, **narrow},
        "tooltip": dict(HOVER),
        "xAxis": {"type": "value", "scale": True, "name": x, **across},
        "yAxis": {"type": "value", "scale": True, "name": y, **up},
        "series": parts,
        **more,
    }


def hover(lines: int = 1, first: int = 2) -> Option:
    """A series' tooltip: so many numbers of each item's data, from `first` on, one below the other, a first of several
    in bold."""
    texts = [f"{{@[{first + number}]}}" for number in range(lines)]
    if lines > 1:
        texts[0] = f"<b>{texts[0]}</b>"
    return {"formatter": "<br/>".join(texts)}


def bars_of(intervals: Sequence[tuple[float, float, float]], colour: str) -> Option:
    """The part of a series that draws intervals: x, the low and the high end of each."""
    ends = [({"coord": [x, low]}, {"coord": [x, high]}) for x, low, high in intervals if math.isfinite(high - low)]
    return {
        "silent": True,
        "animation": False,
        "symbol": "none",
        "lineStyle": {"type": "solid", "width": 1.5, "color": colour},
        "data": [list(pair) for pair in ends],
    }


def series_of(line: Line) -> Option:
    """A line as a series, with a mark for each point that has words."""
    hidden = {"symbol": "none", "silent": True}
    texts = line.texts or [()] * len(line.points)
    return {
        "type": "line",
        "name": line.name,
        "symbol": "circle",
        "symbolSize": MARK - 2,
        "itemStyle": {"color": line.colour},
        "lineStyle": {"type": line.dash, "width": 2 if line.texts else 1, "color": line.colour},
        "data": [
            {"value": [*point, *text]} | ({"symbol": STAR, "symbolSize": 2 * MARK} if place in line.best else {})
            for place, (point, text) in enumerate(zip(line.points, texts, strict=True))
        ],
        "tooltip": hover(len(texts[0])),
        "markLine": bars_of(
            [(x, *ends) for (x, _), ends in zip(line.points, line.intervals, strict=False)], line.colour
        ),
        **({} if line.texts else hidden),
    }


def rewards(ranked: Sequence[Ranked], pool: Sequence[str]) -> Option:
    """Rewards as dots on one axis: only their distances mean something."""
    scored = sorted((item.reward, item.response.candidate) for item in ranked if item.reward is not None)
    values = [reward for reward, _ in scored]
    low, high = min(values, default=0.0), max(values, default=0.0)
    room = 0.12 * (high - low or 1.0)
    axis = {"type": "line", "data": [[low, 0], [high, 0]], "symbol": "none", "silent": True}
    dots = {
        "type": "scatter",
        "symbolSize": 18,
        # Without its own height, a line is as high as a Chinese character is wide, where there is a font for it.
        "label": {"show": True, "formatter": "{@[2]}\n{@[3]}", "fontSize": 13, "lineHeight": 15},
        "labelLayout": {"hideOverlap": True},  # the text below has them all
        "tooltip": {"formatter": "reward of {@[2]}<br/>{@[3]}"},
        "data": [
            {
                "value": [reward, 0, label(name, 18), f"{reward:z.2f}"],
                "itemStyle": {"color": charts.colour(pool, name)},
                "label": {
                    "position": "top" if place % 2 == 0 else "bottom",
                    "align": "center" if len(name) <= SHORT else "left" if reward < (low + high) / 2 else "right",
                },
            }
            for place, (reward, name) in enumerate(scored)
        ],
    }
    return framed(
        [axis | {"lineStyle": {"color": charts.GREY}}, dots],
        xAxis={"show": False, "min": low - room, "max": high + room},
        yAxis={"show": False, "min": -1, "max": 1},
    )


def wins(shares: Mapping[str, Mapping[str, float]], names: Sequence[str], pool: Sequence[str]) -> Option:
    """A bar for each source of queries, the first one on top: the share of its queries that each model won."""
    series = [
        {
            "type": "bar",
            "name": label(name, 40),
            "stack": "all",
            "barCategoryGap": "25%",
            "itemStyle": {"color": charts.colour(pool, name)},
            "data": [
                [100 * of.get(name, 0.0), row, f"{label(name, 40)}: {of.get(name, 0.0):.0%}"]
                for row, of in enumerate(shares.values())
            ],
            "tooltip": hover(),
        }
        for name in names
    ]
    sources = {"type": "category", "data": [label(source) for source in shares], "inverse": True}
    percent = {"min": 0, "max": 100, "axisLabel": {"formatter": "{value}%"}}
    return framed(series, "share of the questions", legend=True, xAxis=percent, yAxis=sources)


def clock(seconds: float) -> float:
    """A moment as a chart with `useUTC` shows it by the clock of this machine, in milliseconds."""
    return 1000 * datetime.fromtimestamp(seconds).replace(tzinfo=UTC).timestamp()


def label(text: str, most: int = 200) -> str:
    """The start of a text."""
    return clipped(text, most)
