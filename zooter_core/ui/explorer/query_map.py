"""The map of the training queries: its dots, the names of its regions and the query on it.

ECharts updates a chart in place, so that the query's point can move.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zooter_core.method.tag_table import TIE
from zooter_core.ui.charts import GREY, INKS, colour
from zooter_core.ui.plots import HOVER

RANKED = 0.6
MOST = 9
LEAST = 6  # queries of a tag
AROUND = 30  # queries around a tag's centre that should have it
PER_CHARACTER, HEIGHT = 0.012, 0.09  # of a name, as shares of the map's width and height


class Spread:
    """Where places are drawn, so that a crowded middle gets room: a coordinate is a mean of its rank among the queries
    (weight RANKED) and its place in their range. The order of the queries along each axis stays.

    Args:
        points: the queries' places, shape (n, 2).
    """

    def __init__(self, points: NDArray[np.floating[Any]]) -> None:
        self.sorted = np.sort(points, axis=0)
        self.low, self.size = points.min(axis=0), np.maximum(np.ptp(points, axis=0), 1e-6)

    def __call__(self, places: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Places of the map, shape (..., 2), as they are drawn; queries' places are from 0 to 1."""
        ranks = np.linspace(0, 1, len(self.sorted))
        ranked = np.stack([np.interp(places[..., n], self.sorted[:, n], ranks) for n in range(2)], axis=-1)
        return RANKED * ranked + (1 - RANKED) * (places - self.low) / self.size


class Region(NamedTuple):
    """A name and the place of its middle, in the map's units."""

    name: str
    x: float
    y: float


def regions(places: NDArray[np.floating[Any]], tags: Sequence[Sequence[str]]) -> list[Region]:
    """The regions of a map, the clearest first.

    A tag's region is where most of its queries are. It is clearer the more queries the tag has, and the more its share
    there exceeds its share of all queries.

    Args:
        places: of the queries, as `Spread` gives them, shape (n, 2).
        tags: of each query.
    """
    rows: dict[str, list[int]] = defaultdict(list)
    for row, names in enumerate(tags):
        for name in dict.fromkeys(names):
            rows[name].append(row)
    candidates = []
    for name, tagged in rows.items():
        if len(tagged) < LEAST:
            continue
        centre = np.median(places[tagged], axis=0)
        near = np.argsort(((places - centre) ** 2).sum(axis=1))[: min(AROUND, len(places))]
        share = len(set(near.tolist()) & set(tagged)) / min(len(near), len(tagged))
        above = share - len(tagged) / len(places)  # a tag of all queries names no region
        if above > 0:
            candidates.append((above * len(tagged) ** 0.5, name, centre))
    candidates.sort(key=lambda item: (-item[0], item[1]))
    taken: list[tuple[float, float, float]] = []
    named: list[Region] = []
    for _, name, centre in candidates:
        half = PER_CHARACTER * len(name) / 2
        x = float(np.clip(centre[0], half, max(half, 1 - half)))
        y = float(centre[1])
        if len(named) < MOST and all(abs(x - a) > half + b or abs(y - c) > HEIGHT for a, b, c in taken):
            taken.append((x, half, y))
            named.append(Region(name, x, y))
    return named


# For readers who cannot tell the colours apart.
SYMBOLS = ("circle", "triangle", "rect", "diamond", "roundRect", "arrow", "pin")
TIED = "tie"
REGIONS, LINES, QUERY = "regions", "lines", "query"  # ids of the series that are not dots
NEAR = 0.1  # of the map's width and height; nearer names would lie under the query's label
ZOOM = {
    "filterMode": "none",
    "zoomOnMouseWheel": "ctrl",
    "moveOnMouseWheel": False,
    "preventDefaultMouseMove": False,  # a finger on the map scrolls the page
}
QUERY_MARK = {"opacity": 1, "borderColor": "#fff", "borderWidth": 2, "shadowBlur": 8, "shadowColor": "rgba(0,0,0,0.9)"}
QUERY_LABEL = {
    "show": True,
    "position": "top",
    "color": "#fff",
    "backgroundColor": "rgba(30,30,30,0.85)",
    "padding": [4, 7],
    "borderRadius": 4,
}


