"""`zooter evaluate`: a router against score files, or routers over a range of beta and tau (`--sweep`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zooter_core.base.errors import ZooterError, listed
from zooter_core.cli.consoles import bars, err, print_figures, print_set_aside
from zooter_core.cli.fleets import open_ensemble, open_fleet
from zooter_core.cli.options import (
    Json,
    ScoreFiles,
    Strict,
    Willingness,
    check_needs,
    check_unused,
    open_scores,
    option,
    tags_of,
)
from zooter_core.cli.plots import check_plot, save_selection_plot, save_sweep_plot
from zooter_core.cli.tables import print_evaluation, print_selection, print_sweep, print_trade, print_verdict
from zooter_core.config.fleet import Fleet, load_fleet
from zooter_core.data import prices as pricing
from zooter_core.data.scores import Scores, read_texts
from zooter_core.evaluation import responses
from zooter_core.evaluation.figures import Evaluation, Selection, Trade
from zooter_core.evaluation.responses import Texts
from zooter_core.evaluation.verdicts import with_cost
from zooter_core.method import selection
from zooter_core.method.metrics import Array
from zooter_core.method.selection import Outputs
from zooter_core.router.kinds import DistillConfig
from zooter_core.router.router import Router

if TYPE_CHECKING:
    from zooter_core.evaluation.sweep import SweepConfig


def evaluate(
    context: typer.Context,
    scores: ScoreFiles,
    router: Annotated[Path | None, option("--router", "DIR", "Folder of the router; or use --fleet.")] = None,
    fleet: Annotated[Path | None, option("--fleet", "DIR", "Folder of a fleet, whose router is evaluated.")] = None,
    rmr: Annotated[
        bool,
        option("--rmr", help="With --fleet: also evaluate reward model ranking (all candidates run); needs responses."),
    ] = False,
    learned_from: Annotated[
        list[Path] | None,
        option(
            "--learned-from",
            "FILE...",
            "Score files that the router was trained on. The baselines learn from them too, and kNN joins them; else "
            "the baselines are picked in hindsight.",
        ),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        option(
            "--sweep",
            "NAME=LIST...",
            "Without a router: how much beta and tau matter, by cross-validation, such as beta=0,0.3,1 tau=0.3,1.",
        ),
    ] = None,
    select: Annotated[
        bool, option("--select", help="Also measure cost and quality with k candidates where the router is unsure.")
    ] = False,
    judge_fleet: Annotated[
        Path | None,
        option("--judge-fleet", "DIR", "With --select: also keep the best by this fleet's reward; needs responses."),
    ] = None,
    plot: Annotated[
        Path | None,
        option("--plot", "FILE", "With --select or --sweep: also plot it into an .html file (extra: plots)."),
    ] = None,
    prices: Annotated[
        Path | None, option("--prices", "DIR", "A fleet with usd_per_million_tokens: cost in dollars, not in calls.")
    ] = None,
    tokens: Annotated[
        int | None,
        option("--tokens", "N", "With --prices: length of responses that the files lack (default: 300 tokens).", min=1),
    ] = None,
    willingness: Willingness = 0.0,
    strict: Strict = False,
    json: Json = False,
) -> None:
    check_plot(plot)
    if sweep:
        others = ("router", "rmr", "learned_from", "select", "judge_fleet", "prices", "tokens", "willingness")
        check_unused(context, "with --sweep", *others)
        _sweep(open_scores(scores, strict), _sweep_config(sweep), fleet, plot, json)
        return
    pricing.check_willingness(willingness)
    check_needs(context, "--select", select, "judge_fleet", "plot")
    check_needs(context, "--fleet", fleet, "rmr")
    check_needs(context, "--prices", prices, "willingness", "tokens")
    path, owner = _router_path(router, fleet)
    table = open_scores(scores, strict, judged=True)
    learned = open_scores(learned_from, strict) if learned_from else None
    texts = _texts(scores, table, {"--judge-fleet": judge_fleet, "--rmr": rmr}, prices)
    paid = pricing.prices_of(load_fleet(prices), table.candidates) if prices else None
    from zooter_core.evaluation import evaluate as evaluation
    from zooter_core.router.encoder import Encoders
    from zooter_core.router.neighbours import familiar_rows

    loaded = Router.load(path, Encoders())
    familiar = familiar_rows(table.queries, Path(path))
    if familiar is not None and familiar.any():
        share = f"{familiar.sum():,} of these {len(familiar):,} queries"
        err.print(f"The router has learned from {share}, so it looks better here than it is. Use other queries.")
    if owner is not None:
        loaded = loaded.for_pool(owner.pool, owner.routed_as)
    ranked = {"rmr": responses.best_scores(table, _rewards(fleet, table, texts))} if rmr else None
    with bars() as progress:
        outputs = evaluation.outputs_of(loaded, table, lambda done: progress("embed", done, len(table.queries)))
    parts: dict[str, Any] = {}
    costs = None
    if paid is not None:
        costs = pricing.dollars(paid, responses.token_counts(loaded.encoder, table, texts, tokens or pricing.TOKENS))
        trade = pricing.trade(outputs.probabilities, table.scores, paid, costs, willingness)
        parts["trade"] = Trade.model_validate(trade)
    if select:
        parts["selection"] = _selection(outputs, table, costs, judge_fleet, texts)
    figures = evaluation.evaluation_of(loaded, table, learned, ranked, outputs)
    if costs is not None and figures.verdict:
        spent = pricing.spent(table.candidates, outputs.probabilities.argmax(axis=1), costs)
        parts["verdict"] = with_cost(figures.verdict, spent, "dollars")
    figures = figures.but(**parts)
    if plot and figures.selection:
        save_selection_plot(figures.selection, plot)
    print_figures(figures, json, _print)


def _sweep(table: Scores, config: SweepConfig, fleet: Path | None, plot: Path | None, json: bool) -> None:
    """Routers over a range of beta and tau, with the encoder of the fleet."""
    from zooter_core.evaluation.sweep import sweep
    from zooter_core.router.encoder import open_encoder

    encoder = open_encoder(open_fleet(fleet).encoder)
    texts = [query.text for query in table.queries]
    with bars() as progress:
        vectors = encoder.embed_all(texts, lambda done: progress("embed", done, len(texts)))
        figures = sweep(table, tags_of(table, "auto", vectors, fleet), vectors, config, DistillConfig(), progress)
    if plot:
        save_sweep_plot(figures, plot)
    print_figures(figures, json, print_sweep)


def _sweep_config(values: Sequence[str]) -> SweepConfig:
    """The values of --sweep; what they do not name is as in `zooter distill --scores`."""
    from zooter_core.evaluation.sweep import SweepConfig
    from zooter_core.pipeline.train import SCORE_LABELS

    given = {name: text for name, _, text in (value.partition("=") for value in values)}
    wrong = sorted(given.keys() - {"beta", "tau", "normalise"})
    try:
        numbers = {name: tuple(map(float, given[name].split(","))) for name in ("beta", "tau") if name in given}
    except ValueError:
        wrong = list(values)
    if wrong:
        raise ZooterError(
            "--sweep as beta=NUMBERS, tau=NUMBERS or normalise=NAME",
            listed(map(repr, wrong)),
            "For instance --sweep beta=0,0.3,1 tau=0.3,1.",
        )
    return SweepConfig(
        betas=tuple(dict.fromkeys(numbers.get("beta", SweepConfig.betas))),
        taus=tuple(dict.fromkeys(numbers.get("tau", (SCORE_LABELS.tau,)))),
        normalise=given.get("normalise", SCORE_LABELS.normalise),
    )


def _print(figures: Evaluation) -> None:
    print_evaluation(figures)
    if figures.trade:
        print_trade(figures.trade)
    if figures.selection:
        print_selection(figures.selection)
    print_verdict(figures.verdict)


def _router_path(folder: Path | None, fleet: Path | None) -> tuple[str | Path, Fleet | None]:
    """The folder of the router, and the fleet if it is a fleet's."""
    if bool(folder) == bool(fleet):
        raise ZooterError(
            "--router DIR, or --fleet DIR for its router", "both" if folder else "neither", "Give one of them."
        )
    if folder is not None:
        return folder, None
    parts = open_fleet(fleet)
    if parts.router is None:
        raise parts.missing("router")
    return parts.router.path, parts


