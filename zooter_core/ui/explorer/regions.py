"""Names for regions of the map: tags whose queries lie close together, few enough not to cover each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST = 9
LEAST = 6  # queries of a tag
AROUND = 30  # queries around a tag's centre that should have it
PER_CHARACTER, HEIGHT = 0.012, 0.09  # of a name, as shares of the map's width and height


class Region(NamedTuple):
    """A name and the place of its middle, in the map's units."""

    name: str
    x: float
    y: float


def regions(points: NDArray[np.floating[Any]], tags: Sequence[Sequence[str]]) -> list[Region]:
    """The regions of a map, the clearest first.

    A tag's region is where most of its queries are: the larger its share there against its share of all, and the more
    queries it has, the clearer.

    Args:
        points: of the queries, shape (n, 2).
        tags: of each query.
    """
    if not len(points):
        return []
    low = points.min(axis=0)
    size = np.maximum(points.max(axis=0) - low, 1e-6)
    places = (points - low) / size
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
            named.append(Region(name, float(low[0] + x * size[0]), float(low[1] + y * size[1])))
    return named
