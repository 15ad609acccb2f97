"""Backend `openai`: servers with OpenAI's chat completions API (vLLM, TGI, Ollama, llama.cpp, LM Studio, hosted ones).

All requests run in one event loop in its own thread. They can therefore be cancelled at any moment: while waiting for a
connection, for the first token, or in the middle of an answer.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from zooter_core.backends import POLL_SECONDS, Backend, Piece, Request
from zooter_core.backends.merge_streams import Put, iter_pushed
from zooter_core.base.errors import ZooterError
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig

if TYPE_CHECKING:
    from zooter_core.backends.endpoint.abilities import Abilities
    from zooter_core.backends.endpoint.connection import Connection

BEGIN = 4  # concurrent requests at first; the limit grows with answers (`Pace`)


class OpenAIBackend(Backend):
    """Runs requests on their candidates' servers, concurrently."""

    independent = True

    def __init__(self) -> None:
        self._portal = Portal("endpoints")
        self._connections: dict[CandidateConfig, Connection] = {}
        self._lock = threading.Lock()

    def load(self, candidate: CandidateConfig) -> None:
        """Check that the server is reachable and accepts the key. The server loads its model on the first request."""
        with self._lock:
            earlier = self._connections.get(candidate)
            if earlier and earlier.key != earlier.config.key(earlier.name):  # the key has changed
                self._portal.submit(self._connections.pop(candidate).retire())
        connection = self.connection(candidate)
        from zooter_core.backends.endpoint.answer import check_server

        self._portal.submit(check_server(connection)).result()

    def retain(self, candidates: Sequence[CandidateConfig]) -> None:
        with self._lock:
            for candidate in self._connections.keys() - set(candidates):
                self._portal.submit(self._connections.pop(candidate).retire())

    def abilities(self, candidate: CandidateConfig) -> Abilities:
        from zooter_core.backends.endpoint.abilities import find_abilities

        return self._portal.submit(find_abilities(self.connection(candidate))).result()

    def stream(
        self, requests: Iterable[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        """Send requests and yield pieces as they arrive.

        The requests of a sequence all start at once. From another iterable, new requests are taken as earlier ones end,
        so that there are twice as many as a server handles concurrently.
        """

        def run(put: Put[Piece], stop: threading.Event) -> None:
            self._portal.submit(self._answer_all(requests, generation, put, stop)).result()

        yield from iter_pushed([run], stop)

    async def _answer_all(
        self, requests: Iterable[Request], generation: GenerationConfig, put: Put[Piece], stop: threading.Event
    ) -> None:
        """Pass the pieces of all answers to `put`. A stop cancels running requests and starts no others."""
        from zooter_core.backends.endpoint.answer import respond

        async def answer(connection: Connection, request: Request, generation: GenerationConfig) -> None:
            put(Piece(request, response=await respond(connection, request, generation, put)))

        waiting, running = enumerate(requests), set[asyncio.Task[None]]()
        most = len(requests) if isinstance(requests, Sequence) else 1  # at the same time
        try:
            while True:
                while len(running) < most and (numbered := next(waiting, None)):
                    number, request = numbered
                    # With the number, equal requests get different samples.
                    seed = generation.seed + number if request.seed is None else request.seed
                    try:
                        connection = self.connection(request.candidate)
                    except ZooterError as problem:
                        put(Piece.failed(request, problem))
                        continue
                    most = max(most, 2 * connection.config.parallel)
                    settings = replace(generation, seed=seed % 2**31)
                    running.add(asyncio.create_task(answer(connection, request, settings)))
                if not running:
                    break
                first = asyncio.FIRST_COMPLETED
                done, running = await asyncio.wait(running, timeout=POLL_SECONDS, return_when=first)
                for task in done:
                    task.result()  # raises only because of a bug in this package
                if stop.is_set():
                    break
        finally:
            for task in running:
                task.cancel()
        await asyncio.gather(*running)

    def connection(self, candidate: CandidateConfig) -> Connection:
        from zooter_core.backends.endpoint.connection import Connection

        with self._lock:
            if candidate not in self._connections:
                self._connections[candidate] = connection = Connection(candidate, BEGIN)
                self._portal.closing.append(connection.close)
            return self._connections[candidate]


Result = TypeVar("Result")
Close = Callable[[], Coroutine[Any, Any, None]]


class Portal:
    """Runs coroutines for other threads. The event loop starts with the first coroutine and ends with the portal.

    Attributes:
        closing: coroutine functions to call before the loop ends.
    """

    def __init__(self, name: str) -> None:
        self.closing: list[Close] = []
        self._name, self._lock = name, threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def submit(self, coroutine: Coroutine[Any, Any, Result]) -> Future[Result]:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                thread = threading.Thread(target=_run, args=(self._loop,), name=self._name, daemon=True)
                thread.start()
                weakref.finalize(self, _end, self._loop, thread, self.closing)
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread, closing: list[Close]) -> None:
    async def close() -> None:
        await asyncio.gather(*(end() for end in closing), return_exceptions=True)
        loop.stop()

    asyncio.run_coroutine_threadsafe(close(), loop)
    if not threading.main_thread().is_alive():  # the process is ending, and would end the thread early
        thread.join(1)
