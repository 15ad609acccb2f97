"""`zooter evaluate`: evaluates a router on score files, or compares values of beta and tau (`--sweep`)."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
import typer

from zooter_core.base.errors import NotInstalledError, ZooterError, listed
from zooter_core.base.files import check_file, open_atomic
from zooter_core.cli.bars import bars
from zooter_core.cli.consoles import err, print_figures, print_set_aside
from zooter_core.cli.fleets import open_ensemble, open_fleet
from zooter_core.cli.options import JSON, WILLINGNESS, check_unused, flag, open_scores, option
from zooter_core.cli.tables import print_evaluation, print_selection, print_sweep, print_trade, print_verdict
from zooter_core.config.fleet import Fleet
from zooter_core.data import prices as pricing
from zooter_core.data.scores import Scores, read_texts
from zooter_core.evaluation import charts, report_tables
from zooter_core.evaluation import evaluate as evaluation
from zooter_core.evaluation.charts import Figure
from zooter_core.evaluation.figures import Evaluation
from zooter_core.evaluation.sweep import BETAS, sweep
from zooter_core.evaluation.verdicts import with_cost
from zooter_core.method import selection
from zooter_core.method.labels import LabelConfig
from zooter_core.method.metrics import Array
from zooter_core.method.mixture import chosen
from zooter_core.method.selection import Outputs, SelectionReport
from zooter_core.router.encoder import TextEncoder, open_encoder
from zooter_core.router.kinds import DistillConfig
from zooter_core.router.neighbours import Neighbours, in_sample_note
from zooter_core.router.router import Router

Texts = Sequence[Mapping[str, str]]  # for each query, the response of each candidate

PAGE = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>TITLE</title>
<style>body {{ font-family: {charts.FONT}; max-width: 72rem; margin: auto; padding: 1rem }}</style></head>
<body><h1>TITLE</h1>
"""
HEIGHT = 520  # pixels of a chart


def evaluate(
    context: typer.Context,
    scores: list[Path] = option("FILE...", "Score files.", default=...),
    router: Path | None = option("DIR", "Folder of the router (default: the router of --fleet)."),
    fleet: Path | None = option("DIR", "Folder of a fleet, for its router, prices and reward model."),
    rmr: bool = flag(
        "--rmr", "With --fleet: also evaluate reward model ranking (all candidates run); needs responses."
    ),
    learned_from: list[Path] | None = option(
        "FILE...",
        "Score files that the router was trained on. With them, the baselines are trained, too, and include kNN; "
        "otherwise they are chosen in hindsight.",
    ),
    sweep: list[str] | None = option(
        "NAME=LIST...",
        "Instead of a router, compare values of beta and tau by cross-validation, such as beta=0,0.3,1 tau=0.3,1.",
    ),
    plot: Path | None = option(
        "FILE",
        "Also plot quality against cost when unsure queries go to k candidates, into an .html file; with --sweep, "
        "plot the sweep (extra: plots).",
    ),
    willingness: float | None = WILLINGNESS,
    json: bool = JSON,
) -> None:
    _check_plot(plot)
    if sweep:
        check_unused(context, "with --sweep", "router", "rmr", "learned_from", "willingness")
        _sweep(open_scores(scores), _sweep_configs(sweep), fleet, plot, json)
        return
    pricing.check_willingness(willingness or 0.0)
    if not fleet:
        check_unused(context, "without --fleet", "rmr", "willingness", step="Add --fleet, or leave it out.")
    owner = open_fleet(fleet) if fleet else None
    path = router or _find_router(owner)
    table = open_scores(scores, judged=True)
    learned = open_scores(learned_from) if learned_from else None
    paid = _prices(owner, table.candidates, willingness or 0.0) if owner else None
    texts = read_texts(scores, table) if rmr or paid is not None else []
    if rmr:
        _check_complete(table, texts)
    loaded = Router.load(path)
    if note := in_sample_note(table.queries, Path(path)):
        err.print(note)
    if owner and not router:
        loaded = loaded.for_pool(owner.pool, owner.names_in(loaded.candidates))
    rewards = _rewards(fleet, table, texts) if rmr else None
    ranked = None if rewards is None else _best_scores(table, rewards)
    with bars() as progress:
        probabilities = evaluation.compute_probabilities(
            loaded, table, lambda done: progress("embed", done, len(table.queries))
        )
    figures = evaluation.compute_evaluation(loaded, table, learned, ranked, probabilities)
    costs = None
    if paid is not None:
        costs = pricing.dollars(paid, _token_counts(loaded.encoder, table, texts))
        if willingness is None:
            willingness = (owner.willingness if owner else None) or 0.0
        figures = _with_costs(figures, table, probabilities, paid, costs, willingness)
    if plot:
        outputs = Outputs(probabilities, _gains(loaded, path, None if router else owner, table, probabilities))
        selected = selection.report(outputs, table.scores, costs=costs)
        if rewards is not None:
            selected = replace(selected, judge=selection.report(outputs, table.scores, rewards, costs))
        _save_selection_plot(selected, plot)
        figures = replace(figures, selection=selected)
    print_figures(figures, json, _print)


