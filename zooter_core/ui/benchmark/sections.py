"""The sections of the Benchmark page: methods by data set, cost against quality, and beta. Each offers its table as a
download."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from zooter_core.evaluation import report_tables, verdicts
from zooter_core.evaluation.charts import GREY, Figure, selection_chart, sweep_chart
from zooter_core.evaluation.charts import ROUTER as ROUTER_COLOUR
from zooter_core.evaluation.figures import Evaluation, Sweep, SweepRow
from zooter_core.evaluation.report_tables import DATASET, LOWER, ORACLE, RANDOM, RMR, ROUTER, Method, Point
from zooter_core.method.selection import SelectionReport
from zooter_core.ui import charts, tables
from zooter_core.ui.benchmark.titles import title, titled
from zooter_core.ui.benchmark.view import Quality
from zooter_core.ui.tables import Column
from zooter_core.ui.text import plain

MOST_MODELS = 5  # with more, only the best one is shown: the columns would not fit on a phone
SHOWN = {RMR: "all models", ORACLE: "perfect choice"}  # the names of methods, as in the chart at the top of the page
METHODS = {
    ROUTER: "the router chooses one model",
    SHOWN[RMR]: "reward model ranking (RMR): every model answers, and the response with the highest reward wins",
    SHOWN[ORACLE]: "the best model of each query in hindsight, which papers call the oracle: the upper limit",
}
MEAN = "average"


def draw_methods(held_back: Evaluation) -> None:
    """Draw the paper's Table 1, transposed so that it fits: a column per method, a row per data set. Ranks are under
    *More figures*."""
    models, same = len(held_back.pool), held_back.rmr_is_oracle
    methods = [method for method in report_tables.table_one(held_back) if method.name != RMR or not same]
    columns = method_columns(held_back, methods)
    means = [column for column in columns if column.key.startswith(DATASET) or column.key == MEAN]
    ranks = [column for column in columns if column not in means]
    tables.draw("methods", *method_cells(methods, means, models))
    st.caption(
        "**Green** marks the best of those that ask one model. "
        + "*All models* asks every model and keeps the response with the highest reward. " * (not same)
        + "*Perfect choice* is the best model of each query in hindsight. In the *average*, all data sets have the "
        "same weight, also those with few queries, which say little." + gaps_note(held_back)
    )
    row = st.container(horizontal=True)
    labels = [Column("method", "method", ""), Column("models", "runs", ""), *columns]
    rows = [{"method": method.name, "models": method.group, **method.values} for method in methods]
    tables.download("methods", rows, labels, row)
    with st.expander("More figures", icon=":material/query_stats:", key="more-figures", on_change="rerun") as box:
        if not box.open:
            return
        for sentence in verdicts.of_held_back(held_back):
            st.markdown(f"- {plain(sentence)}")
        st.caption(
            "The intervals reflect which queries were sampled, not the randomness of training. The best single model "
            "is chosen on these same queries, which favours it slightly."
        )
        if ranks:
            tables.draw("ranks", *method_cells(methods, ranks, models))
        meanings = {name: meaning for name, meaning in METHODS.items() if name != SHOWN[RMR] or not same}
        tables.meanings(meanings | {column.label: column.help for column in columns}, st)


def gaps_note(held_back: Evaluation) -> str:
    """A note, after a space, that a choice or a model has no score on some queries; empty if there is no such gap."""
    fewest = min(held_back.counts["chosen"], *held_back.counts["candidates"].values())
    return " Some scores are missing. Each figure is the mean of the available ones." * (fewest < held_back.n)


def method_columns(held_back: Evaluation, methods: Sequence[Method]) -> list[Column]:
    """The columns of a method: its mean reward per data set, then the averages and ranks in the report."""
    counts = {name: row.n for name, row in held_back.datasets.items()}
    return [
        *(
            Column(
                DATASET + name,
                title(name),
                f"mean reward over {n:,} held-back {'query' if n == 1 else 'queries'}; higher is better.",
                ".2f",
            )
            for name, n in counts.items()
        ),
        *(
            Column(key, label, meaning, ".0%" if "Uplift" in label else ".2f")
            for key, (label, meaning) in report_tables.FIGURES.items()
            if any(key in method.values for method in methods)
        ),
    ]


def method_cells(
    methods: Sequence[Method], columns: Sequence[Column], models: int
) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of the table, as Markdown.

    Args:
        methods: the candidates first, `models` of them. If there are many, only the best candidate is shown.
    """
    best = report_tables.best(methods)
    merged = models > MOST_MODELS
    names = [SHOWN.get(method.name, method.name) for method in methods[models * merged :]]
    head = ["", *(["best model"] if merged else []), *map(plain, names)]
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
    """The index of the candidate with the best figure."""
    figures = {number: method.values[key] for number, method in enumerate(candidates) if key in method.values}
    return (min if key in LOWER else max)(figures, key=lambda number: figures[number]) if figures else None


