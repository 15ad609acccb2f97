"""Charts of a sweep and of a selection, each an .html file that needs no other file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zooter_core.evaluation.report_tables import sweep_lines
from zooter_core.files import open_atomic


def save_sweep_plot(figures: dict[str, Any], path: Path) -> None:
    """Plot the score over beta with its 95% interval, a line per tau."""
    import plotly.graph_objects as go

    figure = go.Figure(layout={"template": "plotly_white"})
    for line in sweep_lines(figures):
        figure.add_scatter(**line)
    figure.update_layout(
        title=f"Held-back queries: {figures['folds']} folds, {figures['seeds']} seeds, n = {figures['n']}",
        xaxis_title="beta (weight of the plain label)",
        yaxis_title="mean score, 95% interval over queries",
    )
    with open_atomic(path) as file:
        figure.write_html(file, include_plotlyjs=True)


def save_selection_plot(figures: dict[str, Any], path: Path) -> None:
    """Plot quality over cost, a line per trigger and k, random triggers dashed; a second panel by the judge if any."""
    from plotly.subplots import make_subplots

    panels = {"keeping the best by score": figures}
    if "judge" in figures:
        panels["keeping the best by reward"] = figures["judge"]
    figure = make_subplots(cols=len(panels), subplot_titles=list(panels), shared_yaxes=True)
    for column, panel in enumerate(panels.values(), 1):
        for line in _lines(panel):
            figure.add_scatter(
                **line, mode="lines", legendgroup=line["name"], showlegend=column == 1, row=1, col=column
            )
    priced = "dollars" in figures["curves"][0]["points"][0]
    figure.update_xaxes(title="dollars per thousand queries" if priced else "calls per query")
    figure.update_yaxes(title="mean score", col=1)
    figure.update_layout(template="plotly_white", title="k candidates where the router is unsure, otherwise one")
    with open_atomic(path) as file:
        figure.write_html(file, include_plotlyjs=True)


def _lines(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from plotly.colors import qualitative

    triggers = list(dict.fromkeys(row["trigger"] for row in report["curves"]))
    for row in report["curves"]:
        points, color = row["points"], qualitative.D3[triggers.index(row["trigger"])]
        x, y = [point.get("dollars", point["calls"]) for point in points], [point["score"] for point in points]
        yield {"x": x, "y": y, "name": f"{row['trigger']}, k = {row['k']}", "line": {"color": color, "width": row["k"]}}
        if row["trigger"] == triggers[0]:  # the ends are the same for all
            ends = {"x": [x[0], x[-1]], "y": [y[0], y[-1]]}
            yield ends | {
                "name": f"random, k = {row['k']}",
                "line": {"color": "grey", "dash": "dash", "width": row["k"]},
            }
