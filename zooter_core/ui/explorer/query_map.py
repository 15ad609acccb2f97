"""The map of the training queries with the names of its regions, and what is drawn over it: a query.

Streamlit takes a chart off the page when it changes. So the query is one of its own, and the map stays while one types.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zooter_core.evaluation.charts import GREY, Figure, framed, text
from zooter_core.method.tag_table import TIE
from zooter_core.ui import charts

RANKED = 0.6  # the weight of ranks (`Spread`)
MOST = 9  # names
LEAST, LEAST_SHARE = 6, 0.01  # queries of a tag that may be a name, and their share of all queries
AROUND = 30  # queries around a tag's centre that should have it
PER_CHARACTER, HEIGHT = 0.022, 0.06  # of a name on a phone, as shares of the map's width and height
LONGEST, MOST_LINES = 24, 4  # characters of a name in the legend, and its lines


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
        if len(tagged) < max(LEAST, LEAST_SHARE * len(places)):
            continue
        centre = np.median(places[tagged], axis=0)
        near = np.argsort(((places - centre) ** 2).sum(axis=1))[: min(AROUND, len(places))]
        share = len(set(near.tolist()) & set(tagged)) / min(len(near), len(tagged))
        above = share - len(tagged) / len(places)  # a tag of all queries names no region
        if above > 0:
            candidates.append((above * len(tagged) ** 0.5, name, centre))
    candidates.sort(key=lambda item: (-item[0], item[1]))
    named: list[Region] = []
    for _, name, centre in candidates:
        half = PER_CHARACTER * len(name) / 2
        x, y = float(np.clip(centre[0], half, max(half, 1 - half))), float(centre[1])
        over = (abs(y - r.y) <= HEIGHT and abs(x - r.x) <= half + PER_CHARACTER * len(r.name) / 2 for r in named)
        if len(named) < MOST and not any(over):
            named.append(Region(name, x, y))
    return named


TIED = "tie"
LEGEND, PER_LETTER, BESIDE, NARROW = 24, 8, 40, 340  # pixels: a line, a letter and a mark of the legend, and a phone
CLEAR = "rgba(0,0,0,0)"
MARGIN = 0.08  # of the queries' range, around them


def places(
    pool: Sequence[str],
    points: NDArray[np.floating[Any]],
    winners: Sequence[int],
    sentences: Sequence[Sequence[str]],
    named: Sequence[Region] = (),
) -> Figure:
    """The map of training queries, coloured by the winner, with the names of its regions.

    Args:
        points: positions, shape (n, 2).
        winners: for each query a candidate's number, or TIE.
        sentences: of each query's hover.
    """
    names = [*enumerate(pool), *([(TIE, TIED)] if TIE in winners else [])]
    dots = []  # not plotly's WebGL, which compiles code from texts: the security policy refuses that
    for number, name in names:
        rows = [row for row, winner in enumerate(winners) if winner == number]
        symbol, hue = ("circle", GREY) if number == TIE else (charts.symbol(pool, name), charts.colour(pool, name))
        marker = {"symbol": symbol, "size": 8, "color": hue, "opacity": 0.8}
        hovers = ["\n".join(sentences[row]) for row in rows]
        dots.append(charts.dots(points[rows, 0], points[rows, 1], marker, hovers, name=charts.label(name, LONGEST)))
    low, high = points.min(axis=0), points.max(axis=0)
    room = MARGIN * np.maximum(high - low, 1e-3)
    widths = [PER_LETTER * min(len(name), LONGEST) + BESIDE for _, name in names]
    columns = len(names) if sum(widths) <= NARROW else max(NARROW // max(widths), 1)  # as plotly fills several lines
    lines = -(-len(names) // columns)
    words = [
        {"x": region.x, "y": region.y, "text": f"<b>{text(region.name)}</b>", "showarrow": False} for region in named
    ]
    return framed(
        dots,
        legend={"xref": "paper", "yref": "paper", "y": 1},
        xaxis={"visible": False, "range": [float(low[0] - room[0]), float(high[0] + room[0])]},
        yaxis={"visible": False, "range": [float(low[1] - room[1]), float(high[1] + room[1])]},
        # The query is drawn over the map: both have the same room.
        margin={"l": 4, "r": 4, "t": LEGEND * min(lines, MOST_LINES) + 8, "b": 4, "autoexpand": False},
        annotations=words,
    )


def query(
    of: Figure, point: NDArray[np.floating[Any]], hue: str, title: str, similar: NDArray[np.floating[Any]]
) -> Figure:
    """What is drawn over a map: a query, moved to the edge if it lies outside, and lines to the places of similar ones.

    Args:
        point: of the query, shape (2,).
        similar: places, shape (n, 2).
    """
    axes = {name: of["layout"][name] for name in ("xaxis", "yaxis")}
    x, y = (float(np.clip(value, *axis["range"])) for value, axis in zip(point, axes.values(), strict=True))
    across = [value for place in similar for value in (x, float(place[0]), None)]  # a gap after each line
    up = [value for place in similar for value in (y, float(place[1]), None)]
    lines = charts.line(across, up, {"color": hue, "width": 1.5})
    mark = {"symbol": "diamond", "size": 22, "color": hue, "line": {"color": "#ffffff", "width": 2}}
    dot = charts.dots([x], [y], mark, name=title)
    box = {"font": {"color": "#ffffff"}, "bgcolor": "rgba(30,30,30,0.85)", "borderpad": 4}
    words = {"x": x, "y": y, "text": title, "showarrow": False, "yanchor": "bottom", "yshift": 14, **box}
    return framed(
        [lines, dot],
        **axes,
        margin=of["layout"]["margin"],
        annotations=[words],
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
    )
