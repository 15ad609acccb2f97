"""The Benchmark page's table of methods: a row per data set and per mean, narrow enough for a phone."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from zooter_core.evaluation import report_tables
from zooter_core.evaluation.report_tables import ALL, DATASET, LOWER, ONE, ORACLE, RMR, ROUTER, Figures, Method
from zooter_core.ui import tables
from zooter_core.ui.tables import Column
from zooter_core.ui.text import plain

MOST_MODELS = 5  # with more, their columns would not fit on a phone: the best of them takes their place
FIGURES = {
    "average": ("average", "Mean over the data sets, with equal weight whatever their size; higher is better."),
    "mtr": ("MTR", "Mean task rank: the rank among all methods, averaged over the data sets; 1 is best."),
    "uplift": ("%Uplift", "Share of the data sets where no other method has a higher mean reward."),
    "mtr_one": ("MTR, one model", "The mean task rank among the methods that run one model only; 1 is best."),
    "uplift_one": (
        "%Uplift, one model",
        "Share of the data sets where no other method that runs one model has a higher mean reward.",
    ),
}
METHODS = {
    ROUTER: "the router chooses one model",
    RMR: "reward model ranking: every model answers, and the response with the highest reward wins",
    ORACLE: "the best model of each query in hindsight: the upper limit",
}


def draw(held_back: Figures) -> None:
    """The paper's Table 1, turned over so that it fits: methods side by side, a row per data set."""
    methods, models = report_tables.table_one(held_back), len(report_tables.pool_of(held_back))
    columns = columns_of(held_back, methods)
    tables.draw("methods", *cells(methods, columns, models))
    st.caption(
        f"**Bold** marks the best of the methods that run {ONE}; for MTR, lower is better. RMR and oracle run {ALL} "
        "for every query. Small data sets say little."
    )
    row = st.container(horizontal=True)
    tables.meanings(METHODS | {column.label: column.help for column in columns}, row)
    labels = [Column("method", "method", ""), Column("models", "runs", ""), *columns]
    rows = [{"method": method.name, "models": method.group, **method.values} for method in methods]
    tables.download("methods", rows, labels, row)


def columns_of(held_back: Figures, methods: Sequence[Method]) -> list[Column]:
    """The figures of a method: its mean reward in each data set, then the averages and ranks that the report has."""
    counts = {name: row["n"] for name, row in held_back["datasets"].items()}
    return [
        *(
            Column(DATASET + name, name, f"mean reward over {n} held-back queries; higher is better.", ".2f")
            for name, n in counts.items()
        ),
        *(
            Column(key, label, meaning, ".0%" if "Uplift" in label else ".2f")
            for key, (label, meaning) in FIGURES.items()
            if any(key in method.values for method in methods)
        ),
    ]


def cells(methods: Sequence[Method], columns: Sequence[Column], models: int) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of the table, as Markdown.

    Args:
        methods: the candidates first, `models` of them. If they are many, their best one stands for them.
    """
    best = report_tables.best(methods)
    merged = models > MOST_MODELS
    head = ["", *(["best model"] if merged else []), *(plain(method.name) for method in methods[models * merged :])]
    rows = []
    for column in columns:
        winners, row = best.get(column.key, set()), [plain(column.label)]
        figures = [
            tables.figure(column, method.values[column.key], number in winners) if column.key in method.values else "–"
            for number, method in enumerate(methods)
        ]
        if merged:
            first = _first(methods[:models], column.key)
            row.append("–" if first is None else f"{plain(methods[first].name)} {figures[first]}")
        rows.append([*row, *figures[models * merged :]])
    return head, rows


def _first(candidates: Sequence[Method], key: str) -> int | None:
    """The number of the candidate with the best figure."""
    figures = {number: method.values[key] for number, method in enumerate(candidates) if key in method.values}
    return (min if key in LOWER else max)(figures, key=lambda number: figures[number]) if figures else None
