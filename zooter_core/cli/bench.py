"""`zooter bench`: a public benchmark, answered by every candidate and scored."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from zooter_core.base.errors import ZooterError
from zooter_core.base.files import check_file
from zooter_core.cli.consoles import bars, err, print_figures, print_note, print_set_aside
from zooter_core.cli.consoles import out as console
from zooter_core.cli.fleets import open_ensemble
from zooter_core.cli.options import FleetDir, Json, MaxNewTokens, Seed, check_unused, generation_of, option
from zooter_core.config.fleet import load_fleet
from zooter_core.config.labelling import JudgeConfig
from zooter_core.data.runs import Run
from zooter_core.evaluation import suites
from zooter_core.evaluation.sandbox import runner
from zooter_core.evaluation.suites import Suite, judge_of, judge_settings
from zooter_core.evaluation.verdicts import ends
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.labelling.rewards.judge import Judge
from zooter_core.pipeline import bench as results
from zooter_core.pipeline.bench import SuiteJob, answer_and_score, sample

SUITES = "gsm8k, mmlu, human-eval, alpaca-eval, flask, mt-bench"


def bench(
    context: typer.Context,
    suite: Annotated[str, option("--suite", "NAME", f"Benchmark: {SUITES}.")],
    sources: Annotated[list[Path], option("--from", "FILE...", "The benchmark's own files, plain or .gz.")],
    out: Annotated[Path, option("--out", "FILE", "Score file to write, .jsonl or .jsonl.gz; FILE.run keeps the work.")],
    limit: Annotated[
        int | None, option("--limit", "N", "Use a random sample of N problems (default: all).", min=1)
    ] = None,
    judge: Annotated[
        str | None, option("--judge", "NAME", "alpaca-eval, flask, mt-bench: a candidate of the fleet as judge.")
    ] = None,
    judge_fleet: Annotated[
        Path | None, option("--judge-fleet", "DIR", "Fleet of the judge, if it is another one.")
    ] = None,
    run_code: Annotated[bool, option("--run-code", help="human-eval: run the candidates' code in a sandbox.")] = False,
    no_sandbox: Annotated[
        bool, option("--no-sandbox", help="human-eval: run it without the sandbox, with your own rights.")
    ] = False,
    seed: Seed = 0,
    temperature: Annotated[float, option("--temperature", "X", "Sampling temperature; 0 is greedy.", min=0)] = 0.0,
    max_new_tokens: MaxNewTokens = None,
    fleet: FleetDir = None,
    json: Json = False,
) -> None:
    benchmark = suites.suite(suite)
    if not benchmark.runs_code:
        check_unused(context, f"with --suite {suite}", "run_code", "no_sandbox")
    if not benchmark.judged:
        check_unused(context, f"with --suite {suite}", "judge", "judge_fleet")
    _check_code(suite, benchmark, run_code, no_sandbox)
    _check_judge(suite, benchmark, judge, judge_fleet)
    if not out.name.endswith((".jsonl", ".jsonl.gz")):
        raise ZooterError("--out as a file that ends in .jsonl or .jsonl.gz", str(out), "Rename it.")
    check_file(out, sources)
    problems = benchmark.read(sources)
    drawn = sample(problems, limit, seed)
    ensemble = open_ensemble(fleet, answering=True)
    config = _set_judge(benchmark, ensemble, judge, judge_fleet) if benchmark.judged else None
    generation = generation_of(ensemble.fleet.generation, temperature, max_new_tokens, seed)
    with Run(f"{out}.run", create=True) as folder, bars() as progress:
        job = SuiteJob(benchmark, drawn, ensemble, generation, folder, progress, print_note, progress.watch)
        answer_and_score(job, suite, None if config is None else judge_settings(config))
    count = results.write(job, suite, out)
    figures = results.figures(job, suite) | {"of": len(problems), "seed": seed, "out": str(out)}
    print_figures(figures, json, _print)
    err.print(f"{count} lines in {out}")


def _check_code(name: str, suite: Suite, run_code: bool, no_sandbox: bool) -> None:
    """Refuse to run code that nobody allowed, or without the sandbox that the call expects."""
    if not suite.runs_code:
        return
    suite.sandboxed = not no_sandbox
    if not run_code:
        raise ZooterError(
            f"--run-code with --suite {name}, which runs Python that the candidates write on this machine",
            "none",
            "Add --run-code. The code runs in a sandbox: docs/bench.md says what it prevents.",
        )
    if not no_sandbox and (reason := runner.missing()):
        raise ZooterError(
            "a sandbox for the code of --run-code",
            f"none: {reason}",
            "docs/bench.md lists its requirements. Or add --no-sandbox: then the code can read, change and send "
            "whatever your account can, and only its time, memory and output are limited.",
        )


def _check_judge(name: str, suite: Suite, judge: str | None, fleet: Path | None) -> None:
    """Refuse a call without the judge that the suite needs."""
    if suite.judged and not (judge or fleet):
        raise ZooterError(
            f"a judge for --suite {name}", "none", "Add --judge NAME, a candidate of the fleet, or --judge-fleet DIR."
        )


def _set_judge(suite: Suite, ensemble: Ensemble, name: str | None, fleet: Path | None) -> JudgeConfig:
    config = judge_of(load_fleet(fleet) if fleet else ensemble.fleet, name)
    suite.judge = Judge(config, ensemble.backend_of)
    return config


def _print(figures: dict[str, Any]) -> None:
    drawn = figures["n"] + len(figures["set_aside"])
    part = f"a sample of {drawn} of {figures['of']:,}, seed {figures['seed']}" if drawn < figures["of"] else "all"
    console.print(f"{figures['suite']}: {figures['scale']}; n = {figures['n']} ({part})")
    if not figures.get("sandbox", True):
        console.print("scored without a sandbox: the candidates' code may have changed its scores")
    table = Table("candidate", "score", "95% interval")
    for name, row in figures["candidates"].items():
        table.add_row(name, f"{row['score']:.3f}", ends(row["interval"], ".3f"))
    console.print(table)
    print_set_aside(figures["set_aside"], "scores")
