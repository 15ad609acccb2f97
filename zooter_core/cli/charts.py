"""Charts of a sweep and of a selection, each an .html file that needs no other file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zooter_core.evaluation import report_tables
from zooter_core.files import open_atomic


def save_sweep_plot(figures: dict[str, Any], path: Path) -> None:
    """Plot the score over beta with its 95% interval, a line per tau."""
    import plotly.graph_objects as go
    from plotly.colors import qualitative

    from zooter_core.evaluation.charts import SWEEP_AXES, add_sweep

    figure = go.Figure()
    add_sweep(figure, figures, qualitative.D3)
    x, y = SWEEP_AXES
    title = f"Held-back queries: {figures['folds']} folds, {figures['seeds']} seeds, n = {figures['n']}"
    _save(figure.update_layout(title=title, xaxis_title=x, yaxis_title=y), path)


def save_selection_plot(figures: dict[str, Any], path: Path) -> None:
    """Plot quality over cost, a line per trigger and k, random queries dotted; a second panel by the judge if any."""
    from plotly.colors import qualitative
    from plotly.subplots import make_subplots

    from zooter_core.evaluation.charts import add_curves

    panels = {"keeping the best by score": figures}
    if "judge" in figures:
        panels["keeping the best by reward"] = figures["judge"]
    priced = "dollars" in figures["curves"][0]["points"][0]
    figure = make_subplots(cols=len(panels), subplot_titles=list(panels), shared_yaxes=True)
    for column, panel in enumerate(panels.values(), 1):
        curves = {name: report_tables.curves(panel, name) for name in report_tables.triggers(panel)}
        placed = {"row": 1, "col": column} | ({} if column == 1 else {"showlegend": False})
        add_curves(figure, curves, priced, qualitative.D3, **placed)
    figure.update_xaxes(title="dollars per thousand queries" if priced else "calls per query")
    figure.update_yaxes(title="mean score", col=1)
    _save(figure.update_layout(title="k candidates where the router is unsure, otherwise one"), path)


def _save(figure: Any, path: Path) -> None:
    with open_atomic(path) as file:
        figure.update_layout(template="plotly_white").write_html(file, include_plotlyjs=True)
