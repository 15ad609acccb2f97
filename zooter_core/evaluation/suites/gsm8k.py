"""Suite `gsm8k`: word problems (arXiv 2110.14168), scored by the final number.

The release has JSON lines with `question` and `answer`, a worked solution that ends in "#### 18".
"""

from __future__ import annotations

from zooter_core.evaluation.suites import Problem, Record, Suite
from zooter_core.evaluation.verified.answers import MARKED, first_number


class Gsm8k(Suite):
    """The score is 1 if the final number is right, else 0."""

    scale = "share of right final numbers"

    def problem(self, record: Record) -> Problem:
        marked = MARKED.findall(record.text("answer"))
        number = first_number(marked[-1]) if marked else None
        if number is None:
            raise record.wrong(["answer"], 'a solution that ends in "#### NUMBER"')
        key = {"answer": {"number": str(number)}}
        return Problem(record.id, (record.text("question", "query"),), key, ("gsm8k",))
