"""How pages draw charts, and those that several pages have. What they look like is in `evaluation.charts`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

import streamlit as st

from zooter_core.base.records import Ranked
from zooter_core.evaluation.charts import CONFIG, GREY, LABEL, Figure, framed, hover, of_names, text
from zooter_core.ui import charts
from zooter_core.ui.text import clipped

SHORT = 12  # characters of a name that fits on both sides of its dot, also at the edge of a chart
LONGEST, PER_LETTER = 18, 0.03  # characters of any name there, and how wide one is, as a share of a phone's axis
TIME = {"type": "date", "nticks": 4, "tickangle": 0}  # an axis


def draw(figure: Figure, key: str, alt: str, height: int) -> None:
    """Draw a chart in the page's colours, so many pixels high; `alt` is what a screen reader says of it."""
    options = CONFIG | {"toImageButtonOptions": {**CONFIG["toImageButtonOptions"], "filename": f"zooter-{key}"}}
    st.plotly_chart(figure, key=key, height=height, config=options, alt=alt)


def redraw(figure: Figure, key: str, alt: str, height: int) -> None:
    """Draw a chart that changes while one types, without a flash.

    Streamlit takes a chart of plotly's that changes off the page before it draws the new one. So there are two places,
    one upon the other, which take turns: the older chart stays until the newer has its marks.
    """
    turn, charts_of = st.session_state.get(f"turn-{key}", (0, {}))
    turn, charts_of = 1 - turn, charts_of | {1 - turn: (figure, alt)}
    st.session_state[f"turn-{key}"] = turn, charts_of
    with st.container(key=f"turns-{key}"):
        for place in (0, 1):
            with st.container(key=f"{key}-at-{place}"):
                if place in charts_of:
                    draw(charts_of[place][0], f"{key}-{place}", charts_of[place][1], height)
        # Streamlit draws a chart once unseen, to find its width.
        drawn = f'.st-key-{key}-at-{turn} .js-plotly-plot:not([style*="visibility: hidden"]) .points path'
        older = f".st-key-{key}-at-{1 - turn}"
        st.html(f"<style>.st-key-turns-{key}:has({drawn}) {older} {{ visibility: hidden }}</style>")


def label(name: str, most: int = 200) -> str:
    """The start of a name, for plotly."""
    return text(clipped(name, most))


def clock(seconds: float) -> str:
    """A moment by the clock of this machine, for an axis of dates."""
    return datetime.fromtimestamp(seconds).isoformat(sep=" ", timespec="seconds")


def rewards(ranked: Sequence[Ranked], pool: Sequence[str]) -> Figure:
    """Rewards as dots on one axis: only their distances mean something."""
    scored = sorted((item.reward, item.response.candidate) for item in ranked if item.reward is not None)
    values = [reward for reward, _ in scored]
    low, high = min(values, default=0.0), max(values, default=0.0)
    room = 0.12 * (high - low or 1.0)
    axis = {
        "type": "scatter",
        "mode": "lines",
        "x": [low, high],
        "y": [0, 0],
        "hoverinfo": "skip",
        "line": {"color": GREY},
    }
    places, named = [], []
    free = {"top": math.inf, "bottom": math.inf}  # above and below the dots: up to where there is room for a name
    for reward, name in reversed(scored):  # so that the best ones have their names
        x, words = (reward - low) / (high - low or 1.0), label(name, LONGEST)
        wide = PER_LETTER * min(len(name), LONGEST)
        side, end = ("center", x + wide / 2) if len(name) <= SHORT else ("right", x + wide) if x < 0.5 else ("left", x)
        height = next((height for height, start in free.items() if end < start), "")
        if height:
            free[height] = end - wide
        places.append(f"{height or 'top'} {side}")
        named.append(f"{words}<br>{reward:z.2f}" if height else "")
    dots = {
        "type": "scatter",
        "mode": "markers+text",
        "x": values,
        "y": [0] * len(values),
        "text": named[::-1],  # the text below has those that do not fit
        "textposition": places[::-1],
        "marker": {"size": 18, "color": [charts.colour(pool, name) for _, name in scored], "opacity": 1},
        "hovertext": [
            hover(f"The response of {clipped(name, 80)} has the reward {reward:z.2f}.") for reward, name in scored
        ],
        "hoverinfo": "text",
        "cliponaxis": False,
    }
    bare = {"visible": False}
    return framed(
        [axis, dots],
        xaxis=bare | {"range": [low - room, high + room]},
        yaxis=bare | {"range": [-1, 1]},
    )


def wins(shares: Mapping[str, Mapping[str, float]], names: Sequence[str], pool: Sequence[str]) -> Figure:
    """A bar for each source of queries, the first one on top: the share of its queries that each model won."""
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            "name": label(name, 40),
            "marker": {"color": charts.colour(pool, name)},
            "x": [of.get(name, 0.0) for of in shares.values()],
            "y": list(range(len(shares))),
            "hovertext": [
                hover(f"{clipped(name, 40)} gave the best answer to {of.get(name, 0.0):.0%} of {clipped(source, 40)}.")
                for source, of in shares.items()
            ],
            "hoverinfo": "text",
        }
        for name in names
    ]
    percent = {"range": [0, 1], "tickformat": ".0%"}
    rows = of_names([clipped(source, LABEL) for source in shares])
    return framed(bars, "share of the questions", legend=True, barmode="stack", xaxis=percent, yaxis=rows)
