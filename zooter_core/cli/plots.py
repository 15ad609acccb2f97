"""Charts that commands save: a page that needs nothing else."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from html import escape
from pathlib import Path

from zooter_core.base.errors import NotInstalledError, ZooterError
from zooter_core.base.files import check_file, open_atomic
from zooter_core.evaluation import charts, report_tables
from zooter_core.evaluation.charts import Figure
from zooter_core.evaluation.figures import Sweep
from zooter_core.method.selection import SelectionReport

PAGE = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>TITLE</title>
<style>body {{ font-family: {charts.FONT}; max-width: 72rem; margin: auto; padding: 1rem }}</style></head>
<body><h1>TITLE</h1>
"""
HEIGHT = 520  # pixels of a chart


def check_plot(path: Path | None) -> None:
    """Refuse a --plot that is not a page, cannot be written or cannot be drawn, before the work."""
    if path is None:
        return
    if path.suffix != ".html":
        raise ZooterError("--plot as a file that ends in .html", str(path), "Rename it.")
    if importlib.util.find_spec("plotly") is None:
        raise NotInstalledError("plotly", "--plot", "pip install 'zooter[plots]'")
    check_file(path)


def save_sweep_plot(figures: Sweep, path: Path) -> None:
    """Plot the score over beta with its 95% interval, a line per tau."""
    title = f"Held-back queries: {figures.folds} folds, {figures.seeds} seeds, n = {figures.n}"
    _save(path, title, {"": charts.sweep_chart(figures)})


def save_selection_plot(figures: SelectionReport, path: Path) -> None:
    """Plot quality over cost, a line per trigger and k, random queries dotted; a second chart by the judge if any."""
    panels = {"Keeping the best by score": figures}
    if figures.judge:
        panels["Keeping the best by reward"] = figures.judge
    priced = figures.curves[0].points[0].dollars is not None
    drawn = {}
    for name, panel in panels.items():
        curves = {trigger: report_tables.curves(panel, trigger) for trigger in report_tables.triggers(panel)}
        drawn[name] = charts.selection_chart(curves, priced)
    _save(path, "k candidates where the router is unsure, otherwise one", drawn)


def _save(path: Path, title: str, panels: Mapping[str, Figure]) -> None:
    """Write a page of charts, one below the other, each with its title."""
    from plotly.io import to_html

    with open_atomic(path) as file:
        file.write(PAGE.replace("TITLE", escape(title)))
        for number, (name, figure) in enumerate(panels.items()):
            drawn = charts.on_white(figure, HEIGHT)
            file.write(f"<h2>{escape(name)}</h2>\n" if name else "")
            options = {"include_plotlyjs": not number, "full_html": False, "div_id": f"chart-{number}"}
            file.write(to_html(drawn, charts.CONFIG, **options))
        file.write("</body></html>\n")
