"""Backend `openai`: any server that speaks OpenAI's chat completions (vLLM, TGI, Ollama, llama.cpp, LM Studio, hosted).

All requests run in one event loop in a thread of its own, so that a request can be given up at any moment: while it
waits for a connection, for its first token, or in the middle of an answer.
"""

from __future__ import annotations

import asyncio
import importlib.util
import queue
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zooter_core.backends import Piece, Request
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig
from zooter_core.errors import ZooterError

if TYPE_CHECKING:
    from zooter_core.backends.http.server import Server

LOOK = 0.05  # seconds between looks at whether to stop


class OpenAIBackend:
    """Servers by candidate, each with its connections and its record of failures."""

    independent = True
    turns = None

    def __init__(self) -> None:
        self._servers: dict[CandidateConfig, Server] = {}
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def load(self, candidate: CandidateConfig) -> None:
        """Look whether the server is there and takes the key. Its models load when it is first asked."""
        self._submit(self._server(candidate).reach()).result()

    def trial(self, candidate: CandidateConfig) -> str:
        return "Say hello."

    def sizes(self) -> Mapping[object, int]:
        return {}

    def spare(self) -> None:
        pass

    def stream(
        self, requests: Sequence[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        calls: dict[Request, _Call] = {}
        for number, request in enumerate(requests):
            # The number makes equal requests different samples.
            seed = generation.seed + number if request.seed is None else request.seed
            try:
                calls[request] = _Call(self._server(request.candidate), request, replace(generation, seed=seed % 2**31))
            except ZooterError as problem:
                yield Piece.failed(request, problem)
        pieces: queue.Queue[Piece | None] = queue.Queue()
        abandoned = threading.Event()  # set when whoever reads the pieces goes away
        work = self._submit(_answer_all(list(calls.values()), (stop, abandoned), pieces.put))
        work.add_done_callback(lambda ended: pieces.put(None))
        try:
            while calls and (piece := pieces.get()) is not None:
                if piece.response is not None:
                    del calls[piece.request]
                yield piece
            for request in calls:  # never, unless the code of this file is wrong
                yield Piece.failed(request, work.exception() or "no response")
        finally:
            abandoned.set()

    def _server(self, candidate: CandidateConfig) -> Server:
        if importlib.util.find_spec("openai") is None:
            raise ZooterError(
                f"the package openai, with which {candidate.name} is asked",
                "no such package installed",
                "Run `pip install 'zooter[openai]'`.",
            )
        from zooter_core.backends.http.server import Server

        with self._lock:
            if candidate not in self._servers:
                self._servers[candidate] = Server(candidate)
            return self._servers[candidate]

    def _submit(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Start work in the loop, which itself starts when first needed."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="endpoints", daemon=True).start()
        return asyncio.run_coroutine_threadsafe(work, self._loop)


@dataclass(frozen=True)
class _Call:
    """A request on its way to its server."""

    server: Server
    request: Request
    generation: GenerationConfig

    async def answer(self, put: Callable[[Piece], None]) -> None:
        """The request's pieces, whatever happens; the last has the response."""
        messages, request = self.request.messages, self.request
        response = await self.server.answer(messages, self.generation, lambda text: put(Piece(request, text)))
        put(Piece(request, response=response))


async def _answer_all(calls: Iterable[_Call], stops: Sequence[threading.Event], put: Callable[[Piece], None]) -> None:
    """Answer all at the same time; a stop ends those that still run."""
    if not (tasks := [asyncio.create_task(call.answer(put)) for call in calls]):
        return
    running = set(tasks)
    while running:
        _, running = await asyncio.wait(running, timeout=LOOK)
        if any(stop.is_set() for stop in stops):
            for task in running:
                task.cancel()
            break
    await asyncio.gather(*tasks)
