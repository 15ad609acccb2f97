"""A candidate on this machine: its backend runs in a thread, and its text becomes chunks of the API."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zooter_core.backends import Piece, Request
from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Message, Response
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig
from zooter_core.serve.chat_request import ChatRequest, text_of
from zooter_core.serve.errors import bad_request
from zooter_core.serve.targets import Progress, chunk_shape, event_of

if TYPE_CHECKING:
    from zooter_core.fleet.ensemble import Ensemble

FINISH = {"stop": "stop", "length": "length", "stopped": "stop"}
ROLES = {"developer": "system", "system": "system", "assistant": "assistant"}


class Local:
    """A candidate that an ensemble runs."""

    def __init__(self, candidate: CandidateConfig, ensemble: Ensemble) -> None:
        self.name, self.candidate, self._ensemble = candidate.name, candidate, ensemble

    async def complete(self, request: ChatRequest, routed: bool, progress: Progress) -> dict[str, Any]:
        text = "".join([piece.text async for piece in self._pieces(request, progress)])
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": progress.finish}
        shape = {"id": progress.id, "object": "chat.completion", "created": progress.created, "model": self.name}
        return shape | {"choices": [choice], "usage": progress.usage}

    async def stream(self, request: ChatRequest, routed: bool, progress: Progress) -> AsyncGenerator[bytes, None]:
        usage_wanted = (request.body.get("stream_options") or {}).get("include_usage")
        role = {"role": "assistant"}
        async for piece in self._pieces(request, progress):
            if piece.text:
                yield self._chunk(progress, role | {"content": piece.text})
                role = {}
        yield self._chunk(progress, role, progress.finish)
        if usage_wanted:
            yield event_of(chunk_shape(progress.id, progress.created, self.name, choices=[], usage=progress.usage))

    async def _pieces(self, request: ChatRequest, progress: Progress) -> AsyncGenerator[Piece, None]:
        """The pieces of the answer. Generation stops when the reader goes away."""
        progress.id, progress.created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())
        messages = messages_of(request)
        settings = generation_of(request.body, self._ensemble.fleet.generation)
        loop, pieces = asyncio.get_running_loop(), asyncio.Queue[Piece | BaseException | None]()
        stop = threading.Event()

        def put(item: Piece | BaseException | None) -> None:
            if not stop.is_set():
                loop.call_soon_threadsafe(pieces.put_nowait, item)

        def run() -> None:
            try:
                for piece in self._ensemble.run_requests([Request(self.candidate, messages)], stop, settings):
                    put(piece)
            except Exception as problem:  # only after a bug of a backend
                put(problem)
            put(None)

        threading.Thread(target=run, name="answer", daemon=True).start()
        try:
            while (item := await pieces.get()) is not None:
                if isinstance(item, BaseException):
                    raise EndpointError(type(item).__name__, own_status=500)
                if item.response is not None:
                    self._end(item.response, request, progress)
                yield item
        finally:
            stop.set()

    def _end(self, response: Response, request: ChatRequest, progress: Progress) -> None:
        if response.error is not None:
            refused = response.finish == "refused"
            raise EndpointError(response.error.reason, own_status=500, subject="request" if refused else None)
        progress.finish = FINISH.get(response.finish, "stop")
        prompt, answer = request.prompt_tokens, response.tokens
        progress.usage = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}

    def _chunk(self, progress: Progress, delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return event_of(chunk_shape(progress.id, progress.created, self.name, choices=[choice]))


def messages_of(request: ChatRequest) -> tuple[Message, ...]:
    """The messages of a request whose parts are all text (capabilities.unsupported)."""
    return tuple(
        Message(ROLES.get(message["role"], "user"), text_of(message.get("content")))  # type: ignore[arg-type]
        for message in request.messages
    )


def generation_of(body: Mapping[str, Any], default: GenerationConfig) -> GenerationConfig:
    """The fleet's generation settings with those that a request has.

    Raises:
        ApiError: a setting has the wrong type or range.
    """
    settings = {
        "max_new_tokens": body.get("max_completion_tokens") or body.get("max_tokens"),
        "temperature": body.get("temperature"),
        "seed": body.get("seed"),
    }
    try:
        return replace(default, **{name: value for name, value in settings.items() if value is not None})
    except ZooterError as problem:
        raise bad_request(str(problem)) from None
