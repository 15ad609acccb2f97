"""The Benchmark page's sections: methods by data set, cost and quality, beta; each with its table as a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from zooter_core.evaluation import report_tables
from zooter_core.evaluation.report_tables import ALL, DATASET, ONE, ORACLE, RANDOM, RMR, ROUTER, Figures, Method, Point
from zooter_core.ui import problems
from zooter_core.ui.benchmark import charts, claims
from zooter_core.ui.benchmark.tables import Column, Table, show
from zooter_core.ui.benchmark.view import Opened
from zooter_core.ui.text import plain

if TYPE_CHECKING:
    import plotly.graph_objects as go

FIGURES = {
    "average": ("average", "Mean over the data sets, each counting the same whatever its size; higher is better."),
    "mtr": ("MTR", "Mean task rank: the place among all rows here, averaged over the data sets; 1 is best."),
    "uplift": ("%Uplift", "Share of the data sets where no row here has a higher mean reward."),
    "mtr_one": ("MTR, one model", "The same place among the rows that run one model only; 1 is best."),
    "uplift_one": ("%Uplift, one model", "Share of the data sets where no other that runs one model earns more."),
}
METHODS = {
    ROUTER: "the router chooses one model",
    RMR: "reward model ranking: every model answers, the response with the highest reward is kept",
    ORACLE: "the best model for each query, known afterwards: nothing can do better",
}
TRIGGERS = {
    "margin": "lead of the first: how far the likeliest model is ahead of the second",
    "entropy": "spread: how evenly the probabilities lie over all models",
    "utility": "the first alone: how likely the chosen model is not the best",
    "disagreement": "quarrel: how far the router's own members are apart",
}


BETA = [
    Column("beta", "beta", "Share of the query's own label; the rest is the mean of its tags.", "g"),
    Column("tau", "tau", "Temperature of the softmax that makes labels of rewards.", "g"),
    Column("mean", "reward", "Mean reward a query, of routers that have not learned from it.", ".4f"),
    Column("low", "from", "Lower end of the 95% interval of the reward, over queries.", ".3f"),
    Column("high", "to", "Upper end of the 95% interval of the reward, over queries.", ".3f"),
    Column("regret", "regret", "How far below the oracle; lower is better.", ".4f"),
    Column("under", "less best, from", "Lower end of the 95% interval of the difference from the best row.", ".3f"),
    Column("over", "less best, to", "Its upper end; below 0 the row is worse beyond noise.", ".3f"),
]


def table(held_back: Figures, version: str) -> None:
    """The paper's Table 1: a row a method, a column a data set, then average, MTR and %Uplift."""
    methods, counts = report_tables.table_one(held_back), {k: row["n"] for k, row in held_back["datasets"].items()}
    columns = [
        Column("method", "method", "Who answers. " + " ".join(f"{name}: {what}." for name, what in METHODS.items())),
        Column("models", "runs", "How many models run for one query."),
        *(
            Column(
                DATASET + name,
                name,
                f"Mean reward over the {n} held-back queries of {plain(name)}; higher is better.",
                ".2f",
            )
            for name, n in counts.items()
        ),
        *(
            Column(key, label, about, ".0%" if "Uplift" in label else ".2f")
            for key, (label, about) in FIGURES.items()
            if any(key in method.values for method in methods)
        ),
    ]
    rows = [{"method": method.name, "models": method.group, **method.values} for method in methods]
    about = "Mean reward of each method in each data set, then averages and ranks."
    show(Table("methods", about, rows, columns, report_tables.best(methods)), version)
    st.caption(
        f"**best**, in bold on a green ground: the best of the rows that run {ONE} (the lowest MTR). The others run "
        f"{ALL} for every query. A data set of a few queries says little: its number is in the help of its column."
    )
    if _lacks_rmr(methods):
        st.caption(
            "An older Zooter wrote this report: it holds RMR's places only, not its reward by data set. A new run "
            "writes it."
        )


def _lacks_rmr(methods: Sequence[Method]) -> bool:
    return any(method.name == RMR and "average" not in method.values for method in methods)


def cost_quality(held_back: Figures, pool: Sequence[str], make: str, version: str) -> None:
    """The frontier of cost and quality as a chart and as a table; `make` is the command of a new report."""
    known, points = report_tables.triggers(held_back), report_tables.named(held_back)
    priced = all(point.dollars is not None for point in points)
    trigger = ""
    curves: dict[int, list[Point]] = {}
    if known:
        trigger = st.selectbox(
            "When is the router unsure?",
            known,
            format_func=lambda name: _described(name, name == known[0]),
            help="What is measured of the router's probabilities; above a threshold, several models run, and the "
            "response with the highest reward is kept.",
        )
        curves = report_tables.curves(held_back, trigger)
    near = [point for point in points if not point.candidate and point.name != RANDOM]
    close = bool(known) and st.toggle(
        "Close up",
        key="close",
        help="Without the models alone and a random one, so that the router's curves fill the chart.",
    )
    drawn = f"{version} {trigger} {close} {','.join(pool)}"
    _chart(
        "cost-quality",
        drawn,
        lambda: charts.cost_quality(near if close else points, curves, pool, priced),
        "Mean reward over mean cost of each way of answering; the table below holds the same figures.",
    )
    if known:
        st.caption(_verdict(held_back, trigger))
    else:
        st.info(
            "This report holds no curves of selection; a new run of the pipeline writes them:", icon=":material/info:"
        )
        st.code(make, language="sh")
    all_points = [*points, *(point for line in curves.values() for point in line[1:])]
    with st.expander("The points as a table", icon=":material/table:"):
        _points(all_points, priced, f"{version} {trigger}")
    st.caption(
        ("Dollars are of the responses' tokens alone, without prompts, router and reward model. " if priced else "")
        + "A call is one model writing one response. RMR and selection also need the reward model to judge."
    )


