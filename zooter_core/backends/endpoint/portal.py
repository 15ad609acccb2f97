"""An event loop in a thread of its own: the way from code that is not asynchronous to the client of endpoints."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")
Close = Callable[[], Coroutine[Any, Any, None]]


class Portal:
    """Runs coroutines for other threads. The loop starts with the first one, and ends with the portal.

    Attributes:
        closing: what is awaited before the loop ends.
    """

    def __init__(self, name: str) -> None:
        self.closing: list[Close] = []
        self._name, self._lock = name, threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def submit(self, coroutine: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Start a coroutine."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(self._loop,), name=self._name, daemon=True).start()
                weakref.finalize(self, _end, self._loop, self.closing).atexit = False
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


def _end(loop: asyncio.AbstractEventLoop, closing: list[Close]) -> None:
    async def close() -> None:
        await asyncio.gather(*(end() for end in closing), return_exceptions=True)
        loop.stop()

    asyncio.run_coroutine_threadsafe(close(), loop)
