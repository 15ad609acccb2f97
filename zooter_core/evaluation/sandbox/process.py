"""The two processes of a run, inside the sandbox: the worker executes untrusted code, the checker gives the verdict.

The code can change everything in the worker's process. This affects only the messages that the worker sends, which the
checker treats as data. Values are sent as JSON. Lists, strings, booleans, None, floats and ordinary integers keep their
form; any other value is an object whose only key is its type: `{"tuple": [1, 2]}`. An instance of a subclass is sent as
its base type, for example a Counter as a dict.

This module imports little (no `dataclasses`, `typing` or `subprocess`), because each run starts new processes.
"""

from __future__ import annotations

import builtins
import ctypes
import json
import os
import resource
import signal
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

TYPE_CHECKING = False  # typing takes long to import
if TYPE_CHECKING:
    from typing import Any

    Message = dict[str, Any]

LONGEST_REASON = 300  # characters
OPEN_FILES = 32
EXIT_SECONDS = 1  # the time for a worker to end after it has closed its channel
SET_DUMPABLE, SET_SECCOMP, FILTER = 4, 22, 2  # numbers of prctl


LARGE = 1 << 53  # larger integers are sent in hexadecimal, since Python is slow with long decimals and limits them
# Type -> functions that convert its values to values that can be sent, and back.
KINDS: dict[str, tuple[type, Callable[[Any], object], Callable[[Any], object]]] = {
    "tuple": (tuple, list, tuple),
    "set": (set, list, set),
    "frozenset": (frozenset, list, frozenset),
    "deque": (deque, list, deque),
    "dict": (dict, lambda value: [list(pair) for pair in value.items()], dict),
    "keys": (type({}.keys()), lambda view: dict(view.mapping), dict.keys),
    "values": (type({}.values()), lambda view: dict(view.mapping), dict.values),
    "items": (type({}.items()), lambda view: dict(view.mapping), dict.items),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
    "bytearray": (bytearray, bytearray.hex, bytearray.fromhex),
    "complex": (complex, lambda value: [value.real, value.imag], lambda parts: complex(*parts)),
    "range": (range, lambda value: [value.start, value.stop, value.step], lambda parts: range(*parts)),
}
READERS: dict[str, Callable[[Any], object]] = {
    **{name: read for name, (_, _, read) in KINDS.items()},
    "int": lambda text: int(text, 16),
    "iterator": lambda items: iter(list(items)),
    "Fraction": lambda text: __import__("fractions").Fraction(text),  # imported when needed
    "Decimal": lambda text: __import__("decimal").Decimal(text),
}


def pack(value: object, most: int) -> object:
    """A value in a form that `json` can write.

    Args:
        most: the most items of an iterator, which is unpacked as an iterator over these items.

    Raises:
        TypeError: the value, or a part of it, has a type that cannot be sent, such as a function.
        ValueError: an iterator has more items.
    """
    if value is None or isinstance(value, bool | str | float):
        return value
    if isinstance(value, int):
        return int(value) if -LARGE < value < LARGE else {"int": hex(value)}
    if isinstance(value, list):
        return [pack(item, most) for item in value]
    for name, (kind, content, _) in KINDS.items():
        if isinstance(value, kind):
            return {name: pack(content(value), most)}
    if isinstance(value, Iterator):
        items = list(islice(value, most + 1))
        if len(items) > most:
            raise ValueError(f"an iterator gives more than {most:,} items")
        return {"iterator": pack(items, most)}
    name = type(value).__name__
    if (type(value).__module__, name) in (("fractions", "Fraction"), ("decimal", "Decimal")):
        return {name: str(value)}
    raise TypeError(f"a value of type {name} cannot leave the sandbox")


def unpack(data: object) -> object:
    """The inverse of `pack`.

    Raises:
        Exception: any error, if the data was not created by `pack`.
    """
    if isinstance(data, list):
        return [unpack(item) for item in data]
    if not isinstance(data, dict):
        return data
    ((name, content),) = data.items()
    return READERS[name](unpack(content))


def update(old: object, new: object) -> object:
    """Set the content of a mutable value to that of another in place, also in the lists and dicts that it contains.

    Returns:
        `old` if it could be changed, otherwise `new`.
    """
    if isinstance(old, list) and isinstance(new, list):
        old[:] = [*map(update, old, new), *new[len(old) :]]
    elif isinstance(old, dict) and isinstance(new, dict):
        content = {key: update(old[key], value) if key in old else value for key, value in new.items()}
        old.clear()
        old.update(content)
    elif isinstance(old, bytearray) and isinstance(new, bytearray):
        old[:] = new
    elif (isinstance(old, set) and isinstance(new, set)) or (isinstance(old, deque) and isinstance(new, deque)):
        old.clear()
        (old.update if isinstance(old, set) else old.extend)(new)
    else:
        return new
    return old


