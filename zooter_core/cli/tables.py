"""Figures of a run or an evaluation as tables on stdout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.table import Column, Table
from rich.text import Text

from zooter_core.cli.options import out
from zooter_core.evaluation import report_tables
from zooter_core.evaluation.report import REPORT, Report
from zooter_core.files import open_atomic

MOST_DATASETS = 8  # columns that a terminal has room for
FIGURES = {
    "average": "average",
    "mtr": "MTR",
    "uplift": "%Uplift",
    "mtr_one": "MTR of one call",
    "uplift_one": "%Uplift of one call",
}


def print_report(report: Report) -> None:
    """What each candidate earned by source, and how the router does on the held-back queries."""
    pool = list(report.candidates["all"]["mean_reward"])
    columns = [f"{name} {what}" for name in pool for what in ("reward", "wins")]
    table = Table("source", "n", *columns, "entropy", title="rewards of the candidates", title_justify="left")
    for source, row in report.candidates.items():
        cells = [c for name in pool for c in (f"{row['mean_reward'][name]:.2f}", f"{row['share_of_wins'][name]:.0%}")]
        table.add_row(source, str(row["n"]), *cells, f"{row['reward_entropy']:.2f}")
    out.print(table)
    if count := len(report.set_aside):
        out.print(f"set aside: {count} {'query' if count == 1 else 'queries'} without rewards, listed in {REPORT}")
    if report.held_back:
        print_evaluation(report.held_back)


def print_evaluation(figures: report_tables.Figures) -> None:
    if 1 < len(figures["datasets"]) <= MOST_DATASETS:
        _print_table_one(figures)
    else:
        _print_datasets(figures)
    if "baselines" in figures:
        _print_baselines(figures)
    if "calibration" in figures:
        off = figures["calibration"]["ece"]
        out.print(f"calibration: probabilities are {off:.3f} off the share of wins on average (ECE)")
    if "robustness" in figures:
        _print_robustness(figures["robustness"])
    single = figures["average"]["best_single"]["candidate"]
    mean, spread = figures["mean"], figures["interval"]
    for what, key in (
        ("router", "regret"),
        (f"{single}, the best single", "regret_best_single"),
        ("random", "regret_random"),
    ):
        low, high = spread[key]
        out.print(f"regret of {what}: {mean[key]:.3f} (95% interval {low:.3f} to {high:.3f}, n = {figures['n']})")


def _print_table_one(figures: report_tables.Figures) -> None:
    """The paper's Table 1: a row a method, a column a data set; in bold what is best among those that run one model."""
    rows = report_tables.table_one(figures)
    marked = report_tables.best(rows)
    single = figures["average"]["best_single"]["candidate"]
    place = next(number for number, row in enumerate(rows) if row.name == report_tables.ROUTER)
    shown = [(row.name, number) for number, row in enumerate(rows)]
    shown.insert(place, (f"BMA ({single})", next(number for number, row in enumerate(rows) if row.name == single)))
    counts = {report_tables.DATASET + name: f"{name} ({row['n']})" for name, row in figures["datasets"].items()}
    table = Table("method", *(Column(head, overflow="fold") for head in counts.values()), *FIGURES.values())
    for name, number in shown:
        cells = []
        for column in (*counts, *FIGURES):
            value = rows[number].values.get(column)
            form = ".0%" if "uplift" in column else ".2f" if "mtr" in column else ".3f"
            bold = "bold" if number in marked.get(column, ()) else ""
            cells.append(Text("" if value is None else f"{value:{form}}", style=bold))
        table.add_row(name, *cells)
    regrets = [f"{row['regret']:.3f}" for row in figures["datasets"].values()]
    table.add_section()
    table.add_row("regret of router", *regrets, f"{figures['average']['regret']:.3f}")
    out.print("mean score by data set; MTR and %Uplift among all methods, and among those of one call")
    out.print(table)


