"""Backend `openai`: any server that speaks OpenAI's chat completions (vLLM, TGI, Ollama, llama.cpp, LM Studio, hosted).

All requests run in one event loop in its own thread. A request can therefore end at any moment: while it waits for a
connection, for its first token, or in the middle of an answer.
"""

from __future__ import annotations

import asyncio
import importlib.util
import queue
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zooter_core.backends import Piece, Request
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig
from zooter_core.errors import ZooterError

if TYPE_CHECKING:
    from zooter_core.backends.http.server import Server

POLL_SECONDS = 0.05  # between looks at the stop events
Put = Callable[[Piece], None]


class OpenAIBackend:
    """Runs requests on the servers of their candidates, all at the same time."""

    independent = True
    turns = None

    def __init__(self) -> None:
        self._servers: dict[CandidateConfig, Server] = {}
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def load(self, candidate: CandidateConfig) -> None:
        """Check that the server is there and accepts the key. The server loads its model with the first request."""
        self._submit(self._server(candidate).connect()).result()

    def trial(self, candidate: CandidateConfig) -> str:
        """Any query will do."""
        return "Say hello."

    def sizes(self) -> Mapping[object, int]:
        """Nothing is in the memory of this machine."""
        return {}

    def spare(self) -> None:
        """There is nothing to unload."""

    def stream(
        self, requests: Sequence[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        """Send all requests at the same time and yield pieces as they arrive."""
        pieces: queue.Queue[Piece | None] = queue.Queue()
        abandoned = threading.Event()  # set when the reader goes away
        answers, unfinished = [], dict.fromkeys(requests)
        for number, request in enumerate(requests):
            # The number makes equal requests different samples.
            seed = generation.seed + number if request.seed is None else request.seed
            settings = replace(generation, seed=seed % 2**31)
            try:
                answers.append(_answer(self._server(request.candidate), request, settings, pieces.put))
            except ZooterError as problem:
                pieces.put(Piece.failed(request, problem))
        work = self._submit(_run_all(answers, (stop, abandoned)))
        work.add_done_callback(lambda ended: pieces.put(None))
        try:
            while unfinished and (piece := pieces.get()) is not None:
                if piece.response is not None:
                    del unfinished[piece.request]
                yield piece
            for request in unfinished:  # only after a bug in this room
                yield Piece.failed(request, work.exception() or "no response")
        finally:
            abandoned.set()

    def _server(self, candidate: CandidateConfig) -> Server:
        if importlib.util.find_spec("openai") is None:
            expected = f"the package openai for the backend of {candidate.name}"
            raise ZooterError(expected, "that it is not installed", "Run `pip install 'zooter[openai]'`.")
        from zooter_core.backends.http.server import Server

        with self._lock:
            if candidate not in self._servers:
                self._servers[candidate] = Server(candidate)
            return self._servers[candidate]

    def _submit(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Start a coroutine in the event loop. The loop starts with the first one."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="endpoints", daemon=True).start()
        return asyncio.run_coroutine_threadsafe(work, self._loop)


async def _answer(server: Server, request: Request, generation: GenerationConfig, put: Put) -> None:
    """Put the pieces of one request, the last one with its response."""
    response = await server.answer(request.messages, generation, lambda text: put(Piece(request, text)))
    put(Piece(request, response=response))


async def _run_all(answers: Sequence[Coroutine[Any, Any, None]], stops: Sequence[threading.Event]) -> None:
    """Run all answers at the same time. Any of the stop events ends those that still run."""
    if not answers:
        return
    tasks = [asyncio.create_task(answer) for answer in answers]
    running = set(tasks)
    while running:
        _, running = await asyncio.wait(running, timeout=POLL_SECONDS)
        if any(stop.is_set() for stop in stops):
            for task in running:
                task.cancel()
            break
    await asyncio.gather(*tasks)
