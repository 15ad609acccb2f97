"""Suite `mmlu`: multiple choice (arXiv 2009.03300), scored by the letter.

The release has a CSV file for each subject, without a header: question, A, B, C, D, the right letter. JSON lines have
`question`, `choices` (up to ten) and `answer`, a letter or the number of the right choice, from 0.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from zooter_core.base.errors import ZooterError
from zooter_core.data.json_records import open_text
from zooter_core.evaluation.suites import Problem, Record, Suite, distinct, records
from zooter_core.evaluation.verified.answers import LETTERS

PARTS = re.compile(r"_(?:test|val|dev|auxiliary_train)$")  # of a file's name, after its subject
COLUMNS = 6


class Mmlu(Suite):
    """The score is 1 if the letter is right, else 0."""

    scale = "share of right letters"

    def read(self, paths: Sequence[Path]) -> list[Problem]:
        problems: list[tuple[Problem, str]] = []
        for path in paths:
            tabular = path.name.endswith((".csv", ".csv.gz"))
            problems += _of_csv(path) if tabular else [(_of_record(record), record.place) for record in records(path)]
        return distinct(problems, paths)


def _of_record(record: Record) -> Problem:
    choices = record.texts("choices", "options")
    right = record.get("answer", "answer_index")
    letters = LETTERS[: len(choices)]
    if isinstance(right, int) and not isinstance(right, bool) and 0 <= right < len(letters):
        right = letters[right]
    if not isinstance(right, str) or right.strip().upper() not in tuple(letters):
        raise record.wrong(["answer"], f"a letter from A to {letters[-1]}, or a number from 0 to {len(letters) - 1}")
    subject = record.text_or_none("subject", "category") or "mmlu"
    return _problem(record.id, record.text("question", "query"), choices, right.strip().upper(), subject)


def _of_csv(path: Path) -> Iterator[tuple[Problem, str]]:
    stem, number = path.name.split(".")[0], 0
    try:
        with open_text(path, "a file of MMLU (.csv or JSON lines)", newline="") as lines:
            rows = csv.reader(lines, strict=True)
            for number, row in enumerate(rows, 1):
                place = f"{path}, line {rows.line_num}"
                yield _row(row, place, f"{stem}/{number:05d}", PARTS.sub("", stem)), place
    except csv.Error as problem:
        raise ZooterError(f"a readable CSV file {path}", f"{problem} after row {number}", "Get it again.") from problem


def _row(row: Sequence[str], place: str, name: str, subject: str) -> Problem:
    if len(row) != COLUMNS:
        expected = f"{COLUMNS} columns in {place}: question, A, B, C, D, answer"
        raise ZooterError(expected, str(len(row)), "Give a CSV file of MMLU's release, or correct the line.")
    question, *choices, right = row
    if right.strip() not in tuple("ABCD"):
        raise ZooterError(
            f"the answer as A, B, C or D in column {COLUMNS} of {place}",
            repr(right)[:40],
            "Remove a line with column names; the release has none.",
        )
    return _problem(name, question, choices, right.strip(), subject)


def _problem(name: str, question: str, choices: Sequence[str], right: str, subject: str) -> Problem:
    if len(choices) > len(LETTERS):
        raise ZooterError(f"at most {len(LETTERS)} choices of {name}", str(len(choices)), "Remove the line.")
    lines = [f"{mark}. {choice}" for mark, choice in zip(LETTERS, choices, strict=False)]
    query = "\n".join([question.strip(), *lines, "Answer with the letter of the right choice."])
    key = {"answer": {"choice": right, "choices": list(choices)}}
    return Problem(name, (query,), key, (subject.replace("_", " "),))
