"""Suite `human-eval`: Python functions (arXiv 2107.03374), scored by the unit tests of the file.

The release has JSON lines with `task_id`, `prompt` (a signature and a docstring), `entry_point`, `test` (a function
`check`) and `canonical_solution`. A model's code runs in `zooter_core.evaluation.sandbox`, never in this process.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from zooter_core.evaluation.sandbox import runner
from zooter_core.evaluation.suites import Answered, Problem, Record, Suite

QUERY = "Complete this Python function. Give the whole function in one block of code.\n\n```python\n{prompt}\n```"
BLOCK = re.compile(r"```[^\n`]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
TRIES = 50  # beginnings of a response to parse
BEGINS = re.compile(r"(?:from|import|def|class|async def)\b|@\w")


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
        key = {"prompt": prompt, "entry_point": name, "test": test}
        return Problem(record.id, (QUERY.format(prompt=prompt.rstrip()),), key, ("python function",))

    def score(self, answered: Sequence[Answered]) -> list[float]:
        return [float(self._passes(problem.key, texts[-1])) for problem, texts in answered]

    def _passes(self, key: dict[str, str], text: str) -> bool:
        """Whether a response's function passes the tests, which may use the prompt's names."""
        prompt, name = key["prompt"], key["entry_point"]
        return runner.run(
            program(text, prompt, name),
            f"{key['test']}\n\ncheck({name})\n",
            name,
            setup=_stub(prompt),
            sandboxed=self.sandboxed,
        ).passed


def program(text: str, prompt: str, name: str) -> str:
    """The code to test: the prompt, then the response's function, or its body if the response continues the prompt.

    The prompt stays, because it has imports and functions that the response may use; the response's function replaces
    the prompt's.
    """
    blocks = BLOCK.findall(text)
    defines = re.compile(rf"^[ \t]*(?:async )?def {re.escape(name)}\b", re.MULTILINE)
    code = next((block for block in blocks if defines.search(block)), blocks[0] if blocks else text)
    if defines.search(code):
        return f"{_stub(prompt)}\n\n{_parsing(code)}\n"
    return prompt.rstrip() + "\n" + _body(code) + "\n"


def _stub(prompt: str) -> str:
    """The prompt as a program: its last function does nothing."""
    return f"{prompt.rstrip()}\n    pass\n"


def _parsing(code: str) -> str:
    """The longest part that parses, from the first line of code: there may be prose around it."""
    lines = code.splitlines()
    first = next((row for row, line in enumerate(lines) if BEGINS.match(line)), 0)
    last = len(lines)
    for _ in range(TRIES):
        part = "\n".join(lines[first:last])
        try:
            ast.parse(part)
            return part
        except SyntaxError as problem:  # no part beyond the wrong line parses
            last = min(last - 1, first + max(problem.lineno or 0, 1) - 1)
        except (ValueError, RecursionError, MemoryError):
            last -= 1
        if last <= first:
            break
    return code


def _body(code: str) -> str:
    """The lines that continue the function: up to the first that is not indented."""
    body: list[str] = []
    for line in code.expandtabs(4).splitlines():
        if line.strip() and not line.startswith(" "):
            break
        body.append(line)
    return "\n".join(body) if any(line.strip() for line in body) else "    pass"