def _texts(files: Sequence[Path], scores: Scores, needed: dict[str, object], prices: Path | None) -> Texts:
    """The responses in the files, where an option uses them.

    Args:
        needed: the options that need the responses of all candidates.

    Raises:
        ZooterError: such an option is given, and a response is missing.
    """
    options = [name for name, value in needed.items() if value]
    texts = read_texts(files, scores) if options or prices else []
    for name in options:
        responses.check_complete(scores, texts, name)
    return texts


def _selection(
    outputs: Outputs, scores: Scores, costs: Array | None, judge_fleet: Path | None, texts: Texts
) -> Selection:
    """What selection costs and gains, keeping the best by score, and with a fleet also by its reward."""
    figures = selection.report(outputs, scores.scores, costs=costs)
    if judge_fleet:
        columns = selection.ranking(outputs.probabilities)[:, : selection.MOST].tolist()
        judged = _rewards(judge_fleet, scores, texts, columns)
        figures["judge"] = selection.report(outputs, scores.scores, judged, costs)
    return Selection.model_validate(figures)


def _rewards(fleet: Path | None, scores: Scores, texts: Texts, columns: Sequence[Sequence[int]] | None = None) -> Array:
    """Rewards by a fleet, shape (n, N), with a note of the queries that have none."""
    ensemble = open_ensemble(fleet)
    with bars() as progress:
        table, reasons = responses.rewards(ensemble, scores, texts, columns, progress)
    print_set_aside(reasons)
    return table
