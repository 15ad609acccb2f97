"""Commands that die: python -m support.killed_commands [--together] CALL ...

A CALL is "STEP:COUNT" and the arguments of a zooter command, with tabs between them: its process kills itself (SIGKILL)
when the step has reported progress COUNT times, or, where STEP is `line`, when COUNT lines have been formatted for a
file. A call without "STEP:COUNT" lives. Each runs in a process forked from this one, which has imported what they need
and run nothing; `--together` runs all at the same time. Prints how each call ended, a line per call.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

from support.run_folders import small_batches
from support.warm_process import import_all
from zooter_core.base.strict_json import dump_json
from zooter_core.cli.consoles import Lines
from zooter_core.cli.main import main
from zooter_core.data import formats


def dying(count: int) -> Callable[..., str]:
    """Stands in for dump_json, and kills after so many lines."""
    remaining = count

    def dump(*arguments: Any, **options: Any) -> str:
        nonlocal remaining
        remaining -= 1
        if not remaining:
            os.kill(os.getpid(), signal.SIGKILL)
        return dump_json(*arguments, **options)

    return dump


def killing(step: str, count: int) -> Callable[..., None]:
    """Stands in for `Lines`, and kills when a step has reported progress so many times."""
    remaining = count

    def show(lines: object, name: str, done: int, total: int) -> None:
        nonlocal remaining
        remaining -= name == step
        if not remaining:
            os.kill(os.getpid(), signal.SIGKILL)

    return show


def run_call(call: list[str]) -> int:
    step, _, count = call[0].partition(":")
    if not count:
        return main(call)
    if step == "line":
        formats.dump_json = dying(int(count))  # type: ignore[attr-defined]
    else:
        Lines.__call__ = killing(step, int(count))  # type: ignore[method-assign]
    return main(call[1:])


def ended(child: int) -> str:
    _, status = os.waitpid(child, 0)
    return f"killed {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"ended {os.WEXITSTATUS(status)}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    import_all()
    small_batches(pytest.MonkeyPatch())
    calls = sys.argv[1:]
    if together := calls[:1] == ["--together"]:
        calls = calls[1:]
    children = []
    for call in calls:
        children.append(os.fork())
        if not children[-1]:
            os._exit(run_call(call.split("\t")))
        if not together:
            print(ended(children.pop()))
    for child in children:
        print(ended(child))
