"""Prints the figures of a run or an evaluation as tables on stdout."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from zooter_core.cli.consoles import out
from zooter_core.data.prices import ChoiceMeans, Trade
from zooter_core.data.run_folder import REPORT
from zooter_core.evaluation import report_tables, thinking, verdicts
from zooter_core.evaluation.figures import Baseline, Evaluation, Report, Sweep, Verdict
from zooter_core.evaluation.report_tables import Method
from zooter_core.method.selection import SelectionReport

MOST_DATASETS = 8  # columns that fit into most terminals


def print_report(report: Report) -> None:
    """Print the rewards of a run's candidates by source, and the evaluation of its router on held-back queries."""
    every = report.candidates["all"]
    title = "rewards of the candidates: the mean, and how often each has the highest"
    table = Table("source", "n", *every.mean_reward, "entropy", title=title, title_justify="left")
    for source, row in report.candidates.items():
        cells = [
            f"{_cell(row.mean_reward.get(name, math.nan), '.2f')} {_cell(row.share_of_wins.get(name, math.nan), '.0%')}"
            for name in every.mean_reward
        ]
        table.add_row(source, str(row.n), *cells, f"{row.reward_entropy:.2f}")
    out.print(table)
    if every.scored:
        out.print(f"responses are missing; queries with a score, of {every.n:,}: {_counts(every.scored)}")
        if not report.held_back:
            out.print("no figures of the router: no data set has held-back queries with a score of every candidate")
    if count := len(report.set_aside):
        out.print(f"set aside: {count} {'query' if count == 1 else 'queries'} without rewards, listed in {REPORT}")
    if verified := report.verified:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in verified.measured.items())
        out.print(f"right responses, by the answer keys of {verified.n:,} queries: {shares}")
        if verified.agreement is not None:
            out.print(f"the reward model prefers the right one in {verified.agreement:.0%} of {verified.pairs:,} pairs")
    for sentence in thinking.sentences(report.thinking):
        out.print(sentence)
    if report.held_back:
        print_evaluation(report.held_back)
    print_verdict(verdicts.of_report(report))


def print_verdict(verdict: Verdict | None) -> None:
    """Print whether routing is worth it, one sentence per line."""
    for sentence in verdicts.sentences(verdict) if verdict else ():
        out.print(sentence)


def print_evaluation(figures: Evaluation) -> None:
    if 1 < len(figures.datasets) <= MOST_DATASETS:
        _print_table_one(figures)
    else:
        _print_datasets(figures)
    counts = figures.counts
    if counts["chosen"] < figures.n:
        of = _counts(counts["candidates"])
        out.print(f"the router's choice has a score on {counts['chosen']:,} of {figures.n:,} queries; {of}")
    if figures.baselines:
        _print_baselines(figures, figures.baselines)
    if not math.isnan(off := figures.calibration.ece):
        out.print(f"calibration: probabilities differ from the share of wins by {off:.3f} on average (ECE)")
    rows = {"regret": "router", "regret_best_single": f"{figures.best_single}, the best single in hindsight"}
    for key, what in (rows | {"regret_random": "random"}).items():
        interval = verdicts.ends(figures.interval[key], ".3f")
        precision = f"95% interval {interval}" if interval else "no interval"
        out.print(f"regret of {what}: {_cell(figures.mean[key], '.3f')} ({precision}, n = {counts[key]})")


def _counts(scored: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in scored.items())


def _print_table_one(figures: Evaluation) -> None:
    """Print the paper's Table 1, with a row per method and a column per data set. The best figures of methods that run
    one model are bold."""
    rows = report_tables.table_one(figures)
    marked = report_tables.best(rows)
    numbers = {row.name: number for number, row in enumerate(rows)}
    shown = list(numbers.items())
    shown.insert(numbers[report_tables.ROUTER], (f"BMA ({figures.best_single})", numbers[figures.best_single]))
    counts = {report_tables.DATASET + name: f"{name} ({row.n})" for name, row in figures.datasets.items()}
    table = Table("method", *counts.values(), *(label for label, _ in report_tables.FIGURES.values()))
    for name, number in shown:
        cells = (
            Text(_figure(rows[number], column), style="bold" if number in marked.get(column, ()) else "")
            for column in (*counts, *report_tables.FIGURES)
        )
        table.add_row(name, *cells)
    regrets = [_cell(row.regret, ".3f") for row in (*figures.datasets.values(), figures.average)]
    table.add_section()
    table.add_row("regret of router", *regrets)
    out.print("mean score per data set; MTR and %Uplift among all methods, and among those that make one call")
    out.print(table)