def _print_datasets(figures: report_tables.Figures) -> None:
    """Where Table 1 would be one column, or too wide: a row a data set, then the ranks of the methods."""
    pool = list(next(iter(figures["datasets"].values()))["candidates"])
    table = Table("data set", "n", "router", "regret", *pool, "random", "oracle", title_justify="left")
    for name, row in figures["datasets"].items():
        cells = [f"{row['candidates'][c]:.3f}" for c in pool]
        table.add_row(
            name, str(row["n"]), f"{row['chosen']:.3f}", f"{row['regret']:.3f}", *cells,
            f"{row['random']:.3f}", f"{row['oracle']:.3f}",
        )  # fmt: skip
    out.print(table)
    methods = Table("method", "MTR", "%Uplift", "MTR of one call", "%Uplift of one call")
    for name, rank in figures["mtr"].items():
        alone, first = figures["single"]["mtr"].get(name), figures["single"]["uplift"].get(name)
        cells = ["" if alone is None else f"{alone:.2f}", "" if first is None else f"{first:.0%}"]
        methods.add_row(name, f"{rank:.2f}", f"{figures['uplift'][name]:.0%}", *cells)
    out.print(methods)


def _print_baselines(figures: report_tables.Figures) -> None:
    table = Table("instead of the router", "score", "regret", "router minus it, 95%")
    table.add_row("(the router)", f"{figures['average']['chosen']:.4f}", f"{figures['mean']['regret']:.3f}", "")
    for name, row in figures["baselines"].items():
        low, high = row["router_minus"]
        shown = f"{name}, in hindsight" if row["hindsight"] else name
        table.add_row(shown, f"{row['chosen']:.4f}", f"{row['regret']:.3f}", f"{low:.3f} to {high:.3f}")
    out.print(table)


def _print_robustness(found: dict[str, Any]) -> None:
    shown = ", ".join(f"{name} {share:.1%}" for name, share in found["edits"].items())
    out.print(f"choices that survive an edit: {found['mean']:.1%} of {found['n']} queries ({shown})")
    out.print(f"choices that survive a paraphrase: {found['paraphrases']:.1%} of {found['pairs']} pairs")


def print_sweep(figures: dict[str, Any]) -> None:
    title = f"{figures['n']} queries, each held back once a seed; {figures['folds']} folds, {figures['seeds']} seeds"
    columns = ("beta", "tau", "score", "95% interval", "regret", "minus best, 95%")
    table = Table(*columns, title=title, title_justify="left")
    for row in figures["rows"]:
        (low, high), (under, over) = row["interval"], row["minus_best"]
        minus = "" if _is_best(row, figures) else f"{under:.3f} to {over:.3f}"
        table.add_row(
            f"{row['beta']:g}", f"{row['tau']:g}", f"{row['mean']:.4f}", f"{low:.3f} to {high:.3f}",
            f"{row['regret']:.4f}", minus,
        )  # fmt: skip
    out.print(table)
    best = figures["best"]
    out.print(f"best: beta {best['beta']:g}, tau {best['tau']:g}; {_verdict(figures)}")


def _verdict(figures: dict[str, Any]) -> str:
    """Which of the other settings are worse than the best one beyond noise."""
    worse = [f"{row['beta']:g}, {row['tau']:g}" for row in figures["rows"] if row["minus_best"][1] < 0]
    if figures["differs"]:
        return "every other is worse beyond noise"
    if not worse:
        return "the others may be as good: within noise"
    return f"worse beyond noise (beta, tau): {'; '.join(worse)}; the others may be as good"


def _is_best(row: dict[str, Any], figures: dict[str, Any]) -> bool:
    return {key: row[key] for key in ("beta", "tau")} == figures["best"]


def save_sweep_plot(figures: dict[str, Any], path: Path) -> None:
    """The score over beta with its 95% interval, a line a tau, as an .html file that needs nothing else."""
    import plotly.graph_objects as go

    drawn = go.Figure(layout={"template": "plotly_white"})
    for tau in dict.fromkeys(row["tau"] for row in figures["rows"]):
        rows = [row for row in figures["rows"] if row["tau"] == tau]
        drawn.add_scatter(
            x=[row["beta"] for row in rows],
            y=[row["mean"] for row in rows],
            error_y={
                "array": [row["interval"][1] - row["mean"] for row in rows],
                "arrayminus": [row["mean"] - row["interval"][0] for row in rows],
            },
            name=f"tau {tau:g}",
        )
    drawn.update_layout(
        title=f"Routers on queries held back: {figures['folds']} folds, {figures['seeds']} seeds, n = {figures['n']}",
        xaxis_title="beta (share of the plain label)",
        yaxis_title="mean score, 95% interval over queries",
    )
    with open_atomic(path) as file:
        drawn.write_html(file, include_plotlyjs=True)


