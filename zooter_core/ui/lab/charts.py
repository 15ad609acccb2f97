"""The picture of a query's label: one bar that the models share. It moves when the label changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.ui.colours import GREY, colour

Array = NDArray[np.float64]
MOST = 12  # candidates with a part of their own
OTHERS = "others"
HEIGHT = 44  # pixels


def shown(shares: Mapping[str, Array]) -> list[int]:
    """The numbers of the candidates in the picture, in pool order: those with the largest shares, MOST at most."""
    highest = np.max(list(shares.values()), axis=0)
    return sorted(np.argsort(-highest, kind="stable")[:MOST].tolist())


def bar(pool: Sequence[str], share: Array, columns: Sequence[int]) -> dict[str, Any]:
    """An ECharts option: one stacked bar of shape (candidates,), of which `columns` have a part of their own."""
    parts = [(pool[column], float(share[column]), colour(pool, pool[column])) for column in columns]
    if len(columns) < len(pool):
        parts.append((OTHERS, 1 - sum(value for _, value, _ in parts), GREY))
    return {
        "animationDuration": 300,
        "animationDurationUpdate": 500,
        "animationEasingUpdate": "cubicInOut",
        "grid": {"left": 0, "right": 0, "top": 4, "bottom": 4},
        "xAxis": {"type": "value", "min": 0, "max": 1, "show": False},
        "yAxis": {"type": "category", "data": ["label"], "show": False},
        "tooltip": {"confine": True, "formatter": "{a}"},
        "series": [
            {
                "type": "bar",
                "stack": "label",
                "name": f"{name} {value:.0%}",
                "id": name,
                "data": [round(value, 4)],
                "barWidth": HEIGHT - 8,
                "cursor": "default",
                "itemStyle": {"color": fill},
            }
            for name, value, fill in parts
        ],
    }
