"""The worker: executes untrusted code and calls its function for the checker.

The code can change this module, `json` or the descriptors, but thereby only the messages that the worker sends. The
checker treats every message as data.
"""

from __future__ import annotations

from zooter_core.evaluation.sandbox.channel import Channel, ChannelError
from zooter_core.evaluation.sandbox.values import pack, unpack


def serve(channel: Channel) -> None:
    """Answer the checker's requests until it closes the channel: first the code to execute, then function calls."""
    space: dict[str, object] = {"__name__": "response"}
    while True:
        try:
            request = channel.receive()
        except ChannelError:
            return
        try:
            reply = _execute(request, space) if "code" in request else _call(request, space, channel.most // 2)
        except BaseException as problem:  # the code may raise anything, SystemExit too
            reply = _failure(problem)
        try:
            channel.send(reply)
        except (TypeError, ValueError, RecursionError, MemoryError) as problem:
            channel.send({"error": [type(problem).__name__, [str(problem)]]})


def _execute(request: dict[str, object], space: dict[str, object]) -> dict[str, object]:
    exec(compile(str(request["code"]), "response", "exec"), space)
    return {"value": None}


def _call(request: dict[str, object], space: dict[str, object], most: int) -> dict[str, object]:
    name = str(request["call"])
    if name not in space:
        raise NameError(f"name {name!r} is not defined")
    arguments, keywords = unpack(request["arguments"]), unpack(request["keywords"])
    assert isinstance(arguments, list)
    assert isinstance(keywords, dict)
    function = space[name]
    reply = {"value": pack(function(*arguments, **keywords), most)}  # type: ignore[operator]
    try:
        changed = pack(arguments, most)
    except Exception:  # an argument now holds something that cannot travel: the checker's stays as it is
        return reply
    return reply if changed == request["arguments"] else {**reply, "arguments": changed}


def _failure(problem: BaseException) -> dict[str, object]:
    """An exception as its type's name and arguments; with its message if the arguments cannot travel."""
    name = type(problem).__name__
    try:
        return {"error": [name, [pack(item, 100) for item in problem.args]]}
    except BaseException:
        pass
    try:
        return {"error": [name, [str(problem)]]}
    except BaseException:
        return {"error": [name, []]}