@st.cache_data(show_spinner=False, max_entries=100)
def _chart(name: str, made_of: str, _make: Callable[[], go.Figure], alt: str) -> None:
    """A chart; what was drawn once is sent again as it was."""
    st.plotly_chart(_make(), config={"displayModeBar": False}, alt=alt)


def _described(trigger: str, first: bool) -> str:
    return TRIGGERS.get(trigger, trigger) + (" (best on these queries)" if first else "")


def _verdict(held_back: Figures, trigger: str) -> str:
    """Whether choosing the unsure queries beats taking as many at random, for each k."""
    rows = [row for row in held_back["selection"]["curves"] if row["trigger"] == trigger]
    won = [str(row["k"]) for row in rows if row["beats_random"]]
    about = "95% interval of the area between the router's curve and the dotted line"
    if len(won) == len(rows):
        return f"Asking more models just where the router is unsure beats asking at random ({about} above 0)."
    if won:
        which = plain(" and ".join(won))
        return f"Asking where the router is unsure beats asking at random with {which} models only ({about} above 0)."
    return f"Asking where the router is unsure does not beat asking at random beyond noise ({about} is not above 0)."


def _points(points: Sequence[Point], priced: bool, version: str) -> None:
    real = [point for point in points if point.candidate or point.name not in (ORACLE, RANDOM)]
    edge = report_tables.frontier(real, priced)
    rows = [
        {
            "name": point.name if point.k == 1 else f"{point.name}, {point.k} where unsure",
            "share": point.share if point.k > 1 else None,
            "threshold": point.threshold,
            "calls": point.calls,
            **({"dollars": point.dollars} if priced else {}),
            "reward": point.reward,
            "frontier": "yes" if point in edge else "no",
        }
        for point in points
    ]
    columns = [
        Column("name", "way", "Who answers."),
        Column("share", "unsure", "Share of the queries that get several models.", ".0%"),
        Column("threshold", "threshold", "A query whose unsureness is above it gets several models.", ".3f"),
        Column("calls", "calls", "Candidates that run for a query, on average.", ".2f"),
        *([Column("dollars", "dollars", "Of a thousand queries, on average.", ".4g")] if priced else []),
        Column("reward", "reward", "Mean reward a query, over all held-back queries.", ".3f"),
        Column("frontier", "unbeaten", "yes: no other row but oracle and random earns as much for less."),
    ]
    show(Table("cost-quality", "Cost and reward of each way of answering.", rows, columns), version)


def beta(found: Opened, make: str) -> None:
    """The paper's Table 2, or the command that makes it."""
    if found.sweep_problem:
        problems.tell(found.sweep_problem)
    if found.sweep is None:
        st.info("No sweep over beta lies beside this report. This makes one, in minutes:", icon=":material/tune:")
        st.code(make, language="sh")
        return
    sweep = found.sweep
    st.markdown(claims.of_sweep(sweep))
    _chart(
        "beta",
        found.version,
        lambda: charts.beta(sweep),
        "Mean reward over beta with its 95% interval; the table below holds the same figures.",
    )
    rows = [_beta_row(row, sweep) for row in sweep["rows"]]
    marks = {"mean": {number for number, row in enumerate(sweep["rows"]) if report_tables.is_best(row, sweep)}}
    show(Table("beta", "Mean reward of routers for each beta.", rows, BETA, marks), found.version)
    st.caption(
        f"{sweep['n']:,} queries, each held back once a seed; {plain(str(sweep['folds']))} folds, "
        f"{plain(str(sweep['seeds']))} {'seed' if sweep['seeds'] == 1 else 'seeds'}; rewards "
        f"{'as they are' if sweep.get('normalise', 'none') == 'none' else 'brought to one scale'}. The differences are "
        "taken query by query, so that they can be told apart where the intervals of the rewards overlap."
    )


def _beta_row(row: Mapping[str, Any], sweep: Figures) -> dict[str, Any]:
    (low, high), (under, over) = row["interval"], row["minus_best"]
    minus = (None, None) if report_tables.is_best(row, sweep) else (under, over)
    return {
        **{key: row[key] for key in ("beta", "tau", "mean", "regret")},
        **{"low": low, "high": high, "under": minus[0], "over": minus[1]},
    }
