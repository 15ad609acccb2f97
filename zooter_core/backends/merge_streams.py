"""Merges several streams into one. Each is read in its own thread, so that a slow stream does not delay others."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import TypeVar

Item = TypeVar("Item")
Stream = Callable[[threading.Event], Iterator[Item]]
Put = Callable[[Item], object]
Push = Callable[[Put[Item], threading.Event], None]
JOIN_SECONDS = 1.0
END = object()


class Stop(threading.Event):
    """An event that is also set when another event is set."""

    def __init__(self, other: threading.Event) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        return super().is_set() or self._other.is_set()


def merge_streams(streams: Sequence[Stream[Item]], stop: threading.Event) -> Generator[Item]:
    """Yield the items of all streams as they arrive. An exception in a stream is raised here and stops the others.

    Args:
        streams: functions that start a stream. Each gets an event, which is set when `stop` is set or when the merged
            stream is closed.
    """
    if len(streams) == 1:
        yield from streams[0](stop)
        return

    def push(stream: Stream[Item], put: Put[Item], stop: threading.Event) -> None:
        for item in stream(stop):
            put(item)

    yield from iter_pushed([partial(push, stream) for stream in streams], stop)


def iter_pushed(
    pushes: Sequence[Push[Item]], stop: threading.Event, join_seconds: float | None = JOIN_SECONDS
) -> Generator[Item]:
    """Yield the items that functions pass to a callback, as they arrive. Each function runs in its own thread.

    Args:
        pushes: functions that get the callback and an event that tells them to stop, as in `merge_streams`.
        join_seconds: how long to wait for the end of each thread after a stop; None waits without limit.
    """
    items: queue.Queue[Item | Exception | object] = queue.Queue()
    stop_all = Stop(stop)

    def run(push: Push[Item]) -> None:
        try:
            push(items.put, stop_all)
            items.put(END)
        except Exception as problem:
            items.put(problem)

    threads = [threading.Thread(target=run, args=(push,), name="merge_streams", daemon=True) for push in pushes]
    running = len(threads)
    try:
        for thread in threads:
            thread.start()
        while running:
            item = items.get()
            if item is END:
                running -= 1
            elif isinstance(item, Exception):
                raise item
            else:
                yield item  # type: ignore[misc]
    finally:
        stop_all.set()
        for thread in threads:
            if thread.ident is not None:  # None if a Ctrl-C came before the thread started
                thread.join(join_seconds)
