"""Public benchmarks for the candidates to answer. A suite is one file with one class, and one line in SUITES."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zooter_core.base.plugins import load_kind
from zooter_core.evaluation.suites.reading import Problem, Record, read_problems
from zooter_core.labelling.rewards.judge import Judge

SUITES = {
    "gsm8k": "zooter_core.evaluation.suites.gsm8k:Gsm8k",
    "mmlu": "zooter_core.evaluation.suites.mmlu:Mmlu",
    "human-eval": "zooter_core.evaluation.suites.human_eval:HumanEval",
    "alpaca-eval": "zooter_core.evaluation.suites.alpaca_eval:AlpacaEval",
    "flask": "zooter_core.evaluation.suites.flask:Flask",
    "mt-bench": "zooter_core.evaluation.suites.mt_bench:MtBench",
}


Answered = tuple[Problem, tuple[str, ...]]  # a problem, and one response to each of its turns


class Suite:
    """How to read and score a benchmark.

    Attributes:
        judged, runs_code: whether its scores need a judge, or run the candidates' code.
        scale: the meaning of a score, in words.
        judge: to be set before `score` if `judged`.
        sandboxed: to be set to False before `score` if code is to run without a sandbox.
    """

    judged = False
    runs_code = False
    scale = ""
    judge: Judge
    sandboxed = True

    def read(self, paths: Sequence[Path]) -> list[Problem]:
        """The problems in the files of the public release.

        Raises:
            ZooterError: a record is wrong; the message names file, line and field.
        """
        return read_problems(paths, self.problem)

    def problem(self, record: Record) -> Problem:
        """The problem of a record."""
        raise NotImplementedError

    def scored_in(self) -> dict[str, bool]:
        """Whether code ran in a sandbox, for files and figures; empty for a suite that runs no code."""
        return {"sandbox": self.sandboxed} if self.runs_code else {}

    def score(self, answered: Sequence[Answered]) -> list[float]:
        """The score of each; an `Unscored` if it has none."""
        raise NotImplementedError


def suite(name: str) -> Suite:
    """A suite by its name."""
    benchmark: Suite = load_kind("suite", SUITES, name)()
    return benchmark
