"""`zooter bench`: lets every candidate answer a public benchmark, and scores the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from zooter_core.base.errors import ZooterError
from zooter_core.base.files import check_file
from zooter_core.cli.bars import bars
from zooter_core.cli.consoles import err, print_figures, print_note, print_set_aside
from zooter_core.cli.consoles import out as console
from zooter_core.cli.fleets import open_ensemble
from zooter_core.cli.options import (
    FLEET,
    JSON,
    MAX_NEW_TOKENS,
    SEED,
    argument,
    check_unused,
    choose_generation,
    flag,
    option,
)
from zooter_core.data.runs import Run
from zooter_core.evaluation import suites
from zooter_core.evaluation.sandbox import runner
from zooter_core.evaluation.suites.judged import find_judge, judge_settings
from zooter_core.evaluation.verdicts import ends
from zooter_core.labelling.rewards.judge import Judge
from zooter_core.pipeline import bench as results
from zooter_core.pipeline.bench import SuiteJob, answer_and_score, sample


def bench(
    context: typer.Context,
    suite: str = argument("SUITE", f"Benchmark: {', '.join(suites.SUITES)}."),
    sources: list[Path] = option("FILE...", "The benchmark's own files, plain or .gz.", name="--from", default=...),
    out: Path = option("FILE", "Score file to write, .jsonl or .jsonl.gz; FILE.run stores the run.", default=...),
    limit: int | None = option("N", "Use a random sample of N problems (default: all).", min=1),
    judge: str | None = option(
        "NAME|DIR", "alpaca-eval, flask, mt-bench: the judge, a candidate of the fleet or the folder of another fleet."
    ),
    run_code: bool = flag("--run-code", "human-eval: run the candidates' code in a sandbox."),
    seed: int = SEED,
    temperature: float = option("X", "Sampling temperature; 0 is greedy.", min=0, default=0.0),
    max_new_tokens: int | None = MAX_NEW_TOKENS,
    fleet: Path | None = FLEET,
    json: bool = JSON,
) -> None:
    benchmark = suites.suite(suite)
    if not benchmark.runs_code:
        check_unused(context, f"with {suite}", "run_code")
    if not benchmark.judged:
        check_unused(context, f"with {suite}", "judge")
    elif not judge:
        step = "Add --judge NAME, a candidate of the fleet, or --judge DIR, another fleet."
        raise ZooterError(f"a judge for {suite}", "none", step)
    if benchmark.runs_code:
        _check_code(suite, run_code)
    if not out.name.endswith((".jsonl", ".jsonl.gz")):
        raise ZooterError("--out as a file that ends in .jsonl or .jsonl.gz", str(out), "Rename it.")
    check_file(out, sources)
    problems = benchmark.read(sources)
    drawn = sample(problems, limit, seed)
    ensemble = open_ensemble(fleet)
    config = find_judge(ensemble.fleet, judge) if judge else None
    if config:
        benchmark.judge = Judge(config, ensemble.open_backend)
    generation = choose_generation(ensemble.fleet.generation, temperature, max_new_tokens, seed)
    with Run(f"{out}.run", create=True) as folder, bars() as progress:
        job = SuiteJob(suite, benchmark, drawn, ensemble, generation, folder, progress, print_note, progress.watch)
        answer_and_score(job, None if config is None else judge_settings(config))
    count = results.write(job, out)
    figures = results.figures(job) | {"of": len(problems), "seed": seed, "out": str(out)}
    print_figures(figures, json, _print)
    err.print(f"{count} line{'' if count == 1 else 's'} in {out}")


def _check_code(suite: str, run_code: bool) -> None:
    """Refuse to run untrusted code without --run-code or without a sandbox."""
    if not run_code:
        raise ZooterError(
            f"--run-code with {suite}, which runs Python that the candidates write on this machine",
            "none",
            "Add --run-code. The code runs in a sandbox; docs/bench.md describes what it prevents.",
        )
    if reason := runner.missing():
        step = "docs/bench.md lists the requirements."
        raise ZooterError("a sandbox for the code of --run-code", f"none: {reason}", step)


def _print(figures: dict[str, Any]) -> None:
    drawn = figures["n"] + len(figures["set_aside"])
    part = f"a sample of {drawn} of {figures['of']:,}, seed {figures['seed']}" if drawn < figures["of"] else "all"
    console.print(f"{figures['suite']}: {figures['scale']}; n = {figures['n']} ({part})")
    table = Table("candidate", "score", "95% interval")
    for name, row in figures["candidates"].items():
        table.add_row(name, f"{row['score']:.3f}", ends(row["interval"], ".3f"))
    console.print(table)
    print_set_aside(figures["set_aside"], "scores")