def print_trade(found: dict[str, Any]) -> None:
    rows = {"by probability": found["at_0"]}
    if found["willingness"]:
        rows[f"at a willingness of {found['willingness']:g}"] = found
    for what, row in rows.items():
        cost = f"{row['price']:.4g} dollars a million tokens, {row['dollars']:.4g} a thousand queries"
        out.print(f"{what}: score {row['score']:.4f}, {cost}")
    if found["willingness"]:
        low, high = found["score_minus"]
        out.print(f"score with the trade minus without: 95% interval {low:.4f} to {high:.4f}")


def print_selection(found: dict[str, Any]) -> None:
    """Areas of cost and quality, a table by the scores and one by the judge where there is one."""
    _print_curves(found, "the best by score")
    if "judge" in found:
        _print_curves(found["judge"], "the best by reward")


def _print_curves(report: dict[str, Any], kept: str) -> None:
    title = f"selection, {kept} kept of k; area: mean score over the cost"
    columns = ("trigger", "k", "one call", "k calls", "area", "random", "area minus random, 95%")
    table = Table(*columns, title=title, title_justify="left")
    for row in report["curves"]:
        ends = [f"{row['points'][end]['score']:.4f}" for end in (0, -1)]
        low, high = row["interval"]
        areas = [f"{row['area']:.4f}", f"{row['area_random']:.4f}", f"{low:.4f} to {high:.4f}"]
        table.add_row(row["trigger"], str(row["k"]), *ends, *areas)
    out.print(table)
    best = report["best"]
    verdict = "beats random beyond noise" if best["beats_random"] else "does not beat random beyond noise"
    out.print(f"best for k = {best['k']}: {best['trigger']}, which {verdict}")


def save_selection_plot(found: dict[str, Any], path: Path) -> None:
    """Quality over cost, a line a trigger and k, a random choice dashed; a panel by the judge where there is one."""
    from plotly.subplots import make_subplots

    panels = {"the best by score is kept": found}
    if "judge" in found:
        panels["the best by reward is kept"] = found["judge"]
    drawn = make_subplots(cols=len(panels), subplot_titles=list(panels), shared_yaxes=True)
    for column, panel in enumerate(panels.values(), 1):
        for line in _lines(panel):
            drawn.add_scatter(**line, mode="lines", legendgroup=line["name"], showlegend=column == 1, row=1, col=column)
    priced = "dollars" in found["curves"][0]["points"][0]
    drawn.update_xaxes(title="dollars a thousand queries" if priced else "calls a query")
    drawn.update_yaxes(title="mean score", col=1)
    drawn.update_layout(template="plotly_white", title="k candidates where the router is unsure, else one")
    with open_atomic(path) as file:
        drawn.write_html(file, include_plotlyjs=True)


def _lines(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from plotly.colors import qualitative

    known = list(dict.fromkeys(row["trigger"] for row in report["curves"]))
    for row in report["curves"]:
        points, color = row["points"], qualitative.D3[known.index(row["trigger"])]
        x, y = [point.get("dollars", point["calls"]) for point in points], [point["score"] for point in points]
        yield {"x": x, "y": y, "name": f"{row['trigger']}, k = {row['k']}", "line": {"color": color, "width": row["k"]}}
        if row["trigger"] == known[0]:  # the ends are the same for all
            ends = {"x": [x[0], x[-1]], "y": [y[0], y[-1]]}
            yield ends | {
                "name": f"random, k = {row['k']}",
                "line": {"color": "grey", "dash": "dash", "width": row["k"]},
            }
