"""`zooter sweep`: routers over a range of beta and tau, on score files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from rich.table import Table

from zooter_core.base.files import check_file, open_atomic
from zooter_core.base.strict_json import dump_json
from zooter_core.cli import options
from zooter_core.cli.consoles import bars, print_figures
from zooter_core.cli.consoles import out as console
from zooter_core.cli.fleets import open_fleet
from zooter_core.cli.options import option
from zooter_core.cli.plots import check_plot, save_sweep_plot
from zooter_core.evaluation import verdicts
from zooter_core.evaluation.figures import Sweep
from zooter_core.router.kinds import DistillConfig


def sweep(
    scores: options.ScoreFiles,
    fleet: options.FleetDir = None,
    beta: Annotated[str, option("--beta", "LIST", "Weights of the plain label.")] = "0,0.1,0.3,0.5,0.7,0.9,1",
    tau: Annotated[str | None, option("--tau", "LIST", "Softmax temperatures of rewards (default: 0.3).")] = None,
    normalise: Annotated[
        str | None,
        option("--normalise", "NAME", "Normalisation of rewards: spread (default), none, zscore, zscore-dataset."),
    ] = None,
    tagger: options.Tagger = "auto",
    plot: Annotated[
        Path | None, option("--plot", "FILE", "Also plot the table into an .html file (extra: plots).")
    ] = None,
    out: Annotated[
        Path | None, option("--out", "FILE", "Also write it as JSON; the demo shows a fleet's sweep.json.")
    ] = None,
    folds: Annotated[int, option("--folds", "N", "Folds of the cross-validation.")] = 5,
    seeds: Annotated[int, option("--seeds", "N", "Repetitions, each with other folds.")] = 3,
    strict: options.Strict = False,
    json: options.Json = False,
) -> None:
    check_plot(plot)
    if out:
        check_file(out, scores)
    table = options.open_scores(scores, strict)
    from zooter_core.evaluation.sweep import SweepConfig
    from zooter_core.evaluation.sweep import sweep as sweep_of
    from zooter_core.pipeline.train import SCORE_LABELS
    from zooter_core.router.encoder import open_encoder

    betas = options.numbers_of("--beta", beta)
    taus = options.numbers_of("--tau", tau) if tau else (SCORE_LABELS.tau,)
    config = SweepConfig(betas, taus, normalise or SCORE_LABELS.normalise, folds, seeds)
    encoder = open_encoder(open_fleet(fleet).encoder)
    texts = [query.text for query in table.queries]
    with bars() as progress:
        vectors = encoder.embed_all(texts, lambda done: progress("embed", done, len(texts)))
        tags = options.tags_of(table, tagger, vectors, fleet)
        figures = sweep_of(table, tags, vectors, config, DistillConfig(), progress)
    if plot:
        save_sweep_plot(figures, plot)
    if out:
        with open_atomic(out) as file:
            file.write(dump_json(figures.to_json(), indent=2) + "\n")
    print_figures(figures, json, print_sweep)


def print_sweep(figures: Sweep) -> None:
    title = f"{figures.n} queries, each held back once per seed; {figures.folds} folds, {figures.seeds} seeds"
    columns = ("beta", "tau", "score", "95% interval", "regret", "minus best, 95%")
    table = Table(*columns, title=title, title_justify="left")
    for row in figures.rows:
        minus = "" if figures.is_best(row) else verdicts.ends(row.minus_best, ".3f")
        figures_of_row = (f"{row.mean:.4f}", verdicts.ends(row.interval, ".3f"), f"{row.regret:.4f}")
        table.add_row(f"{row.beta:g}", f"{row.tau:g}", *figures_of_row, minus)
    console.print(table)
    for sentence in verdicts.of_sweep(figures):
        console.print(sentence)
