"""The map as a picture to download: what the chart shows, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zooter_core.ui.explorer.live_charts import LINES, QUERY, REGIONS
from zooter_core.ui.pictures import BOLD, CENTRED, INKS, picture, words

WIDTH, HEIGHT = 1200, 720  # pixels
HEAD, EDGE = 84, 24  # pixels above the map, and at its sides


def drawn(option: Mapping[str, Any], title: str, scheme: str = "light") -> str:
    """The map's dots, regions and query, below a title and a legend.

    Args:
        option: of the chart, by `live_charts`.
    """
    ground, ink, _ = INKS[scheme]
    low, high = ([axis[end] for axis in (option["xAxis"], option["yAxis"])] for end in ("min", "max"))

    def place(point: Any) -> tuple[float, float]:
        x, y = ((point[n] - low[n]) / (high[n] - low[n]) for n in (0, 1))
        return EDGE + x * (WIDTH - 2 * EDGE), HEIGHT - EDGE - y * (HEIGHT - HEAD - EDGE)

    body = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{ground}"/>', words(EDGE, 36, title, 20, ink)]
    left = float(EDGE)
    for series in option["series"]:
        kind = series.get("id")
        if kind == REGIONS:
            outline = f'stroke="{ground}" stroke-width="4" paint-order="stroke" {CENTRED} {BOLD}'
            body += [words(*place(item["value"]), item["name"], 15, ink, outline) for item in series["data"]]
        elif kind == LINES:
            body += [_line(place, item["coords"], series["lineStyle"]["color"]) for item in series["data"]]
        else:
            size, fill = 9 if kind == QUERY else 4, series["itemStyle"]["color"]
            body += [_mark(series["symbol"], *place(item), size, fill) for item in series["data"]]
            body.append(_mark(series["symbol"], left + 5, 59, 5, fill))
            body.append(words(left + 16, 64, series["name"], 14, ink))
            left += 40 + 7.5 * len(series["name"])
    return picture(WIDTH, HEIGHT, "".join(body))


def _line(place: Callable[[Any], tuple[float, float]], ends: Any, stroke: str) -> str:
    (x1, y1), (x2, y2) = map(place, ends)
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" stroke-width="1.5"/>'


def _mark(symbol: str, x: float, y: float, size: float, fill: str) -> str:
    """A dot in the shape that the chart gives it, as far as there is one for it here."""
    paths = {"triangle": "M0 -1L1 .8L-1 .8Z", "diamond": "M0 -1.2L1 0L0 1.2L-1 0Z", "rect": "M-.9 -.9H.9V.9H-.9Z"}
    if symbol not in paths:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:g}" fill="{fill}" fill-opacity="0.8"/>'
    at = f"translate({x:.1f} {y:.1f}) scale({size:g})"
    return f'<path d="{paths[symbol]}" transform="{at}" fill="{fill}" fill-opacity="0.8"/>'
