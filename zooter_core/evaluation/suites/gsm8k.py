"""Suite `gsm8k`: word problems (arXiv 2110.14168), scored by the final number.

The release has JSON lines with `question` and `answer`, a worked solution that ends in "#### 18".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from zooter_core.evaluation.suites import Answered, Problem, Record, Suite

DIGITS = re.compile(r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+")
MINUS = re.compile(r"(?<!\w)(?<![\d)\]%])(?<![\d)\]%]\s)[-−][$€£]?$|[$€£][-−]$")  # no hyphen, no subtraction
MARKED = re.compile(r"####(.*)")
BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
ANSWER = re.compile(r"\banswer(?:\s+is|\s*[:=])(.*)", re.IGNORECASE)


class Gsm8k(Suite):
    """The score is 1 if the final number is right, else 0."""

    scale = "share of right final numbers"

    def problem(self, record: Record) -> Problem:
        marked = MARKED.findall(record.text("answer"))
        number = _first(marked[-1]) if marked else None
        if number is None:
            raise record.wrong(["answer"], 'a solution that ends in "#### NUMBER"')
        return Problem(record.id, (record.text("question", "query"),), str(number), ("gsm8k",))

    def score(self, answered: Sequence[Answered]) -> list[float]:
        return [float(final_number(texts[-1]) == Decimal(problem.key)) for problem, texts in answered]


def final_number(text: str) -> Decimal | None:
    """The final number of a response; None if it has none.

    That is the last marked number ("#### 18", a box, "the answer is 18"), or else the last number. "$1,234.50" is
    1234.5, and units are ignored.
    """
    for pattern in (MARKED, BOXED, ANSWER):
        for part in reversed(pattern.findall(text)):
            after = part.rpartition("=")[2] if _numbers(part.rpartition("=")[2]) else part
            if (number := _first(after)) is not None:
                return number
    numbers = _numbers(text)
    return numbers[-1] if numbers else None


def _first(text: str) -> Decimal | None:
    numbers = _numbers(text)
    return numbers[0] if numbers else None


def _numbers(text: str) -> list[Decimal]:
    """The numbers of a text; a minus directly before one counts unless it is a subtraction ("10-5" is 10 and 5)."""
    numbers = []
    for match in DIGITS.finditer(text):
        value = Decimal(match.group().replace(",", ""))
        negative = MINUS.search(text[max(0, match.start() - 5) : match.start()])
        numbers.append(-value if negative else value)
    return numbers
