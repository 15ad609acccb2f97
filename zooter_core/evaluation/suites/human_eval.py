"""Suite `human-eval`: Python functions (arXiv 2107.03374), scored by the unit tests of the file.

The release has JSON lines with `task_id`, `prompt` (a signature and a docstring), `entry_point`, `test` (a function
`check`) and `canonical_solution`. A model's code runs in `zooter_core.evaluation.sandbox`, never in this process.
"""

from __future__ import annotations

from zooter_core.evaluation.suites import Problem, Record, Suite

QUERY = "Complete this Python function. Give the whole function in one block of code.\n\n```python\n{prompt}\n```"
CALL = "\n\ncheck({name})\n"


class HumanEval(Suite):
    """The score is 1 if all tests pass, else 0."""

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
