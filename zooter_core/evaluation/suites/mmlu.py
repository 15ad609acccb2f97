"""Suite `mmlu`: multiple choice (arXiv 2009.03300), scored by the letter.

The release has a CSV file for each subject, without a header: question, A, B, C, D, the right letter. JSON lines have
`question`, `choices` (up to ten) and `answer`, a letter or the number of the right choice, from 0.
"""

from __future__ import annotations

import csv
import re
import string
from collections.abc import Iterator, Sequence
from pathlib import Path

from zooter_core.base.errors import ZooterError
from zooter_core.base.jsonl import DAMAGE, open_text
from zooter_core.evaluation.suites import Answered, Problem, Record, Suite, distinct, records

LETTERS = string.ascii_uppercase[:10]
PARTS = re.compile(r"_(?:test|val|dev|auxiliary_train)$")  # of a file's name, after its subject
COLUMNS = 6
MARK = r"[(\[{*_\"'`\s]*+"  # before a letter: brackets, bold, quotes
ANSWER = re.compile(  # possessive `*+`: two patterns for the same spaces would otherwise try every way to share them
    r"\banswer\b(?:\s++(?:is|must be|would be|should be)\b)?(?:\s*+[:=])?(?:\s*+(?:choice|option|letter)\b)?\s*+:?+"
    rf"{MARK}([A-J])(?![\w'’])(?P<after>.?.?)",
    re.IGNORECASE,
)
ALONE = re.compile(rf"{MARK}([A-J])[)\]}}*_\"'`\s.:,]*", re.IGNORECASE)
LEADS = re.compile(r"\s*\**[(\[]?([A-J])[)\].:,]")
OPTION = re.compile(rf"\b(?:[Oo]ption|[Cc]hoice){MARK}([A-J])(?![\w'’])")
BRACKETED = re.compile(r"\(([A-J])\)")
BARE = re.compile(r"(?<![\w'’(])([B-HJ])(?![\w'’])")  # A and I are words


class Mmlu(Suite):
    """The score is 1 if the letter is right, else 0."""

    scale = "share of right letters"

    def read(self, paths: Sequence[Path]) -> list[Problem]:
        problems: list[tuple[Problem, str]] = []
        for path in paths:
            tabular = path.name.endswith((".csv", ".csv.gz"))
            problems += _of_csv(path) if tabular else [(_of_record(record), record.place) for record in records(path)]
        return distinct(problems, paths)

    def score(self, answered: Sequence[Answered]) -> list[float]:
        return [
            float(letter(texts[-1], problem.key["choices"]) == problem.key["letter"]) for problem, texts in answered
        ]


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
    except (csv.Error, *DAMAGE) as problem:
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
    return Problem(name, (query,), {"letter": right, "choices": list(choices)}, (subject.replace("_", " "),))


def letter(text: str, choices: Sequence[str]) -> str | None:
    """The letter that a response chooses; None if it is unclear.

    "B", "(B)", "B. 12", "Answer: B", "The answer is B because ..."; else the only choice whose text it quotes.
    """
    letters = LETTERS[: len(choices)]
    if (alone := ALONE.fullmatch(text)) and alone.group(1).upper() in letters:
        return alone.group(1).upper()
    for match in reversed(list(ANSWER.finditer(text))):
        if match.group(1).upper() in letters and not _is_article(match):
            return match.group(1).upper()
    if (leads := LEADS.match(text)) and leads.group(1) in letters:
        return leads.group(1)
    for pattern in (OPTION, BRACKETED, BARE):
        marks = {mark for mark in pattern.findall(text) if mark in letters}
        if len(marks) == 1:
            return marks.pop()
    quoted = [
        mark
        for mark, choice in zip(letters, choices, strict=True)
        if choice.strip() and re.search(rf"(?<!\w){re.escape(choice.strip())}(?!\w)", text, re.IGNORECASE)
    ]
    return quoted[0] if len(quoted) == 1 else None


def _is_article(match: re.Match[str]) -> bool:
    """Whether the letter is the word "a" or "i", as in "the answer is a little odd"."""
    mark, after = match.group(1), match.group("after")
    if mark.islower():
        return not (after == "" or after[0] in ").]:,*")
    return mark == "I" and bool(re.match(r"\s[a-z]", after))