def places(
    pool: Sequence[str], points: NDArray[np.floating[Any]], winners: Sequence[int], hover: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """The map of training queries, coloured by the winner.

    Args:
        points: positions, shape (n, 2).
        winners: for each query a candidate's number, or TIE.
        hover: for each query the lines of its hover.
    """
    names = [*enumerate(pool), *([(TIE, TIED)] if TIE in winners else [])]
    dots = [[*(round(float(value), 4) for value in point), *hover[row]] for row, point in enumerate(points)]
    series = [
        _dots(name, number, pool, [dot for dot, winner in zip(dots, winners, strict=True) if winner == number])
        for number, name in names
    ]
    low, high = points.min(axis=0), points.max(axis=0)
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
            "right": 88,  # leaves room for Streamlit's buttons
            "itemWidth": 12,
            "itemHeight": 12,
        },
        "xAxis": axes[0],
        "yAxis": axes[1],
        "dataZoom": [{"type": "inside", axis: 0, **ZOOM} for axis in ("xAxisIndex", "yAxisIndex")],
        "tooltip": dict(HOVER),
        "series": series,
    }


def _dots(name: str, number: int, pool: Sequence[str], data: list[list[Any]]) -> dict[str, Any]:
    """The queries that a candidate wins; each item is a position and the lines of its hover."""
    tie = number == TIE
    head = "several models share the highest reward" if tie else "{a} had the highest reward"
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


def with_regions(option: Mapping[str, Any], regions: Sequence[Region], scheme: str) -> dict[str, Any]:
    """The map with the names of its regions, in ink that can be read on the page's ground and on dots."""
    ground, ink = INKS[scheme]
    names = {
        "type": "scatter",
        "id": REGIONS,
        "silent": True,
        "z": 8,
        "symbolSize": 1,
        "itemStyle": {"color": "transparent"},  # without opacity, the label would be invisible too
        "label": {
            "show": True,
            "formatter": "{b}",
            "color": ink,
            "fontSize": 13,
            "fontWeight": "bold",
            "textBorderColor": ground,
            "textBorderWidth": 4,
        },
        "labelLayout": {"hideOverlap": True},  # on a phone, only those that fit
        "data": [{"name": region.name, "value": [region.x, region.y]} for region in regions],
    }
    return {**option, "series": [*option["series"], names]}


def with_query(
    option: Mapping[str, Any],
    point: Sequence[float],
    candidate: str,
    pool: Sequence[str],
    title: str = "your query",
    similar: Sequence[Sequence[float]] = (),
) -> dict[str, Any]:
    """The map with a query, moved to the edge if it lies outside, and lines to the places of similar ones."""
    inside = [min(max(value, axis["min"]), axis["max"]) for value, axis in zip(point, _axes(option), strict=True)]
    lines = {
        "type": "lines",
        "id": LINES,
        "coordinateSystem": "cartesian2d",
        "silent": True,
        "z": 9,
        "lineStyle": {"color": colour(pool, candidate), "width": 1.5, "opacity": 0.9},
        "data": [{"coords": [inside, [round(float(value), 4) for value in place]]} for place in similar],
    }
    query = {
        "type": "scatter",
        "id": QUERY,
        "name": title,
        "animation": True,
        "animationDurationUpdate": 250,
        "symbol": "diamond",
        "symbolSize": 22,
        "cursor": "default",
        "z": 10,
        "itemStyle": QUERY_MARK | {"color": colour(pool, candidate)},
        "label": QUERY_LABEL | {"formatter": title},
        "data": [inside],
        "tooltip": {"formatter": f"<b>{title}</b><br/>similar queries are nearby"},
    }
    series = [_apart(entry, inside, option) if entry.get("id") == REGIONS else entry for entry in option["series"]]
    return {**option, "series": [*series, lines, query]}


def _apart(names: Mapping[str, Any], point: Sequence[float], option: Mapping[str, Any]) -> dict[str, Any]:
    """The names of regions, without those that the label of a point would cover."""
    room = [NEAR * (axis["max"] - axis["min"]) for axis in _axes(option)]

    def clear(place: Sequence[float]) -> bool:
        return any(abs(place[n] - point[n]) > room[n] for n in range(2))

    return {**names, "data": [name for name in names["data"] if clear(name["value"])]}


def _axes(option: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [option["xAxis"], option["yAxis"]]
