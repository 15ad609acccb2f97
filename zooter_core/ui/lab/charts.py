"""The chart of a query's labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from zooter_core.ui.charts import framed, label
from zooter_core.ui.colours import colour

Array = NDArray[np.float64]
MOST = 12  # candidates in a chart


def shown(shares: Mapping[str, Array]) -> list[int]:
    """The numbers of the candidates in a chart, in pool order: those with the largest shares, MOST at most."""
    highest = np.max(list(shares.values()), axis=0)
    return sorted(np.argsort(-highest, kind="stable")[:MOST].tolist())


def labels(pool: Sequence[str], shares: Mapping[str, Array]) -> go.Figure:
    """Bars grouped by kind of label, one colour per candidate.

    Args:
        shares: kind of label -> shares, shape (candidates,).
    """
    figure = go.Figure()
    for column in shown(shares):
        values = [float(row[column]) for row in shares.values()]
        figure.add_bar(
            x=list(shares),
            y=values,
            name=label(pool[column]),
            marker_color=colour(pool, pool[column]),
            text=[f"{value:.0%}" for value in values],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{fullData.name} has %{y:.1%} of the %{x}<extra></extra>",
        )
    framed(figure, "", "share of the label", title="This query's labels", barmode="group", bargap=0.2)
    return figure.update_yaxes(tickformat=".0%", range=[0, 1.1])
