"""Several streams at the same time, each in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from zooter_core.errors import first_line

Item = TypeVar("Item")
ENDING = 1.0  # seconds for the threads to end after a stop


class Stop(threading.Event):
    """A stop of one's own that is also set when another is."""

    def __init__(self, other: threading.Event) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        return super().is_set() or self._other.is_set()


def merge_streams(
    streams: Sequence[Callable[[threading.Event], Iterator[Item]]], stop: threading.Event
) -> Iterator[tuple[int, Item | str]]:
    """The items of all streams as they come, each with its stream's number; a stream that raises ends with a text.

    Each stream is made with a stop, which is set when `stop` is or when whoever reads the items goes away.
    """
    items: queue.Queue[tuple[int, Item | str | None]] = queue.Queue()
    if len(streams) == 1:
        yield from _alone(streams[0], stop)
        return
    own = Stop(stop)

    def work(number: int) -> None:
        try:
            for item in streams[number](own):
                items.put((number, item))
        except Exception as problem:  # told to the reader; the other streams go on
            items.put((number, _told(problem)))
        items.put((number, None))

    threads = [threading.Thread(target=work, args=(n,), name="merge_streams", daemon=True) for n in range(len(streams))]
    for thread in threads:
        thread.start()
    running = len(threads)
    try:
        while running:
            number, item = items.get()
            if item is None:
                running -= 1
            else:
                yield number, item
    finally:
        own.set()
        for thread in threads:
            thread.join(ENDING)


def _alone(
    stream: Callable[[threading.Event], Iterator[Item]], stop: threading.Event
) -> Iterator[tuple[int, Item | str]]:
    """The items of one stream, which needs no thread."""
    try:
        for item in stream(stop):
            yield 0, item
    except Exception as problem:
        yield 0, _told(problem)


def _told(problem: Exception) -> str:
    return f"{type(problem).__name__}: {first_line(problem)}"