SYMBOLS = {ROUTER: "star", RMR: "diamond", ORACLE: "x", RANDOM: "cross"}
HEIGHT, ENTRY = 320, 20  # pixels of the chart, and of an entry of its legend on a phone
UNSURE = {
    "gain": "It is unsure where a second response was better on similar training queries.",
    "margin": "It is unsure where the most probable model has a small lead over the second.",
}


def draw_cost_quality(held_back: Evaluation, pool: Sequence[str]) -> None:
    points, selection = report_tables.named(held_back), held_back.selection
    priced = all(point.dollars is not None for point in points)
    curves = report_tables.curves(selection) if selection else {}
    lines, n = curves, (selection and selection.n) or held_back.n
    if selection:
        st.markdown(
            "Where the router is unsure, several models can answer, and the response with the highest reward wins. "
            f"{UNSURE.get(selection.curves[0].trigger, '')} "
            "Each line begins at the router alone and goes right as more queries get several answers."
        )
    if len(curves) > 1:
        with st.popover("Options", icon=":material/tune:", type="tertiary"):
            lines = _chosen(curves)
    alt = "Mean reward over mean cost of each method; the table below holds the same figures."
    far = far_away(points, lines)
    figure = cost_chart([point for point in points if point not in far], lines, pool, priced)
    charts.draw(figure, "cost-quality", alt, HEIGHT + ENTRY * len(figure["data"]))
    if far:
        rewards = ", ".join(f"{SHOWN.get(point.name, point.name)} {point.reward:z.2f}" for point in far)
        st.caption(f"Too far away for the chart, by mean reward: {plain(rewards)}.")
    if selection:
        st.caption(_verdict(selection))
    all_points = [*points, *(point for line in curves.values() for point in line[1:])]
    with st.expander("Points as a table", icon=":material/table:", key="points", on_change="rerun") as box:
        if box.open:
            _points(all_points, priced)
    st.caption(
        ("Dollars cover the tokens of the responses, without prompts, router and reward model. " if priced else "")
        + "A call is one response of one model. Where several answer, the reward model runs too."
        + gaps_note(held_back)
        + (f" Lines are of the {n:,} queries with a score of every model that may be asked." if n < held_back.n else "")
    )


def far_away(points: Sequence[Point], curves: Mapping[int, Sequence[Point]]) -> list[Point]:
    """The points that would squash the part of the chart that matters (the router, and all models together), the best
    first: those whose distance above or below that part exceeds its height."""
    compared = [point.reward for point in points if not _is_bound(point)]
    compared += [point.reward for line in curves.values() for point in line]
    low, high = min(compared, default=0.0), max(compared, default=0.0)
    span = (high - low) or math.inf
    far = [point for point in points if _is_bound(point) and not low - span <= point.reward <= high + span]
    return sorted(far, key=lambda point: -point.reward)


def _is_bound(point: Point) -> bool:
    """Whether a point is one model for every query, a random one, or the best in hindsight."""
    return point.candidate or point.name in (RANDOM, ORACLE)


def _chosen(curves: Mapping[int, list[Point]]) -> dict[int, list[Point]]:
    """The curves to draw; the first three by default."""
    counts = st.pills(
        "Models for an unsure query",
        list(curves),
        selection_mode="multi",
        default=list(curves)[:3],
        key="curves",
        help="A solid or dashed line for each number, with a dotted line for as many random queries.",
    )
    return {k: curves[k] for k in sorted(counts)}


def cost_chart(
    points: Sequence[Point], curves: Mapping[int, Sequence[Point]], pool: Sequence[str], priced: bool
) -> Figure:
    """Mean reward against mean cost: a line per k with a marker per threshold, and a marker per other method.

    Args:
        curves: k -> its points by increasing cost.
        priced: whether costs are in dollars; otherwise in calls.
    """
    marks = []
    for point in points:
        name = SHOWN.get(point.name, point.name)
        sentence, label = f"{name} earns {point.described(priced)}.", charts.label(name, 40)
        marks.append(charts.dots([point.cost(priced)], [point.reward], _mark(point, pool), [sentence], name=label))
    return selection_chart(curves, priced, "mean reward per query", marks)


def _mark(point: Point, pool: Sequence[str]) -> Figure:
    if not point.candidate:
        hue, size = (ROUTER_COLOUR, 20) if point.name == ROUTER else (GREY, 13)
        return {"symbol": SYMBOLS[point.name], "size": size, "color": hue}
    return {"symbol": charts.symbol(pool, point.name), "size": 11, "color": charts.colour(pool, point.name)}