def _sweep(table: Scores, configs: Sequence[LabelConfig], fleet: Path | None, plot: Path | None, json: bool) -> None:
    """Compare values of beta and tau, with the encoder of the fleet."""
    from zooter_core.pipeline.train import choose_tags  # loads the backends

    encoder = open_encoder(open_fleet(fleet).encoder)
    texts = [query.text for query in table.queries]
    with bars() as progress:
        vectors = encoder.embed_all(texts, lambda done: progress("embed", done, len(texts)))
        figures = sweep(table, choose_tags(table, "auto", vectors), vectors, configs, DistillConfig(), progress)
    if plot:
        title = f"Held-back queries: {figures.folds} folds, {figures.seeds} seeds, n = {figures.n}"
        _save(plot, title, {"": charts.sweep_chart(figures)})
    print_figures(figures, json, print_sweep)


def _sweep_configs(values: Sequence[str]) -> list[LabelConfig]:
    """The pairs of beta and tau of --sweep, ordered by tau. Defaults are those of `zooter distill --scores`."""
    from zooter_core.pipeline.train import SCORE_LABELS

    settings = {name: text for name, _, text in (value.partition("=") for value in values)}
    wrong = sorted(settings.keys() - {"beta", "tau", "normalise"})
    numbers: dict[str, Sequence[float]] = {"beta": BETAS, "tau": (SCORE_LABELS.tau,)}
    try:
        numbers |= {name: tuple(map(float, settings[name].split(","))) for name in numbers if name in settings}
    except ValueError:
        wrong = list(values)
    betas, taus = (list(dict.fromkeys(numbers[name])) for name in ("beta", "tau"))
    if not (all(0 <= beta <= 1 for beta in betas) and all(0 < tau < math.inf for tau in taus)):
        wrong = list(values)
    if wrong:
        expected = "--sweep as beta=NUMBERS from 0 to 1, tau=NUMBERS above 0 or normalise=NAME"
        raise ZooterError(expected, listed(map(repr, wrong)), "For instance --sweep beta=0,0.3,1 tau=0.3,1.")
    normalise = settings.get("normalise", SCORE_LABELS.normalise)
    return [LabelConfig(beta, tau, normalise) for tau in taus for beta in betas]


def _print(figures: Evaluation) -> None:
    print_evaluation(figures)
    if figures.trade:
        print_trade(figures.trade)
    if figures.selection:
        print_selection(figures.selection)
    print_verdict(figures.verdict)


def _find_router(fleet: Fleet | None) -> str | Path:
    if fleet is None:
        raise ZooterError("--router DIR, or --fleet DIR for its router", "neither", "Give one of them.")
    if fleet.router is None:
        raise fleet.missing("router")
    return fleet.router.path


def _prices(fleet: Fleet, pool: Sequence[str], willingness: float) -> Array | None:
    """The prices of a pool, shape (N,); None if the fleet lacks one and the call does not need them."""
    names = dict(zip(fleet.names_in(pool), fleet.pool, strict=True))  # name in the scores -> name in the fleet
    find_prices = pricing.price_list if willingness else pricing.known_prices
    return find_prices(fleet, [names.get(name, name) for name in pool])


def _gains(router: Router, path: str | Path, fleet: Fleet | None, scores: Scores, probabilities: Array) -> Array | None:
    """The expected rank of each query by the gain of a second response, which decides whether routing is unsure; None
    if the router's folder has no training queries with the candidates."""
    learned = Neighbours.load(path)
    if learned and fleet:
        learned = learned.for_pool(fleet.pool, fleet.names_in(learned.candidates))
    if learned is None or not set(scores.candidates) <= set(learned.candidates):
        return None
    columns = np.array([learned.candidates.index(name) for name in scores.candidates])
    vectors = router.encoder.embed_all([query.text for query in scores.queries])
    return learned.gain_ranks(vectors, columns[selection.ranking(probabilities)[:, :2]])


