"""Charts that change while one types: bars of probabilities, and the map.

They are drawn by ECharts, which Streamlit brings along: it moves what is there already, where a changed plotly chart is
taken away and drawn anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.method.tag_table import TIE
from zooter_core.ui.charts import colour
from zooter_core.ui.explorer.charts import GREY

SYMBOLS = ("circle", "triangle", "rect", "diamond", "roundRect", "arrow", "pin")  # for who cannot tell the colours
NOBODY = "several equal"
HOVER = {
    "confine": True,
    "extraCssText": "max-width:min(360px,80vw);white-space:normal;overflow-wrap:anywhere",
}


def bars(probabilities: Mapping[str, float]) -> dict[str, Any]:
    """A bar a candidate, in pool order: how likely it is to give the best answer."""
    pool = list(probabilities)
    data = [
        {
            "value": round(100 * p, 1),
            "itemStyle": {"color": colour(pool, name)},
            "label": {"formatter": f"{p:.0%}"},
        }
        for name, p in probabilities.items()
    ]
    return {
        "animationDuration": 200,
        "animationDurationUpdate": 200,
        "grid": {"left": 4, "right": 52, "top": 4, "bottom": 4, "containLabel": True},
        "xAxis": {"type": "value", "min": 0, "max": 100, "show": False},
        "yAxis": {
            "type": "category",
            "data": pool,
            "inverse": True,
            "axisLine": {"show": False},
            "axisTick": {"show": False},
            "axisLabel": {"fontSize": 14},
        },
        "tooltip": {**HOVER, "formatter": "{b} gives the best answer with probability {c}%"},
        "series": [
            {
                "type": "bar",
                "data": data,
                "barWidth": "68%",
                "cursor": "default",
                "label": {"show": True, "position": "right", "fontSize": 14},
            }
        ],
    }


def bars_height(candidates: int) -> int:
    """Pixels of `bars`."""
    return 34 * candidates + 12


def places(
    pool: Sequence[str], found: NDArray[np.floating[Any]], winners: Sequence[int], words: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """The map of training queries, coloured by who won; `words` are the lines of each one's hover.

    Args:
        found: shape (n, 2).
        winners: of each query a candidate's number, or TIE.
    """
    shown = [*enumerate(pool), *([(TIE, NOBODY)] if TIE in winners else [])]
    series = [
        _dots(name, number, pool, [[*place, *words[row]] for row, place in _rows(found, winners, number)])
        for number, name in shown
    ]
    low, high = found.min(axis=0), found.max(axis=0)
    room = 0.08 * np.maximum(high - low, 1e-3)
    axes = [
        {"type": "value", "show": False, "min": float(low[n] - room[n]), "max": float(high[n] + room[n])}
        for n in range(2)
    ]
    return {
        "animation": False,
        "grid": {"left": 4, "right": 4, "top": 40, "bottom": 4},
        "legend": {
            "type": "scroll",
            "top": 0,
            "left": 0,
            "right": 88,
            "itemWidth": 12,
            "itemHeight": 12,
        },  # Streamlit's buttons are on the right
        "xAxis": axes[0],
        "yAxis": axes[1],
        "tooltip": dict(HOVER),
        "series": series,
    }


def _rows(found: NDArray[np.floating[Any]], winners: Sequence[int], number: int) -> list[tuple[int, list[float]]]:
    """The rows that one candidate has won, each with its place."""
    return [(row, [round(float(at), 4) for at in found[row]]) for row, winner in enumerate(winners) if winner == number]


def _dots(name: str, number: int, pool: Sequence[str], data: list[list[Any]]) -> dict[str, Any]:
    """The queries that one candidate has won; each item is a place and the lines of its hover."""
    tie = number == TIE
    head = "several had the same highest reward, to three digits" if tie else "{a} had the highest reward"
    lines = "<br/>".join(f"{{@[{column}]}}" for column in range(2, len(data[0]) if data else 2))
    return {
        "type": "scatter",
        "name": name,
        "symbol": "circle" if tie else SYMBOLS[number % len(SYMBOLS)],
        "symbolSize": 8,
        "cursor": "default",
        "itemStyle": {"color": GREY if tie else colour(pool, name), "opacity": 0.8},
        "data": data,
        "tooltip": {"formatter": f"<b>{head}</b><br/>{lines}"},
    }


def with_query(option: Mapping[str, Any], at: Sequence[float], chosen: str, pool: Sequence[str]) -> dict[str, Any]:
    """The map with the typed query on it, at its edge where it lies outside."""
    inside = [min(max(value, axis["min"]), axis["max"]) for value, axis in zip(at, _axes(option), strict=True)]
    typed = {
        "type": "scatter",
        "name": "your query",
        "symbol": "diamond",
        "symbolSize": 22,
        "cursor": "default",
        "z": 10,
        "itemStyle": {
            "color": colour(pool, chosen),
            "opacity": 1,
            "borderColor": "#fff",
            "borderWidth": 2,
            "shadowBlur": 8,
            "shadowColor": "rgba(0,0,0,0.9)",
        },
        "label": {
            "show": True,
            "position": "top",
            "formatter": "your query",
            "color": "#fff",
            "backgroundColor": "rgba(30,30,30,0.85)",
            "padding": [4, 7],
            "borderRadius": 4,
        },
        "data": [inside],
        "tooltip": {"formatter": "<b>your query</b><br/>near the queries that mean like things"},
    }
    return {**option, "series": [*option["series"], typed]}


def _axes(option: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [option["xAxis"], option["yAxis"]]