def _verdict(selection: SelectionReport) -> str:
    """Whether asking more models about the unsure queries beats asking them about random queries."""
    rows = selection.used
    better = [str(row.k) for row in rows if row.beats_random]
    interval = "95% interval of the area between the router's curve and the dotted line"
    action = "Asking more models when the router is unsure"
    if len(better) == len(rows):
        return f"{action} beats asking more models about random queries ({interval} above 0)."
    if better:
        counts = plain(" or ".join(better))
        action = f"Asking {counts} models when the router is unsure"
        return f"{action} beats asking them about random queries; other numbers do not ({interval} above 0)."
    return f"{action} does not significantly beat asking them about random queries ({interval} not above 0)."


def _points(points: Sequence[Point], priced: bool) -> None:
    methods = [point for point in points if point.candidate or point.name not in (ORACLE, RANDOM)]
    frontier = report_tables.frontier(methods, priced)
    rows = [
        {
            "name": f"{point.name}, {point.k} models if unsure" if point.k > 1 else SHOWN.get(point.name, point.name),
            "share": point.share if point.k > 1 else None,
            "threshold": point.threshold,
            "calls": point.calls,
            **({"dollars": point.dollars} if priced else {}),
            "reward": point.reward,
            "frontier": "yes" if point in frontier else "no",
        }
        for point in points
    ]
    columns = [
        Column("name", "method", "Who answers."),
        Column("share", "unsure", "Share of the queries that get several models.", ".0%"),
        Column("threshold", "threshold", "A query with a higher uncertainty gets several models.", ".3f"),
        Column("calls", "calls", "Models that run for a query, on average.", ".2f"),
        *([Column("dollars", "dollars", "For a thousand queries, on average.", ".4g")] if priced else []),
        Column("reward", "reward", "Mean reward per query, over all held-back queries.", ".3f"),
        Column("frontier", "efficient", "yes: no other row, except perfect choice and random, earns as much for less."),
    ]
    tables.show("cost-quality", rows, columns)


SWEEP_COLUMNS = [
    Column("beta", "beta", "Weight of a query's own label; the rest comes from its tags.", "g"),
    Column("tau", "tau", "Temperature of the softmax that turns scores into labels.", "g"),
    Column("mean", "score", "Mean score per query of routers that did not train on it.", ".4f"),
    Column("low", "from", "Lower end of the 95% interval of the score, over queries.", ".3f"),
    Column("high", "to", "Upper end of the 95% interval of the score, over queries.", ".3f"),
    Column("regret", "regret", "How far below the best model of each query; lower is better.", ".4f"),
    Column("under", "difference, from", "Lower end of the 95% interval of the difference from the best row.", ".3f"),
    Column("over", "difference, to", "Its upper end; below 0 the row is significantly worse.", ".3f"),
]


def draw_beta(quality: Quality, command: str) -> None:
    """Draw the paper's Table 2, or the command that computes it."""
    if quality.sweep is None:
        st.info(
            "There is no sweep over beta beside this report. With the router's score file, this command runs one, in "
            "minutes:",
            icon=":material/tune:",
        )
        st.code(command, language="sh", wrap_lines=True)
        return
    sweep = quality.sweep
    named = replace(sweep, verdict=sweep.verdict and titled(sweep.verdict))
    st.markdown(" ".join(map(plain, verdicts.of_sweep(named))))
    alt = "Mean score over beta with its 95% interval; the table below holds the same figures."
    charts.draw(sweep_chart(sweep), "sweep-chart", alt, 380)
    best = {("mean", number) for number, row in enumerate(sweep.rows) if sweep.is_best(row)}
    tables.show("beta", [_sweep_cells(row, sweep) for row in sweep.rows], SWEEP_COLUMNS, best)
    st.caption(
        f"{sweep.n:,} queries, each held back once per seed; {plain(str(sweep.folds))} folds, "
        f"{plain(str(sweep.seeds))} {'seed' if sweep.seeds == 1 else 'seeds'}; rewards "
        f"{'not normalised' if sweep.normalise == 'none' else 'normalised'}. Differences are "
        "taken query by query, so they can be significant even where the intervals of the scores overlap."
    )


def _sweep_cells(row: SweepRow, sweep: Sweep) -> dict[str, Any]:
    low, high = row.interval
    under, over = (None, None) if sweep.is_best(row) else row.minus_best
    values = {key: getattr(row, key) for key in ("beta", "tau", "mean", "regret")}
    ends = {"low": low, "high": high, "under": under, "over": over}
    return values | {key: None if end is None or math.isnan(end) else end for key, end in ends.items()}