def _with_costs(
    figures: Evaluation, scores: Scores, probabilities: Array, prices: Array, costs: Array, willingness: float
) -> Evaluation:
    """The figures with the costs of choosing by probability and by utility, and with the cost in the verdict."""
    trade = pricing.trade(probabilities, scores.scores, prices, costs, willingness)
    spent = pricing.spent(scores.candidates, probabilities.argmax(axis=1), costs)
    verdict = with_cost(figures.verdict, spent, "dollars") if spent else figures.verdict
    return replace(figures, trade=trade, verdict=verdict)


def _check_complete(scores: Scores, texts: Texts) -> None:
    """Check that the score files have a response of every candidate to every query."""
    for query, responses in zip(scores.queries, texts, strict=True):
        if missing := [name for name in scores.candidates if name not in responses]:
            raise ZooterError(
                f"the responses of all candidates to the query {query.id}, for --rmr",
                f"none of {listed(missing)}",
                'Add "responses" to every line, or leave out --rmr.',
            )


def _rewards(fleet: Path | None, scores: Scores, texts: Texts) -> Array:
    """The rewards of a fleet's reward model, shape (n, N), -inf for responses that are empty or have no reward.

    Queries for which the reward model failed are printed.
    """
    ensemble = open_ensemble(fleet)
    answered = [[column for column, name in enumerate(scores.candidates) if row[name]] for row in texts]
    queries = [
        (query.text, [row[scores.candidates[column]] for column in columns])
        for query, row, columns in zip(scores.queries, texts, answered, strict=True)
    ]
    with bars() as progress:
        results = ensemble.score_responses(queries, lambda done: progress("reward", done, len(texts)))
        progress("reward", len(texts), len(texts))
    table = np.full(scores.scores.shape, -np.inf)
    for row, result in enumerate(results):
        table[row, answered[row]] = [-np.inf if reward is None else reward for reward in result.rewards]
    reasons = {query.id: result.reason for query, result in zip(scores.queries, results, strict=True)}
    print_set_aside({name: reason for name, reason in reasons.items() if reason})
    return table


def _best_scores(scores: Scores, rewards: Array) -> Array:
    """The score of the response with the highest reward (RMR), shape (n,); NaN if no response has a reward."""
    return np.where(np.isfinite(rewards).any(axis=1), chosen(rewards, scores.scores), np.nan)


def _token_counts(encoder: TextEncoder, scores: Scores, texts: Texts) -> Array:
    """The tokens of each response by the encoder's tokenizer, shape (n, N); pricing.TOKENS for missing responses."""
    places = [
        (row, column)
        for row, responses in enumerate(texts)
        for column, name in enumerate(scores.candidates)
        if name in responses
    ]
    table = np.full(scores.scores.shape, float(pricing.TOKENS))
    counts = encoder.count([texts[row][scores.candidates[column]] for row, column in places])
    for place, count in zip(places, counts, strict=True):
        table[place] = count
    return table


# Charts, on a self-contained page.


def _check_plot(path: Path | None) -> None:
    """Check before any work that the --plot file is .html and can be written, and that plotly is installed."""
    if path is None:
        return
    if path.suffix != ".html":
        raise ZooterError("--plot as a file that ends in .html", str(path), "Rename it.")
    if importlib.util.find_spec("plotly") is None:
        raise NotInstalledError("plotly", "--plot", "pip install 'zooter[plots]'")
    check_file(path)


def _save_selection_plot(figures: SelectionReport, path: Path) -> None:
    """Plot quality over cost, with a line per k and dotted lines for random queries. With rewards of a reward model,
    add a second chart."""
    panels = {"Keeping the best by score": figures}
    if figures.judge:
        panels["Keeping the best by reward"] = figures.judge
    priced = figures.curves[0].points[0].dollars is not None
    drawn = {}
    for name, panel in panels.items():
        drawn[name] = charts.selection_chart(report_tables.curves(panel), priced)
    _save(path, "k candidates where the router is unsure, otherwise one", drawn)


def _save(path: Path, title: str, panels: Mapping[str, Figure]) -> None:
    """Write a page with the charts below each other, each with its title."""
    from plotly.io import to_html

    with open_atomic(path) as file:
        file.write(PAGE.replace("TITLE", escape(title)))
        for number, (name, figure) in enumerate(panels.items()):
            drawn = charts.on_white(figure, HEIGHT)
            file.write(f"<h2>{escape(name)}</h2>\n" if name else "")
            options = {"include_plotlyjs": not number, "full_html": False, "div_id": f"chart-{number}"}
            file.write(to_html(drawn, charts.CONFIG, **options))
        file.write("</body></html>\n")
