"""Suite `mmlu`: multiple choice (arXiv 2009.03300), scored by the letter.

Files have `question`, `choices` (up to ten) and `answer`, a letter or the number of the right choice, from 0.
"""

from __future__ import annotations

from zooter_core.base.errors import ZooterError
from zooter_core.evaluation.suites import Problem, Record, Suite
from zooter_core.evaluation.verified.answers import LETTERS


class Mmlu(Suite):
    """The score is 1 if the letter is right, else 0."""

    scale = "share of right letters"

    def problem(self, record: Record) -> Problem:
        question, choices = record.text("question", "query").strip(), record.texts("choices", "options")
        right = record.get("answer", "answer_index")
        letters = LETTERS[: len(choices)]
        if isinstance(right, int) and not isinstance(right, bool) and 0 <= right < len(letters):
            right = letters[right]
        right = right.strip().upper() if isinstance(right, str) else right
        if right not in tuple(letters):
            raise record.wrong(
                ["answer"], f"a letter from A to {letters[-1]}, or a number from 0 to {len(letters) - 1}"
            )
        if len(choices) > len(LETTERS):
            raise ZooterError(f"at most {len(LETTERS)} choices of {record.id}", str(len(choices)), "Remove the line.")
        lines = [f"{mark}. {choice}" for mark, choice in zip(LETTERS, choices, strict=False)]
        query = "\n".join([question, *lines, "Answer with the letter of the right choice."])
        subject = record.text_or_none("subject", "category") or "mmlu"
        key = {"answer": {"choice": right, "choices": choices}}
        return Problem(record.id, (query,), key, (subject.replace("_", " "),))
