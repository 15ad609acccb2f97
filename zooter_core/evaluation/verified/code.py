"""Checks the code of a response by unit tests. Both run in `zooter_core.evaluation.sandbox`."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Mapping
from typing import Any

from zooter_core.base.errors import ZooterError, one_line
from zooter_core.evaluation.sandbox import runner

BLOCK = re.compile(r"```[^\n`]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
TRIES = 50  # the most start lines from which to parse a response
BEGINS = re.compile(r"(?:from|import|def|class|async def)\b|@\w")


def judged(text: str, tests: Any) -> tuple[bool, str]:
    """Whether the function in a response passes its tests, and the reason.

    Args:
        tests: an object with `function`, `code` and optionally `prompt`, or asserts as one text or several.

    Raises:
        SandboxError: there is no sandbox.
    """
    if isinstance(tests, Mapping):
        name, check, prompt = tests["function"], tests["code"], tests.get("prompt") or ""
    else:
        name, check = asserted(tests if isinstance(tests, str) else "\n".join(tests))
        prompt = ""
    verdict = runner.run(program(text, prompt, name), check, name, setup=_stub(prompt))
    if verdict.passed:
        return True, f"{name} passes its tests."
    return False, f"{name} fails its tests: {one_line(verdict.reason).rstrip(': .')}."


def asserted(text: str) -> tuple[str, str]:
    """The function that asserts test, and a check program in which each assert has its source as the message.

    The function is the first name that the asserts call and that is not a built-in of Python.

    Raises:
        ZooterError: the asserts do not parse, or call no such function.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        tree = ast.Module([], [])
    asserts = [node for node in tree.body if isinstance(node, ast.Assert)]
    calls = [node for one in asserts for node in ast.walk(one) if isinstance(node, ast.Call)]
    names = [(call.lineno, call.col_offset, call.func.id) for call in calls if isinstance(call.func, ast.Name)]
    name = next((name for _, _, name in sorted(names) if not hasattr(builtins, name)), None)
    if name is None:
        raise ZooterError("asserts such as `assert add(1, 2) == 3` in `tests`", one_line(text), "Correct the key.")
    for node in asserts:
        node.msg = node.msg or ast.Constant(ast.unparse(node.test))
    return name, ast.unparse(ast.fix_missing_locations(tree))


def program(text: str, prompt: str, name: str) -> str:
    """The code to test: the prompt, then the response's function, or its body if the response continues the prompt.

    The prompt is kept, because the response may use its imports and functions.
    """
    defines = re.compile(rf"^[ \t]*(?:async )?def {re.escape(name)}\b", re.MULTILINE)
    blocks = BLOCK.findall(text)
    code = next((block for block in blocks if defines.search(block)), blocks[0] if blocks else text)
    if defines.search(code) or not defines.search(prompt):
        return f"{_stub(prompt)}\n\n{_parsing(code)}\n"
    return prompt.rstrip() + "\n" + _body(code) + "\n"


def _stub(prompt: str) -> str:
    """The prompt as a program: if its last function has no body, it gets one that does nothing."""
    try:
        ast.parse(prompt)
        return prompt
    except SyntaxError:
        return f"{prompt.rstrip()}\n    pass\n"


def _parsing(code: str) -> str:
    """The longest part that parses, from the first line of code. Prose before and after it is dropped."""
    lines = code.splitlines()
    first = next((row for row, line in enumerate(lines) if BEGINS.match(line)), 0)
    last = len(lines)
    for _ in range(TRIES):
        part = "\n".join(lines[first:last])
        try:
            ast.parse(part)
            return part
        except SyntaxError as problem:  # parts that include the wrong line do not parse
            last = min(last - 1, first + max(problem.lineno or 0, 1) - 1)
        except (ValueError, RecursionError, MemoryError):
            last -= 1
        if last <= first:
            break
    return code


def _body(code: str) -> str:
    """The lines that continue the function, up to the first line that is not indented."""
    body: list[str] = []
    for line in code.expandtabs(4).splitlines():
        if line.strip() and not line.startswith(" "):
            break
        body.append(line)
    return "\n".join(body) if any(line.strip() for line in body) else "    pass"
