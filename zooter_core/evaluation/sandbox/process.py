"""What the worker and the checker do from their start on: shut themselves in, then begin. `runner` starts both.

Kept light, since two of these start for every run: no `dataclasses`, no `typing`, no `subprocess`.
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
    """Read the job from stdin, and work on it. Does not return."""
    job = json.load(sys.stdin)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    sys.dont_write_bytecode = True
    read, write = map(os.dup, job["channel"])  # low numbers
    for descriptor in job["channel"]:
        os.close(descriptor)
    channel = Channel(read, write, job["output"])
    if "check" in job:
        _check(channel, job)
    else:
        _work(channel, job)
    os._exit(0)


def _check(channel: Channel, job: Job) -> None:
    """The checker: what it writes to stdout is read by `runner`, a line a message."""
    out = os.dup(1)
    os.dup2(0, 1)

    def say(message: dict[str, object]) -> None:
        os.write(out, json.dumps(message).encode() + b"\n")

    if problem := _shut_in(job):
        say({"problem": problem})
        return
    try:
        first = channel.receive()  # of the worker, before it has any code
    except ChannelError as lost:
        first = {"problem": f"the worker ended while it started ({lost})"}
    say(first)
    if "problem" not in first:
        say(verdict(channel, job))


def _work(channel: Channel, job: Job) -> None:
    if problem := _shut_in(job):
        channel.send({"problem": problem})
        return
    channel.send({"ready": True})
    serve(channel)


def _shut_in(job: Job) -> str:
    """Set the limits and, in a sandbox, leave everything else behind. Returns what is in the way; "" if nothing."""
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
    """The system's resource limits; one that it does not have is passed over."""
    seconds = 1 + int(job["seconds"])  # the clock's limit comes first, and says so
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
