"""Several streams as one, each read in its own thread, so that a slow one holds up no other."""

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
    """A stop that is also set when another one is."""

    def __init__(self, other: threading.Event) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        return super().is_set() or self._other.is_set()


def merge_streams(streams: Sequence[Stream[Item]], stop: threading.Event) -> Generator[Item]:
    """Yield the items of all streams as they come. An exception in a stream is raised here and stops the others.

    Args:
        streams: functions that start a stream. Each one gets an event to watch, which is set when `stop` is, or when
            the reader of the merged stream goes away.
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
    """The same for functions that put their items themselves. Each runs in a thread of its own.

    Args:
        join_seconds: for each thread to end after a stop; None waits for ever.
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
            if thread.ident is not None:  # else a Ctrl-C came before it began
                thread.join(join_seconds)
