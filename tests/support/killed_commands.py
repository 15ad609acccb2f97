"""Commands that die: killed_commands CALL ... (a program of support.warm_process)

A CALL is "STEP:COUNT" and the arguments of a zooter command, with tabs between them: its process kills itself (SIGKILL)
when the step has reported progress COUNT times; where STEP is `install`, before the COUNT-th renaming with which an
exam puts its router into the fleet. With "STEP:COUNT:SIGNAL", a step ends by another signal. A call without
"STEP:COUNT" lives. Each runs in a process forked from this one, one after the other. Prints how each call ended, a line
per call. An exam has 16 queries.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from support.run_folders import small_batches
from zooter_core.cli.bars import Lines
from zooter_core.cli.main import main
from zooter_core.fleet import skills
from zooter_core.pipeline import exam


def killing(step: str, count: int, number: int = signal.SIGKILL) -> Callable[..., None]:
    """Stands in for `Lines`, and kills when a step has reported progress so many times."""
    remaining = count

    def show(lines: object, name: str, done: int, total: int) -> None:
        nonlocal remaining
        remaining -= name == step
        if not remaining:
            remaining = -1
            os.kill(os.getpid(), number)

    return show


def installing(count: int) -> Callable[[Path, Path], None]:
    """Stands in for `exam.install`, and kills before it renames a file or folder for the COUNT-th time."""
    remaining, install = count, exam.install

    def dying_before(rename: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def renamed(path: Path, target: Path) -> Path:
            nonlocal remaining
            remaining -= 1
            if not remaining:
                os.kill(os.getpid(), signal.SIGKILL)
            return rename(path, target)

        return renamed

    def installed(fleet: Path, run: Path) -> None:
        Path.replace = dying_before(Path.replace)  # type: ignore[method-assign]
        Path.rename = dying_before(Path.rename)  # type: ignore[method-assign]
        install(fleet, run)

    return installed


def run_call(call: list[str]) -> int:
    step, _, count = call[0].partition(":")
    if not count:
        return main(call)
    if step == "install":
        exam.install = installing(int(count))
    else:
        Lines.__call__ = killing(step, *map(int, count.split(":")))  # type: ignore[method-assign]
    return main(call[1:])


def ended(child: int) -> str:
    _, status = os.waitpid(child, 0)
    return f"killed {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"ended {os.WEXITSTATUS(status)}"


def run_all(calls: list[str]) -> int:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs this in the background ignores it
    small_batches(pytest.MonkeyPatch())
    few = skills.starter_queries()[:16]
    skills.starter_queries = lambda quick=False: few
    for call in calls:
        child = os.fork()
        if not child:
            os._exit(run_call(call.split("\t")))
        print(ended(child), flush=True)
    return 0
