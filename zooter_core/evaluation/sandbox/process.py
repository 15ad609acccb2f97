"""The main function of the worker and the checker: enter the sandbox, then begin. `runner` starts both.

It imports little (no `dataclasses`, `typing` or `subprocess`), because two of these processes start for every run.
"""

from __future__ import annotations

import json
import os
import resource
import sys

from zooter_core.evaluation.sandbox import namespaces, system_calls
from zooter_core.evaluation.sandbox.channel import Channel, ChannelError
from zooter_core.evaluation.sandbox.checker import verdict
from zooter_core.evaluation.sandbox.worker import serve

TYPE_CHECKING = False  # typing takes long to import
if TYPE_CHECKING:
    from typing import Any

    Job = dict[str, Any]

OPEN_FILES = 32


def main() -> None:
    """Read the job from stdin and do it. Does not return."""
    job = json.load(sys.stdin)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    sys.dont_write_bytecode = True
    read, write = map(os.dup, job["channel"])  # low numbers
    for descriptor in job["channel"]:
        os.close(descriptor)
    channel = Channel(read, write, job["output"])
    try:
        if "check" in job:
            _check(channel, job)
        else:
            _serve_worker(channel, job)
    finally:
        if job["folder"]:  # there is no sandbox, and whoever started this process may have been killed
            from shutil import rmtree

            rmtree(job["folder"], ignore_errors=True)
    os._exit(0)


def _check(channel: Channel, job: Job) -> None:
    """The checker: `runner` reads its messages from stdout, one on each line."""
    out = os.dup(1)
    os.dup2(0, 1)

    def report(message: dict[str, object]) -> None:
        os.write(out, json.dumps(message).encode() + b"\n")

    if problem := _isolate(job):
        report({"problem": problem})
        return
    try:
        first = channel.receive()  # from the worker, before it has any code
    except ChannelError as lost:
        first = {"problem": f"the worker ended while it started ({lost})"}
    report(first)
    if "problem" not in first:
        report(verdict(channel, job))


def _serve_worker(channel: Channel, job: Job) -> None:
    if problem := _isolate(job):
        channel.send({"problem": problem})
        return
    channel.send({"ready": True})
    serve(channel)


def _isolate(job: Job) -> str:
    """Set the resource limits and enter the sandbox, if there is one. Returns the problem, or ""."""
    try:
        if job["sandboxed"]:
            namespaces.enter(job["parent"], job["shared"], job["disk"], job["files"], job["longest"])
        set_limits(job)
        if job["sandboxed"]:
            system_calls.restrict()
    except Exception as problem:
        return str(problem).partition("] ")[2] or str(problem) or type(problem).__name__  # without "[Errno 28] "
    return ""


def set_limits(job: Job) -> None:
    """Set resource limits; those that the system does not have are skipped."""
    seconds = 1 + int(job["seconds"])  # of the processor: the clock's limit comes first, with a better message
    limits = {
        "RLIMIT_CPU": seconds,
        "RLIMIT_AS": job["memory"],
        "RLIMIT_FSIZE": job["disk"],
        "RLIMIT_NOFILE": OPEN_FILES,
        "RLIMIT_NPROC": 0,  # no further process or thread
        "RLIMIT_CORE": 0,
    }
    for name, most in limits.items():
        try:
            resource.setrlimit(getattr(resource, name), (most, most))
        except (AttributeError, OSError, ValueError):
            continue
