"""`zooter bench`: a public benchmark, answered by every candidate and scored."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from zooter_core.cli.options import ensemble_of, err, generation_of, out, print_json, progress_bars, tell_set_aside
from zooter_core.config.fleet import Fleet, load_fleet
from zooter_core.config.labelling import NAMED, JudgeConfig
from zooter_core.data.runs import Run
from zooter_core.errors import ZooterError, listed
from zooter_core.evaluation.sandbox import runner
from zooter_core.evaluation.suites import Suite, outcome, suite
from zooter_core.evaluation.suites.work import Work, sample, work
from zooter_core.files import check_file
from zooter_core.labelling.rewards.judge import Judge


def bench(call: Namespace) -> None:
    """Answer a suite with every candidate of a fleet, score the responses, write a score file."""
    made = suite(call.suite)
    _check(call, made)
    problems = made.read([Path(path) for path in call.sources])
    asked = sample(problems, call.limit, call.seed)
    ensemble = ensemble_of(call)
    config = _judge(call, ensemble.fleet) if made.judged else None
    if config is not None:
        made.judge = Judge(config, ensemble.backend_of)
    call.temperature = call.temperature or 0.0  # greedy, where nothing else is said
    generation = generation_of(call, ensemble.fleet, seed=call.seed)
    with Run(f"{call.out}.run", create=True) as folder, progress_bars() as progress:
        job = Work(made, asked, ensemble, generation, folder, progress)
        work(job, call.suite, None if config is None else _settings(config))
    count = outcome.write(job, call.suite, Path(call.out))
    _show(call, outcome.figures(job, call.suite) | {"of": len(problems), "seed": call.seed, "out": call.out})
    err.print(f"{count} lines in {call.out}")


def _check(call: Namespace, made: Suite) -> None:
    """Refuse what cannot be, before the work."""
    if made.runs_code and not call.run_code:
        raise ZooterError(
            f"--run-code with --suite {call.suite}, which runs Python that the candidates write on this machine",
            "none",
            "Add --run-code. The code runs in a sandbox: docs/bench.md says what that holds.",
        )
    if made.runs_code and not call.no_sandbox and (reason := runner.missing()):
        raise ZooterError(
            "a sandbox for the code of --run-code",
            f"none: {reason}",
            "Use a system that has one (docs/bench.md), or add --no-sandbox: then the code can read, change and send "
            "whatever your account can, and only its time, memory and output are limited.",
        )
    made.sandboxed = not call.no_sandbox
    if made.judged and not (call.judge or call.judge_fleet):
        raise ZooterError(
            f"a judge for --suite {call.suite}",
            "none",
            "Add --judge NAME, a candidate of the fleet, or --judge-fleet DIR.",
        )
    for option, given, needed in (
        ("--run-code", call.run_code, made.runs_code),
        ("--no-sandbox", call.no_sandbox, made.runs_code),
        ("--judge", call.judge, made.judged),
        ("--judge-fleet", call.judge_fleet, made.judged),
    ):
        if given and not needed:
            raise ZooterError(f"no {option} with --suite {call.suite}", option, "Leave it out.")
    if call.limit is not None and call.limit < 1:
        raise ZooterError("--limit of at least 1", str(call.limit), "Mend it.")
    if not call.out.endswith((".jsonl", ".jsonl.gz")):
        raise ZooterError("--out as a file that ends in .jsonl or .jsonl.gz", call.out, "Rename it.")
    check_file(Path(call.out))


def _judge(call: Namespace, own: Fleet) -> JudgeConfig:
    """The judge that a call names: a candidate, or the judge in another fleet's [reward]."""
    fleet = load_fleet(call.judge_fleet) if call.judge_fleet else own
    if call.judge:
        return JudgeConfig(fleet.candidate(call.judge))
    if isinstance(fleet.reward, JudgeConfig):
        config = fleet.reward
        return config if config.template in NAMED else replace(config, template=None)  # suites have their own
    if len(fleet.candidates) == 1:
        return JudgeConfig(fleet.candidates[0])
    raise ZooterError(
        f"a [reward] of kind judge, or one candidate, in {call.judge_fleet}",
        f"{len(fleet.candidates)} candidates",
        f"Add --judge with one of {listed(fleet.pool)}.",
    )


def _settings(config: JudgeConfig) -> dict[str, Any]:
    """What shapes a judge's verdicts."""
    shaping = ("backend", "model", "adapter", "revision", "prompt_template", "dtype", "quantisation")
    known = {key: value for key, value in asdict(config.judge).items() if key in shaping}
    return known | {"template": config.template, "tries": config.tries, "max_new_tokens": config.max_new_tokens}


def _show(call: Namespace, figures: dict[str, Any]) -> None:
    if call.json:
        print_json(figures)
        return
    drawn = figures["n"] + len(figures["set_aside"])
    said = f"a sample of {drawn} of {figures['of']:,}, seed {figures['seed']}" if drawn < figures["of"] else "all"
    out.print(f"{figures['suite']}: {figures['scale']}; n = {figures['n']} ({said})")
    if not figures.get("sandbox", True):
        out.print("scored without a sandbox: the code of the candidates may have changed its scores")
    table = Table("candidate", "score", "95% interval")
    for name, row in figures["candidates"].items():
        low, high = row["interval"]
        table.add_row(name, f"{row['score']:.3f}", f"{low:.3f} to {high:.3f}")
    out.print(table)
    tell_set_aside(figures["set_aside"], "scores")
