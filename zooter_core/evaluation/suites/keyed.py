"""The suites that are scored by an answer key, without a judge: `gsm8k`, `mmlu` and `human-eval`."""

from __future__ import annotations

from zooter_core.base.errors import ZooterError
from zooter_core.evaluation.suites import Problem, Record, Suite
from zooter_core.evaluation.verified.answers import LETTERS, MARKED, first_number

QUERY = "Complete this Python function. Give the whole function in one block of code.\n\n```python\n{prompt}\n```"
CALL = "\n\ncheck({name})\n"


class Gsm8k(Suite):
    """Word problems (arXiv 2110.14168). The score is 1 if the final number is right, otherwise 0.

    The release has JSON lines with `question` and `answer`, a worked solution that ends in "#### 18".
    """

    scale = "share of right final numbers"

    def problem(self, record: Record) -> Problem:
        marked = MARKED.findall(record.text("answer"))
        number = first_number(marked[-1]) if marked else None
        if number is None:
            raise record.wrong(["answer"], 'a solution that ends in "#### NUMBER"')
        key = {"answer": {"number": str(number)}}
        return Problem(record.id, (record.text("question", "query"),), key, ("gsm8k",))


class Mmlu(Suite):
    """Multiple choice (arXiv 2009.03300). The score is 1 if the letter is right, otherwise 0.

    Files have `question`, `choices` (up to ten) and `answer`, which is a letter or the index of the right choice.
    """

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


class HumanEval(Suite):
    """Python functions (arXiv 2107.03374). The score is 1 if all unit tests of the file pass, otherwise 0.

    The release has JSON lines with `task_id`, `prompt` (a signature and a docstring), `entry_point`, `test` (a function
    `check`) and `canonical_solution`. A model's code runs in `zooter_core.evaluation.sandbox`, never in this process.
    """

    runs_code = True
    scale = "share of functions that pass their tests"

    def problem(self, record: Record) -> Problem:
        prompt, name = record.text("prompt", "query"), record.text("entry_point")
        test = record.text("test")
        if not name.isidentifier():
            raise record.wrong(["entry_point"], "the name of a function")
        if "def check(" not in test:
            raise record.wrong(["test"], "Python with a function check")
        key = {"tests": {"function": name, "code": test + CALL.format(name=name), "prompt": prompt}}
        return Problem(record.id, (QUERY.format(prompt=prompt.rstrip()),), key, ("python function",))
