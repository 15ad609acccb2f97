"""The checker: executes the trusted check, sends its function calls to the worker, and gives the verdict."""

from __future__ import annotations

import builtins
from collections.abc import Callable

from zooter_core.evaluation.sandbox.channel import Channel, ChannelError
from zooter_core.evaluation.sandbox.values import pack, unpack, update

TYPE_CHECKING = False  # typing takes long to import
if TYPE_CHECKING:
    from typing import Any

LONGEST_REASON = 300  # characters


class WorkerLostError(BaseException):
    """The worker no longer answers. No `except Exception` in a check catches this."""


def verdict(channel: Channel, job: dict[str, object]) -> dict[str, object]:
    """Run the code in the worker and the check here: `{"passed": bool, "reason": str, "lost": bool}`.

    Args:
        job: `code`, the untrusted program; `setup` and `check`, the trusted ones; `function`, the name of the function
            that the code defines and the check calls.
    """
    worker = Worker(channel)
    name = str(job["function"])
    space: dict[str, object] = {"__name__": "check"}
    try:
        worker.ask({"code": job["code"]})
        exec(compile(str(job["setup"]), "setup", "exec"), space)
        space[name] = worker.function(name)
        exec(compile(str(job["check"]), "check", "exec"), space)
    except MemoryError:
        return {"passed": False, "reason": "out of memory", "lost": False}
    except BaseException as problem:  # of the check, or of the code through its function
        reason = worker.lost or f"{type(problem).__name__}: {problem}"
        return {"passed": False, "reason": reason[:LONGEST_REASON], "lost": bool(worker.lost)}
    return {"passed": not worker.lost, "reason": worker.lost, "lost": bool(worker.lost)}


class Worker:
    """The worker as the check sees it.

    Attributes:
        lost: why the worker no longer answers; "" as long as it does.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.lost = ""

    def function(self, name: str) -> Callable[..., object]:
        """A function that the worker executes, with the same result, exception and changes to its arguments."""
        most = self.channel.most // 2

        def function(*arguments: object, **keywords: object) -> object:
            request = {"call": name, "arguments": pack(list(arguments), most), "keywords": pack(keywords, most)}
            reply = self.ask(request)
            try:
                value = unpack(reply.get("value"))
                changed = unpack(reply.get("arguments", []))
            except Exception as problem:
                raise self._lose("it sent a value that cannot be read") from problem
            if isinstance(changed, list):
                update(list(arguments), changed)
            return value

        function.__name__ = function.__qualname__ = name
        return function

    def ask(self, request: dict[str, object]) -> dict[str, object]:
        """Send a request and wait for its reply.

        Raises:
            WorkerLostError: no readable reply comes.
            BaseException: the untrusted code raised it.
        """
        if self.lost:
            raise WorkerLostError(self.lost)
        try:
            self.channel.send(request)
            reply = self.channel.receive()
            problem = None
            if "error" in reply:
                problem = _exception(reply["error"])
        except ChannelError as lost:
            raise self._lose(str(lost)) from lost
        except Exception as lost:
            raise self._lose("it sent an exception that cannot be read") from lost
        if problem is not None:
            raise problem
        return reply

    def _lose(self, reason: str) -> WorkerLostError:
        self.lost = reason
        return WorkerLostError(reason)


def _exception(error: Any) -> BaseException:
    """A built-in exception from its name and arguments; a new type of that name for one that the code defines."""
    name, arguments = str(error[0])[:LONGEST_REASON], [unpack(argument) for argument in error[1]]
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, BaseException):
        try:
            return kind(*arguments)
        except Exception:  # such as a group of exceptions, whose arguments do not travel
            pass
    return type(name, (Exception,), {})(*arguments)
