"""Charts that commands save: a page with pictures in SVG that needs nothing else. Under the mouse, a mark has words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from zooter_core.base.files import open_atomic
from zooter_core.evaluation import report_tables
from zooter_core.evaluation.charts import SWEEP_AXES, Line, curve_lines, sweep_lines
from zooter_core.evaluation.figures import Selection, Sweep

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem; color: light-dark(#1f2328, #e6edf3);
  background: light-dark(#fff, #0d1117); }
h1 { font-size: 1.3rem; } svg { max-width: 100%; height: auto; } svg text { fill: currentColor; font-size: 13px; }
.grid { stroke: currentColor; stroke-opacity: .15; } .line { fill: none; stroke-width: 2; }
"""
WIDE, HIGH = 620, 420  # pixels of a panel
LEFT, RIGHT, TOP, BOTTOM = 70, 16, 34, 46  # around its lines
ROW = 20  # of the legend
TICKS = 6  # at most, on an axis
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd")
DASHES = {"solid": "", "dashed": ' stroke-dasharray="8 5"', "dotted": ' stroke-dasharray="2 4"'}
STAR = "M0-9 2.1-2.9 8.6-2.8 3.4 1.1 5.3 7.3 0 3.6-5.3 7.3-3.4 1.1-8.6-2.8-2.1-2.9Z"


def save_sweep_plot(figures: Sweep, path: Path) -> None:
    """Plot the score over beta with its 95% interval, a line per tau."""
    title = f"Held-back queries: {figures.folds} folds, {figures.seeds} seeds, n = {figures.n}"
    _save(path, title, {"": sweep_lines(figures, COLOURS)}, *SWEEP_AXES)


def save_selection_plot(figures: Selection, path: Path) -> None:
    """Plot quality over cost, a line per trigger and k, random queries dotted; a second panel by the judge if any."""
    panels = {"keeping the best by score": figures}
    if figures.judge:
        panels["keeping the best by reward"] = figures.judge
    priced = figures.curves[0].points[0].dollars is not None
    lines = {}
    for name, panel in panels.items():
        curves = {trigger: report_tables.curves(panel, trigger) for trigger in report_tables.triggers(panel)}
        lines[name] = curve_lines(curves, priced, COLOURS)
    across = "dollars per thousand queries" if priced else "calls per query"
    _save(path, "k candidates where the router is unsure, otherwise one", lines, across, "mean score")


def _save(path: Path, title: str, panels: Mapping[str, Sequence[Line]], across: str, up: str) -> None:
    """Write a page whose panels, side by side, have the same scale upwards."""
    everything = [line for lines in panels.values() for line in lines]
    heights = [
        y for line in everything for y in (*(y for _, y in line.points), *(e for i in line.intervals for e in i))
    ]
    pictures = [
        _panel(name, lines, _ticks([x for line in lines for x, _ in line.points]), _ticks(heights), across, up)
        for name, lines in panels.items()
    ]
    with open_atomic(path) as file:
        file.write(
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
            f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>{''.join(pictures)}</body></html>\n"
        )


def _ticks(values: Sequence[float]) -> list[float]:
    """Round numbers whose first and last are around all values."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    rough = (high - low or abs(high) or 1.0) / (TICKS - 1)
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    return [step * number for number in range(math.floor(low / step), math.ceil(high / step) + 1)]


def _panel(
    name: str, lines: Sequence[Line], across: Sequence[float], up: Sequence[float], x_title: str, y_title: str
) -> str:
    """Axes, lines and a legend below them."""
    width, height = WIDE - LEFT - RIGHT, HIGH - TOP - BOTTOM

    def x(value: float) -> float:
        return LEFT + width * (value - across[0]) / (across[-1] - across[0] or 1.0)

    def y(value: float) -> float:
        return TOP + height * (up[-1] - value) / (up[-1] - up[0] or 1.0)

    body = [f'<text x="{LEFT}" y="16" font-weight="bold">{escape(name)}</text>']
    for tick in up:
        body.append(f'<line class="grid" x1="{LEFT}" x2="{WIDE - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        body.append(f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.4g}</text>')
    for tick in across:
        body.append(f'<text x="{x(tick):.1f}" y="{HIGH - BOTTOM + 18}" text-anchor="middle">{tick:.4g}</text>')
    middle = f"{TOP + height / 2:.0f}"
    body.append(f'<text x="{LEFT + width / 2:.0f}" y="{HIGH - 8}" text-anchor="middle">{escape(x_title)}</text>')
    body.append(f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{escape(y_title)}</text>')
    legend: dict[str, Line] = {}
    for line in lines:
        legend.setdefault(line.name, line)
        body.append(_drawn(line, [(x(a), y(b)) for a, b in line.points], [(y(a), y(b)) for a, b in line.intervals]))
    for number, line in enumerate(legend.values()):
        top = HIGH + 12 + ROW * number
        body.append(_path([(LEFT, top), (LEFT + 34, top)], line))
        body.append(f'<text x="{LEFT + 42}" y="{top + 4}">{escape(line.name)}</text>')
    full = HIGH + 12 + ROW * len(legend)
    label = escape(f"{y_title} over {x_title}")
    return f'<svg viewBox="0 0 {WIDE} {full}" width="{WIDE}" role="img" aria-label="{label}">{"".join(body)}</svg>'


def _path(places: Sequence[tuple[float, float]], line: Line) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline class="line" points="{points}" stroke="{line.colour}"{DASHES[line.dash]}/>'


def _drawn(line: Line, places: Sequence[tuple[float, float]], bars: Sequence[tuple[float, float]]) -> str:
    """A line in pixels, its intervals, and a mark for each point that has words."""
    parts = [_path(places, line)]
    for (x, _), (low, high) in zip(places, bars, strict=False):
        if math.isfinite(low) and math.isfinite(high):
            parts.append(f'<path d="M{x:.1f} {low:.1f}V{high:.1f}" stroke="{line.colour}"/>')
    for number, ((x, y), text) in enumerate(zip(places, line.texts, strict=False)):
        words = f"<title>{escape(chr(10).join((line.name, *text)))}</title>"
        if number in line.best:
            shape = f'path d="{STAR}" transform="translate({x:.1f} {y:.1f})"'
        else:
            shape = f'circle cx="{x:.1f}" cy="{y:.1f}" r="5"'
        parts.append(f'<{shape} fill="{line.colour}">{words}</{shape.split()[0]}>')
    return "".join(parts)