class LostError(BaseException):
    """The other process has ended, or sent unreadable data. `except Exception` in a check does not catch this error."""


class Channel:
    """One end of a connection by two pipes, which transfers JSON objects of at most `most` bytes, one per line.

    Pipes are used because a socket could also transfer file descriptors and credentials. `send` and `receive` raise
    LostError.
    """

    def __init__(self, read: int, write: int, most: int) -> None:
        self.most = most
        self._reader = open(read, "rb")  # noqa: SIM115  (open for as long as the process lives)
        self._writer = open(write, "wb")  # noqa: SIM115

    def send(self, message: Message) -> None:
        line = json.dumps(message).encode() + b"\n"
        try:
            self._writer.write(line)
            self._writer.flush()
        except OSError as problem:
            raise LostError(f"nobody reads what is sent ({problem})") from problem

    def receive(self) -> Message:
        try:
            line = self._reader.readline(self.most)
            message = json.loads(line) if line.endswith(b"\n") else None
        except (OSError, ValueError, RecursionError) as problem:
            raise LostError("it sent bytes that are no message") from problem
        if isinstance(message, dict):
            return message
        if message is None and len(line) == self.most:
            raise LostError(f"more than {self.most:,} bytes returned")
        raise LostError("it ended before its check did" if message is None else "it sent bytes that are no message")


def serve(channel: Channel) -> None:
    """Run the worker: answer the checker's requests, first to execute the code, then to call its function."""
    space: dict[str, Any] = {"__name__": "response"}
    while True:
        try:
            request = channel.receive()
        except LostError:  # the checker has ended
            return
        try:
            reply = _execute(request, space, channel.most // 2)
        except BaseException as problem:  # the code may raise any exception, also SystemExit
            reply = _failure(problem)
        channel.send(reply)


def _execute(request: Message, space: dict[str, Any], most: int) -> Message:
    if "code" in request:
        exec(compile(request["code"], "response", "exec"), space)
        return {}
    name = request["call"]
    if name not in space:
        raise NameError(f"name {name!r} is not defined")
    arguments: Any = unpack(request["arguments"])
    keywords: Any = unpack(request["keywords"])
    reply = {"value": pack(space[name](*arguments, **keywords), most)}
    try:
        changed = pack(arguments, most)
    except Exception:  # an argument contains a value that cannot be sent: the checker's argument stays unchanged
        return reply
    return reply if changed == request["arguments"] else reply | {"arguments": changed}


def _failure(problem: BaseException) -> Message:
    """The reply for an exception: its type's name and its arguments, without arguments if they cannot be sent."""
    name = type(problem).__name__
    try:
        return {"error": [name, [pack(item, 100) for item in problem.args]]}
    except BaseException:  # the code's exception may raise any exception here
        return {"error": [name, []]}


class Worker(Channel):
    """The checker's end of the connection to the worker. `lost` is the reason why it has failed, or ""."""

    lost = ""

    def __init__(self, read: int, write: int, most: int, process: int) -> None:
        super().__init__(read, write, most)
        self._process = process

    def ended(self) -> str:
        """A message with the signal that has ended the worker's process; "" if it was not ended by a signal."""
        for _ in range(100 * EXIT_SECONDS):
            has_ended, status = os.waitpid(self._process, os.WNOHANG)
            if has_ended:
                return f"ended by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else ""
            time.sleep(0.01)
        return ""

    def call(self, name: str, arguments: tuple[object, ...], keywords: dict[str, object]) -> object:
        """Call a function of the code. Returns its result or raises its exception, and updates mutable arguments."""
        most = self.most // 2
        request = {"call": name, "arguments": pack(list(arguments), most), "keywords": pack(keywords, most)}
        value, changed = self.ask(request)
        update(list(arguments), changed)
        return value

    def ask(self, request: Message) -> tuple[object, object]:
        """Send a request and wait for its value and the changed arguments.

        Raises:
            LostError: there is no readable reply.
            BaseException: the exception that the code has raised.
        """
        try:
            if self.lost:
                raise LostError(self.lost)
            self.send(request)
            reply = self.receive()
            problem = _exception(*reply["error"]) if "error" in reply else None
            value, changed = unpack(reply.get("value")), unpack(reply.get("arguments"))
        except LostError as lost:
            self.lost = str(lost)
            raise
        except Exception as unreadable:
            self.lost = "it sent a value that cannot be read"
            raise LostError(self.lost) from unreadable
        if problem is not None:
            raise problem
        return value, changed


def _exception(name: str, packed: list[object]) -> BaseException:
    """The built-in exception of that name; for an exception that the code defines, one of a new type of that name."""
    name, arguments = str(name)[:LONGEST_REASON], [unpack(argument) for argument in packed]
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, BaseException):
        try:
            return kind(*arguments)
        except Exception:  # such as an exception group, whose arguments cannot be sent
            pass
    return type(name, (Exception,), {})(*arguments)


