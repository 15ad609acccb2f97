"""Charts that commands save, by plotly (the extra `plots`): a page that needs nothing else."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from zooter_core.base.errors import ZooterError, not_installed
from zooter_core.base.files import check_file, open_atomic
from zooter_core.evaluation import report_tables
from zooter_core.evaluation.charts import SWEEP_AXES, Line, curve_lines, sweep_lines
from zooter_core.evaluation.figures import Selection, Sweep

COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd")
DASHES = {"solid": "solid", "dashed": "dash", "dotted": "dot"}  # plotly's names


def check_plot(path: Path | None) -> None:
    """Refuse a --plot that is not a page, cannot be written or cannot be drawn, before the work."""
    if path is None:
        return
    if path.suffix != ".html":
        raise ZooterError("--plot as a file that ends in .html", str(path), "Rename it.")
    if importlib.util.find_spec("plotly") is None:
        raise not_installed("plotly", "--plot", "Run `pip install 'zooter[plots]'`.")
    check_file(path)


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
    from plotly.subplots import make_subplots

    figure = make_subplots(cols=len(panels), subplot_titles=list(panels), shared_yaxes=True)
    named: set[str] = set()  # in the legend
    for column, lines in enumerate(panels.values(), 1):
        for line in lines:
            heights = [y for _, y in line.points]
            bars = list(zip(heights, line.intervals, strict=False))
            figure.add_scatter(
                x=[x for x, _ in line.points],
                y=heights,
                error_y={"array": [high - y for y, (_, high) in bars], "arrayminus": [y - low for y, (low, _) in bars]},
                mode="lines+markers" if line.texts else "lines",
                line={"color": line.colour, "dash": DASHES[line.dash]},
                marker={"symbol": ["star" if n in line.best else "circle" for n in range(len(heights))], "size": 11},
                name=escape(line.name),
                legendgroup=line.name,
                showlegend=line.name not in named,
                hovertext=["<br>".join(map(escape, text)) for text in line.texts],
                hoverinfo="name+text" if line.texts else "skip",
                row=1,
                col=column,
            )
            named.add(line.name)
    figure.update_xaxes(title=across).update_yaxes(title=up, col=1)
    with open_atomic(path) as file:
        figure.update_layout(title=title, template="plotly_white").write_html(file, include_plotlyjs=True)
