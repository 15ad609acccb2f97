"""The map of the training queries with the names of its regions, and the query that is drawn over it.

Streamlit removes a chart from the page when it changes. The query is therefore drawn over the map, which stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zooter_core.evaluation.charts import GREY, Figure, framed, text
from zooter_core.method.tag_table import TIE
from zooter_core.ui import charts

RANKED = 0.6  # the weight of ranks (`Spread`)
MOST = 9  # names
LEAST, LEAST_SHARE = 6, 0.01  # fewest queries, and smallest share of all queries, of a tag that names a region
AROUND = 30  # queries nearest to a tag's centre, in which its share is measured
PER_CHARACTER, HEIGHT = 0.022, 0.06  # the size of a name on a phone, in shares of the map's width and height
LONGEST, MOST_LINES = 24, 4  # characters of a name in the legend, and its lines


class Spread:
    """Spreads the crowded middle of the map: a drawn coordinate is the weighted mean of the coordinate's rank among the
    queries (weight RANKED) and of its place in their range. It keeps the order of the queries along each axis.

    Args:
        points: the queries' places, shape (n, 2).
    """

    def __init__(self, points: NDArray[np.floating[Any]]) -> None:
        self.sorted = np.sort(points, axis=0)
        self.low, self.size = points.min(axis=0), np.maximum(np.ptp(points, axis=0), 1e-6)

    def __call__(self, places: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """The drawn positions of points, shape (..., 2); those of the training queries are from 0 to 1."""
        ranks = np.linspace(0, 1, len(self.sorted))
        ranked = np.stack([np.interp(places[..., n], self.sorted[:, n], ranks) for n in range(2)], axis=-1)
        return RANKED * ranked + (1 - RANKED) * (places - self.low) / self.size


class Region(NamedTuple):
    """A name and the position of its centre, in the map's units."""

    name: str
    x: float
    y: float


def regions(places: NDArray[np.floating[Any]], tags: Sequence[Sequence[str]]) -> list[Region]:
    """The regions of a map, the clearest first.

    A tag's region is where most of its queries are. A region is clearer if the tag has more queries, and if the tag's
    share of the queries there exceeds its share of all queries by more.

    Args:
        places: the queries' positions, as `Spread` gives them, shape (n, 2).
        tags: each query's tags.
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
        above = share - len(tagged) / len(places)  # 0 for a tag that all queries have
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
MARGIN = 0.08  # around the queries, as a share of their range


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
        winners: each query's best candidate as an index, or TIE.
        sentences: each query's hover text.
    """
    names = [*enumerate(pool), *([(TIE, TIED)] if TIE in winners else [])]
    dots = []  # not plotly's WebGL, which compiles code from strings: the content security policy forbids that
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
        # The query is drawn over the map, so both have the same margins.
        margin={"l": 4, "r": 4, "t": LEGEND * min(lines, MOST_LINES) + 8, "b": 4, "autoexpand": False},
        annotations=words,
    )


def query(
    of: Figure, point: NDArray[np.floating[Any]], hue: str, title: str, similar: NDArray[np.floating[Any]], height: int
) -> str:
    """HTML to lay over a map: a query, moved to the edge if it lies outside, and lines to similar queries.

    The style sheet draws it (`zooter-query`). Positions are percentages of the map's area.

    Args:
        of: the map.
        point: the query's position, shape (2,).
        similar: the similar queries' positions, shape (n, 2).
        height: pixels of the map, with its margins.
    """
    layout = of["layout"]
    (left, right), (bottom, top) = layout["xaxis"]["range"], layout["yaxis"]["range"]
    across, down = (np.vstack([point, similar]) - [left, top]).T / [[right - left], [bottom - top]] * 100
    x, y = np.clip((across[0], down[0]), 0, 100)
    lines = "".join(
        f'<i style="--x: {a - x:.2f}; --y: {b - y:.2f}"></i>' for a, b in zip(across[1:], down[1:], strict=True)
    )
    over, beside, under = (layout["margin"][side] for side in ("t", "l", "b"))
    area = f"height: {height - over - under}px; margin: {over}px {beside}px {under}px; color: {hue}"
    name = f'<span style="translate: -{x:.2f}%">{escape(title)}</span>'
    mark = f'<div style="left: {x:.2f}%; top: {y:.2f}%">{lines}<b></b>{name}</div>'
    return f'<div class="zooter-query" role="img" aria-label="On the map: {escape(title)}" style="{area}">{mark}</div>'
