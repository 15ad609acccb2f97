"""Public benchmarks that the candidates answer here. A suite is one file with one class, and one line in SUITES."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zooter_core.labelling.rewards.judge import Judge
from zooter_core.plugins import load_kind

SUITES = {
    "gsm8k": "zooter_core.evaluation.suites.gsm8k:Gsm8k",
    "mmlu": "zooter_core.evaluation.suites.mmlu:Mmlu",
    "human-eval": "zooter_core.evaluation.suites.human_eval:HumanEval",
    "alpaca-eval": "zooter_core.evaluation.suites.alpaca_eval:AlpacaEval",
    "flask": "zooter_core.evaluation.suites.flask:Flask",
    "mt-bench": "zooter_core.evaluation.suites.mt_bench:MtBench",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One task of a suite.

    Attributes:
        turns: what is asked, turn after turn; the first one is the query of the score file.
        key: what the suite scores by, as JSON has it.
        tags: what the file says the task is about.
    """

    id: str
    turns: tuple[str, ...]
    key: Any
    tags: tuple[str, ...] = ()


Answered = tuple[Problem, tuple[str, ...]]  # a problem, and one response to each of its turns


class Suite:
    """How a benchmark is read and scored.

    Attributes:
        judged, runs_code: what its scores need.
        scale: what a score is, in words.
        judge: set before `score` is called where `judged`.
        sandboxed: set to False before `score` is called where code is to run without a sandbox.
    """

    judged = False
    runs_code = False
    scale = ""
    judge: Judge
    sandboxed = True

    def read(self, paths: Sequence[Path]) -> list[Problem]:
        """The problems in the files of its public release.

        Raises:
            ZooterError: a record is wrong; the message names file, line and field.
        """
        raise NotImplementedError

    def scored_in(self) -> dict[str, bool]:
        """Whether code was executed in a sandbox, for files and figures; nothing of a suite that executes none."""
        return {"sandbox": self.sandboxed} if self.runs_code else {}

    def score(self, answered: Sequence[Answered]) -> list[float]:
        """A score of each; an `Unscored` where there is none."""
        raise NotImplementedError


def suite(name: str) -> Suite:
    """A suite by its name.

    Raises:
        ZooterError: there is no such suite.
    """
    made: Suite = load_kind("suite", SUITES, name)()
    return made