def _print_datasets(figures: Evaluation) -> None:
    """Print a row per data set, then the ranks of the methods. For one data set, or for more than MOST_DATASETS."""
    pool = figures.pool
    table = Table("data set", "n", "router", "regret", *pool, "random", "oracle")
    for name, row in figures.datasets.items():
        scores = [row.chosen, row.regret, *(row.candidates[c] for c in pool), row.random, row.oracle]
        table.add_row(name, str(row.n), *(_cell(score, ".3f") for score in scores))
    out.print(table)
    ranks = {column: label for column, (label, _) in report_tables.FIGURES.items() if column != "average"}
    methods = Table("method", *ranks.values())
    for method in report_tables.table_one(figures):
        methods.add_row(method.name, *(_figure(method, column) for column in ranks))
    out.print(methods)


def _figure(method: Method, column: str) -> str:
    """The text of a cell in the paper's Table 1."""
    form = {"mtr": ".2f", "uplift": ".0%"}.get(column.removesuffix("_one"), ".3f")
    return _cell(method.values.get(column, math.nan), form)


def _cell(value: float, form: str) -> str:
    """The text of a figure; empty for NaN, if no query has a score for it."""
    return "" if math.isnan(value) else f"{value:z{form}}"


def _print_baselines(figures: Evaluation, baselines: Mapping[str, Baseline]) -> None:
    several = len(figures.datasets) > 1
    title = "average over data sets; regret and difference over queries" if several else None
    columns = ("average" if several else "score", "regret", "router minus baseline, 95%")
    table = Table("instead of the router", *columns, title=title, title_justify="left")
    table.add_row("(the router)", _cell(figures.average.chosen, ".4f"), _cell(figures.mean["regret"], ".3f"), "")
    for name, row in baselines.items():
        shown = f"{name}, in hindsight" if row.hindsight else name
        minus = verdicts.ends(row.router_minus, ".3f")
        table.add_row(shown, _cell(row.chosen, ".4f"), _cell(row.regret, ".3f"), minus)
    out.print(table)


def print_trade(figures: Trade) -> None:
    """Print score and cost of choosing by probability, and of choosing by utility with prices."""
    rows: dict[str, ChoiceMeans] = {"by probability": figures.at_0}
    if figures.willingness:
        rows[f"at a willingness of {figures.willingness:g}"] = figures
    for what, row in rows.items():
        cost = f"{row.price:.4g} dollars per million tokens, {row.dollars:.4g} per thousand queries"
        out.print(f"{what}: score {row.score:.4f}, {cost}")
    if figures.willingness:
        out.print(f"change of the score: 95% interval {verdicts.ends(figures.score_minus, '.4f') or 'none'}")


def print_selection(figures: SelectionReport) -> None:
    """Print the area under each curve of quality over cost: a table by score, and one by reward if there are any."""
    _print_curves(figures, "score")
    if figures.judge:
        _print_curves(figures.judge, "reward")


def _print_curves(figures: SelectionReport, measure: str) -> None:
    first, *_ = figures.curves
    measured_by = {"gain": "the expected gain of a second answer", "margin": "the margin"}[first.trigger]
    title = f"k models where the router is unsure, keeping the best by {measure}; area: mean score over the cost"
    columns = ("k", "one call", "k calls", "area", "random", "area minus random, 95%")
    table = Table(*columns, title=title, title_justify="left")
    for curve in figures.curves:
        ends = [f"{curve.points[end].score:.4f}" for end in (0, -1)]
        low, high = curve.interval
        areas = [f"{curve.area:.4f}", f"{curve.area_random:.4f}", f"{low:.4f} to {high:.4f}"]
        table.add_row(str(curve.k), *ends, *areas)
    out.print(table)
    verdict = "significantly better than" if first.beats_random else "no significant difference from"
    out.print(f"for k = {first.k}, unsure by {measured_by}: {verdict} random queries")


def print_sweep(figures: Sweep) -> None:
    title = f"{figures.n} queries, each held back once per seed; {figures.folds} folds, {figures.seeds} seeds"
    columns = ("beta", "tau", "score", "95% interval", "regret", "minus best, 95%")
    table = Table(*columns, title=title, title_justify="left")
    for row in figures.rows:
        minus = "" if figures.is_best(row) else verdicts.ends(row.minus_best, ".3f")
        figures_of_row = (f"{row.mean:.4f}", verdicts.ends(row.interval, ".3f"), f"{row.regret:.4f}")
        table.add_row(f"{row.beta:g}", f"{row.tau:g}", *figures_of_row, minus)
    out.print(table)
    for sentence in verdicts.of_sweep(figures):
        out.print(sentence)
