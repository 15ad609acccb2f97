"""Several streams as one, each read in its own thread, so that a slow one holds up no other."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Stream = Callable[[threading.Event], Iterator[Item]]
JOIN_SECONDS = 1.0  # for each thread to end after a stop
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
    items: queue.Queue[Item | Exception | object] = queue.Queue()
    stop_all = Stop(stop)

    def read(stream: Stream[Item]) -> None:
        try:
            for item in stream(stop_all):
                items.put(item)
            items.put(END)
        except Exception as problem:
            items.put(problem)

    threads = [threading.Thread(target=read, args=(stream,), name="merge_streams", daemon=True) for stream in streams]
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
                thread.join(JOIN_SECONDS)
