"""A sweep over beta as a verdict, a chart and a table."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from zooter_core.evaluation import verdicts
from zooter_core.evaluation.charts import sweep_chart
from zooter_core.evaluation.figures import Sweep, SweepRow
from zooter_core.ui import plots, tables
from zooter_core.ui.benchmark.titles import titled
from zooter_core.ui.tables import Column
from zooter_core.ui.text import plain

COLUMNS = [
    Column("beta", "beta", "Weight of a query's own label; the rest comes from its tags.", "g"),
    Column("tau", "tau", "Temperature of the softmax that turns scores into labels.", "g"),
    Column("mean", "score", "Mean score per query of routers that did not train on it.", ".4f"),
    Column("low", "from", "Lower end of the 95% interval of the score, over queries.", ".3f"),
    Column("high", "to", "Upper end of the 95% interval of the score, over queries.", ".3f"),
    Column("regret", "regret", "How far below the best model of each query; lower is better.", ".4f"),
    Column("under", "difference, from", "Lower end of the 95% interval of the difference from the best row.", ".3f"),
    Column("over", "difference, to", "Its upper end; below 0 the row is significantly worse.", ".3f"),
]


def draw_sweep(sweep: Sweep) -> None:
    named = sweep.model_copy(update={"verdict": sweep.verdict and titled(sweep.verdict)})
    st.markdown(" ".join(map(plain, verdicts.of_sweep(named))))
    alt = "Mean score over beta with its 95% interval; the table below holds the same figures."
    plots.draw(sweep_chart(sweep), "sweep-chart", alt, 380)
    best = {("mean", number) for number, row in enumerate(sweep.rows) if sweep.is_best(row)}
    tables.show("beta", [_cells(row, sweep) for row in sweep.rows], COLUMNS, best)


def _cells(row: SweepRow, sweep: Sweep) -> dict[str, Any]:
    (low, high), (under, over) = row.interval, (None, None) if sweep.is_best(row) else row.minus_best
    values = {key: getattr(row, key) for key in ("beta", "tau", "mean", "regret")}
    ends = {"low": low, "high": high, "under": under, "over": over}
    return values | {key: None if end is None or math.isnan(end) else end for key, end in ends.items()}
