"""Figures of a run or an evaluation as tables on stdout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from zooter_core.commands.options import out


def print_report(path: Path) -> None:
    report = json.loads(path.read_text(encoding="utf-8"))
    pool = list(report["candidates"]["all"]["mean_reward"])
    columns = [f"{name} {what}" for name in pool for what in ("reward", "wins")]
    table = Table("source", "n", *columns, "entropy", title="rewards of the candidates", title_justify="left")
    for source, row in report["candidates"].items():
        cells = [c for name in pool for c in (f"{row['mean_reward'][name]:.2f}", f"{row['share_of_wins'][name]:.0%}")]
        table.add_row(source, str(row["n"]), *cells, f"{row['reward_entropy']:.2f}")
    out.print(table)
    if "held_back" in report:
        print_evaluation(report["held_back"])


def print_evaluation(figures: dict[str, Any]) -> None:
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
    if "baselines" in figures:
        _print_baselines(figures)
    if "calibration" in figures:
        off = figures["calibration"]["ece"]
        out.print(Text(f"calibration: probabilities are {off:.3f} off the share of wins on average (ECE)"))
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
        out.print(Text(f"regret of {what}: {mean[key]:.3f} (95% interval {low:.3f} to {high:.3f}, n = {figures['n']})"))


def _print_baselines(figures: dict[str, Any]) -> None:
    table = Table("instead of the router", "score", "regret", "router minus it, 95%")
    table.add_row("(the router)", f"{figures['average']['chosen']:.4f}", f"{figures['mean']['regret']:.3f}", "")
    for name, row in figures["baselines"].items():
        low, high = row["router_minus"]
        shown = f"{name}, in hindsight" if row["hindsight"] else name
        table.add_row(shown, f"{row['chosen']:.4f}", f"{row['regret']:.3f}", f"{low:.3f} to {high:.3f}")
    out.print(table)


def _print_robustness(found: dict[str, Any]) -> None:
    shown = ", ".join(f"{name} {share:.1%}" for name, share in found["edits"].items())
    out.print(Text(f"choices that survive an edit: {found['mean']:.1%} of {found['n']} queries ({shown})"))
    out.print(Text(f"choices that survive a paraphrase: {found['paraphrases']:.1%} of {found['pairs']} pairs"))


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
    verdict = "every other is worse beyond noise" if figures["differs"] else "the others may be as good: within noise"
    best = figures["best"]
    out.print(Text(f"best: beta {best['beta']:g}, tau {best['tau']:g}; {verdict}"))


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
    drawn.write_html(path, include_plotlyjs=True)
