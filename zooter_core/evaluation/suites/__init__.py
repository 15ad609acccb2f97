"""Public benchmarks (suites) for the candidates to answer. A suite is one class, and one line in SUITES.

This module reads the files of all suites. Its error messages contain the file, the line and the field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.plugins import load_kind
from zooter_core.data.json_records import each_record
from zooter_core.evaluation.verified import verify
from zooter_core.labelling.rewards.judge import Judge

SUITES = {
    "gsm8k": "zooter_core.evaluation.suites.keyed:Gsm8k",
    "mmlu": "zooter_core.evaluation.suites.keyed:Mmlu",
    "human-eval": "zooter_core.evaluation.suites.keyed:HumanEval",
    "alpaca-eval": "zooter_core.evaluation.suites.judged:AlpacaEval",
    "flask": "zooter_core.evaluation.suites.judged:Flask",
    "mt-bench": "zooter_core.evaluation.suites.judged:MtBench",
}
IDS = ("id", "task_id", "question_id", "idx")


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a suite."""

    id: str
    turns: tuple[str, ...]  # the user's messages; the first is the query of the score file
    key: Any  # an answer key (`zooter_core.evaluation.verified`); in judged suites, the data for the judge
    tags: tuple[str, ...] = ()  # the subjects in the file


class Record:
    """One record, whose fields have different names in different releases. Fields of a wrong type are ZooterErrors."""

    def __init__(self, values: dict[str, Any], place: str, fallback: str) -> None:
        self.values, self.place = values, place  # such as "file, line 3"
        ids = (values[name] for name in IDS if isinstance(values.get(name), str | int))
        self.id = str(next(ids, fallback))

    def get(self, *names: str) -> Any:
        """The value of the first of these fields that is not null; None if there is none."""
        return next((self.values[name] for name in names if self.values.get(name) is not None), None)

    def wrong(self, names: Sequence[str], expected: str) -> ZooterError:
        """The error for a wrong or missing field, for the caller to raise."""
        field = " or ".join(f'"{name}"' for name in names)
        value = self.get(*names)
        fields = listed(list(self.values)[:8]) or "none"
        shown = f"no such field (fields: {fields})" if value is None else repr(value)[:60]
        return ZooterError(
            f"{field} as {expected} in {self.place}", shown, "Give a file of the suite's release, or correct the line."
        )

    def text(self, *names: str) -> str:
        """A text that is not empty."""
        value = self.get(*names)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(names, "a text that is not empty")
        return value

    def text_or_none(self, *names: str) -> str | None:
        """`text`, or None if the field is missing, null or empty."""
        return None if self.get(*names) in (None, "") else self.text(*names)

    def texts(self, *names: str) -> list[str]:
        """A list of at least one text."""
        value = self.get(*names)
        if not isinstance(value, list) or not value or not all(isinstance(text, str) and text for text in value):
            raise self.wrong(names, "a list of texts")
        return value


Answered = tuple[Problem, tuple[str, ...]]  # a problem, and one response to each of its turns


class Suite:
    """How to read and score a benchmark."""

    judged = False  # whether scoring needs a judge
    runs_code = False  # whether scoring runs the candidates' code
    scale = ""  # the meaning of a score, in words
    judge: Judge  # must be set before `score` if `judged`

    def read(self, paths: Sequence[Path]) -> list[Problem]:
        """The problems in the files of the public release.

        Raises:
            ZooterError: a record is wrong (the message contains the file, the line and the field), two records have the
                same id, or there are no records.
        """
        problems: dict[str, Problem] = {}
        places: dict[str, str] = {}
        for path in paths:
            for number, (place, values) in enumerate(each_record(path), 1):
                problem = self.problem(Record(values, place, f"{path.name.split('.')[0]}/{number:05d}"))
                if problem.id in problems:
                    doubled = f'"{problem.id}" in {places[problem.id]} and in {place}'
                    raise ZooterError("different ids in all files", doubled, "Name each file once, or remove the line.")
                problems[problem.id], places[problem.id] = problem, place
        if not problems:
            raise ZooterError("at least one record", f"none in {listed(map(str, paths))}", "Check --from.")
        return list(problems.values())

    def problem(self, record: Record) -> Problem:
        raise NotImplementedError

    def scored_in(self) -> dict[str, bool]:
        """A note for files and figures that code ran in a sandbox; empty for suites that do not run code."""
        return {"sandbox": True} if self.runs_code else {}

    def score(self, answered: Sequence[Answered]) -> list[float]:
        """The score of each problem: 1 if the last response is right by the key, 0 if not, an `Unscored` on failure."""
        return [float(verify(texts[-1], problem.key).right) for problem, texts in answered]


def suite(name: str) -> Suite:
    return load_kind("suite", SUITES, name)()