def verdict(worker: Worker, job: Message) -> Message:
    """Run the code in the worker and the check in this process. The job has the arguments of `runner.run`."""
    name = job["function"]

    def function(*arguments: object, **keywords: object) -> object:
        return worker.call(name, arguments, keywords)

    function.__name__ = function.__qualname__ = name
    space: dict[str, object] = {"__name__": "check"}
    reason = ""
    try:
        worker.ask({"code": job["code"]})
        exec(compile(job["setup"], "setup", "exec"), space)
        space[name] = function
        exec(compile(job["check"], "check", "exec"), space)
    except MemoryError:
        reason = "out of memory"
    except BaseException as problem:  # raised by the check, or by the code in its function
        reason = f"{type(problem).__name__}: {problem}"
    if worker.lost:  # the check may have caught LostError
        reason = worker.ended() or worker.lost
    return {"passed": not reason, "reason": reason[:LONGEST_REASON]}


def main(user: int, system_calls: bytes, limits: Message) -> None:
    """Drop privileges, start the worker, and run the checker. Does not return.

    The checker reports to stdout when both processes are ready, reads its job from stdin, and reports the verdict. If
    the process that started it has ended, it gets no job, so that no code runs without a process that can stop it.

    Args:
        user: the user to switch to if this process runs as root; 0 if bubblewrap has already changed the user.
        system_calls: the filter of system calls for both processes, which they cannot remove.
        limits: the fields of `runner.Limits`.
    """
    sys.dont_write_bytecode = True
    os.environ.clear()
    if user:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        os.listdir(os.path.dirname(os.__file__))  # raises if other users cannot read the standard library
    (worker_reads, to_worker), (checker_reads, to_checker) = os.pipe(), os.pipe()
    report, null = os.dup(1), os.open(os.devnull, os.O_RDWR)
    if process := os.fork():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the worker could send it
        others, silent = [worker_reads, to_checker], [1]
    else:
        os.setsid()  # so that signals to its group do not reach the checker
        others, silent = [to_worker, checker_reads, report], [0, 1, 2]
    for descriptor in silent:
        os.dup2(null, descriptor)
    for descriptor in (*others, null):
        os.close(descriptor)
    set_limits(limits)
    confine(system_calls)
    if not process:
        checker = Channel(worker_reads, to_checker, limits["output"])
        checker.send({})
        serve(checker)
        os._exit(0)
    worker = Worker(checker_reads, to_worker, limits["output"], process)
    worker.receive()  # the worker is ready
    os.write(report, b"{}\n")
    os.dup2(1, 2)  # discard later errors, which come from the check
    os.write(report, json.dumps(verdict(worker, json.loads(sys.stdin.readline()))).encode() + b"\n")
    os._exit(0)


def confine(system_calls: bytes) -> None:
    """Install the filter for system calls, and prevent tracing of this process by the other one."""
    libc, instructions = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(system_calls)
    program = struct.pack("HP", len(system_calls) // 8, ctypes.addressof(instructions))
    for number, value, content in ((SET_DUMPABLE, 0, None), (SET_SECCOMP, FILTER, program)):
        if libc.prctl(number, ctypes.c_ulong(value), content, None, None):
            raise OSError(ctypes.get_errno(), f"prctl {number}: {os.strerror(ctypes.get_errno())}")


def set_limits(limits: Message) -> None:
    """Set resource limits, except for those that are already lower."""
    values = {
        "RLIMIT_CPU": 1 + int(limits["seconds"]),  # the limit of wall-clock time comes first, with a better message
        "RLIMIT_AS": limits["memory"],
        "RLIMIT_FSIZE": limits["disk"],
        "RLIMIT_NOFILE": OPEN_FILES,
        "RLIMIT_NPROC": 0,  # no more processes or threads
        "RLIMIT_CORE": 0,
    }
    for name, most in values.items():
        try:
            resource.setrlimit(getattr(resource, name), (most, most))
        except ValueError:
            continue
