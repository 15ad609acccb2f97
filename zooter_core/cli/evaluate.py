"""`zooter evaluate`: a router against score files, and what selection and prices would change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from zooter_core.cli.arguments import Json, ScoreFiles, Strict, Willingness, option
from zooter_core.cli.charts import save_selection_plot
from zooter_core.cli.consoles import print_json
from zooter_core.cli.fleets import open_ensemble, open_fleet
from zooter_core.cli.notes import print_set_aside
from zooter_core.cli.progress import bars
from zooter_core.cli.settings import check_plot, open_scores
from zooter_core.cli.tables import print_evaluation, print_selection, print_trade
from zooter_core.config.fleet import load_fleet
from zooter_core.data import prices as pricing
from zooter_core.data.scores import Scores, read_texts
from zooter_core.errors import ZooterError
from zooter_core.method import selection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zooter_core.evaluation.responses import Array, Texts
    from zooter_core.router.router import Router


def evaluate(
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
            "Score files that the router was trained on. The baselines learn from them too, and kNN joins them; "
            "without them they are picked in hindsight.",
        ),
    ] = None,
    robust: Annotated[
        bool, option("--robust", help="Also measure how often a choice survives typos, case and paraphrases.")
    ] = False,
    select: Annotated[
        bool, option("--select", help="Also measure cost and quality with k candidates where the router is unsure.")
    ] = False,
    judge_fleet: Annotated[
        Path | None,
        option("--judge-fleet", "DIR", "With --select: also keep the best by this fleet's reward; needs responses."),
    ] = None,
    plot: Annotated[Path | None, option("--plot", "FILE", "With --select: also plot it into an .html file.")] = None,
    prices: Annotated[
        Path | None, option("--prices", "DIR", "A fleet with usd_per_million_tokens: cost in dollars, not in calls.")
    ] = None,
    tokens: Annotated[
        int | None,
        option("--tokens", "N", "With --prices: length of responses that the files lack (default: 300 tokens)."),
    ] = None,
    willingness: Willingness = 0.0,
    strict: Strict = False,
    json: Json = False,
) -> None:
    check_plot(plot)
    if bool(router) == bool(fleet):
        raise ZooterError(
            "--router DIR, or --fleet DIR for its router", "both" if router else "neither", "Give one of them."
        )
    pricing.check_willingness(willingness)
    _check_needs("--select", select, {"--judge-fleet": judge_fleet, "--plot": plot})
    _check_needs("--fleet", fleet, {"--rmr": rmr})
    _check_needs("--prices", prices, {"--willingness": willingness, "--tokens": tokens is not None})
    if tokens is not None and tokens < 1:
        raise ZooterError("--tokens of at least 1", str(tokens), "Give a larger number.")
    table = open_scores(scores, strict)
    learned = open_scores(learned_from, strict) if learned_from else None
    texts = read_texts(scores, table) if judge_fleet or prices or rmr else []
    paid = pricing.prices_of(load_fleet(prices), table.candidates) if prices else None
    from zooter_core.evaluation import responses
    from zooter_core.evaluation.evaluate import evaluate as evaluate_router
    from zooter_core.evaluation.robustness import robustness

    for name, value in (("--judge-fleet", judge_fleet), ("--rmr", rmr)):
        if value:
            responses.check_complete(table, texts, name)
    loaded = _load_router(router, fleet)
    ranked = {"rmr": responses.best_scores(table, _rewards(fleet, table, texts))} if rmr else None
    figures = evaluate_router(loaded, table, learned, ranked)
    outputs = loaded.outputs([query.text for query in table.queries])  # the vectors are cached
    outputs = outputs.in_order([loaded.candidates.index(name) for name in table.candidates])
    costs = None
    if paid is not None:
        lengths = responses.token_counts(loaded.encoder, table, texts, tokens or pricing.TOKENS)
        costs = pricing.dollars(paid, lengths)
        figures["trade"] = pricing.trade(outputs.probabilities, table.scores, paid, costs, willingness)
    if select:
        figures["selection"] = selection.report(outputs, table.scores, costs=costs)
    if judge_fleet:
        columns = selection.ranking(outputs.probabilities)[:, : selection.MOST].tolist()
        judged = _rewards(judge_fleet, table, texts, columns)
        figures["selection"]["judge"] = selection.report(outputs, table.scores, judged, costs)
    if robust:
        figures["robustness"] = robustness(loaded, [query.text for query in table.queries])
    if plot:
        save_selection_plot(figures["selection"], plot)
    if json:
        print_json(figures)
    else:
        _print(figures)


def _print(figures: dict[str, Any]) -> None:
    print_evaluation(figures)
    if "trade" in figures:
        print_trade(figures["trade"])
    if "selection" in figures:
        print_selection(figures["selection"])


def _check_needs(needed: str, value: object, options: dict[str, object]) -> None:
    """Refuse options that are given without the one that they need."""
    for name, setting in options.items():
        if setting and not value:
            raise ZooterError(f"{needed} with {name}", f"{name} alone", f"Add {needed}, or leave {name} out.")


def _load_router(folder: Path | None, fleet: Path | None) -> Router:
    """The router of a folder, or else of a fleet.

    Raises:
        ZooterError: the fleet has none.
    """
    path: str | Path | None = folder
    if path is None:
        parts = open_fleet(fleet)
        if parts.router is None:
            raise ZooterError(f"a [router] table in fleet.toml of {parts.name}", "none", "Give --router DIR instead.")
        path = parts.router.path
    from zooter_core.router.encoder import Encoders
    from zooter_core.router.router import Router

    return Router.load(path, Encoders())


def _rewards(fleet: Path | None, scores: Scores, texts: Texts, columns: Sequence[Sequence[int]] | None = None) -> Array:
    """Rewards by a fleet, shape (n, N), with a note of the queries that have none."""
    from zooter_core.evaluation.responses import rewards

    ensemble = open_ensemble(fleet)
    with bars() as progress:
        table, reasons = rewards(ensemble, scores, texts, columns, progress)
    print_set_aside(reasons)
    return table
