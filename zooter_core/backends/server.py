"""One candidate behind an OpenAI-compatible server: its connections, attempts at an answer, and rest after failures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
import openai

from zooter_core.backends.faults import AnswerError, fault_of, pause
from zooter_core.backends.wire import client_of
from zooter_core.candidates import CandidateConfig
from zooter_core.endpoint import key_from
from zooter_core.errors import WorkError, did_you_mean
from zooter_core.fleet import GenerationConfig
from zooter_core.records import Finish, Message, Response
from zooter_core.surrogates import Joiner, replaced

CLOSING = 0.1  # seconds for a connection to close in good manners
LOOKING = 10.0  # seconds for the list of a server's models
CUT_OFF = ("length", "max_tokens", "model_length")
Put = Callable[[str], None]


@dataclass
class Said:
    """What has come of an answer."""

    begun: float = field(default_factory=time.perf_counter)
    texts: list[str] = field(default_factory=list)
    joiner: Joiner = field(default_factory=Joiner)
    characters: int = 0
    tokens: int | None = None  # as the server counts them
    first: float | None = None
    thought: bool = False  # whether reasoning has come, which is no text
    finish: str | None = None

    def add(self, text: str, most: int) -> str:
        """Take in a text, up to `most` characters in all; what of it can be shown now."""
        return self._put(self.joiner.add(text)[: most - self.characters])

    def close(self) -> str:
        """What was held back because it might have gone on."""
        return self._put(self.joiner.close())

    def _put(self, text: str) -> str:
        if text:
            self.texts.append(text)
            self.characters += len(text)
        return text

    @property
    def anything(self) -> bool:
        return self.first is not None or self.thought

    def response(self, name: str, finish: Finish, error: str | None = None) -> Response:
        seconds = time.perf_counter() - self.begun
        tokens = len(self.texts) if self.tokens is None else self.tokens  # most servers send a token at a time
        return Response(name, "".join(self.texts), tokens, seconds, self.first, finish, error)


class Server:
    """A candidate's server.

    Raises:
        ZooterError: its key is not in the environment, or is none that a request can carry.
    """

    def __init__(self, candidate: CandidateConfig) -> None:
        assert candidate.endpoint is not None  # fleet.py has seen to it
        self.name, self.model, self.config = candidate.name, candidate.model, candidate.endpoint
        self._key = key_from(self.config.api_key_env, self.name)
        self._client = client_of(self.config, self._key)
        self._turns = asyncio.Semaphore(self.config.parallel)
        self._failures, self._rests_until, self._last = 0, 0.0, ""

    async def reach(self) -> None:
        """Ask for the list of models, which shows an address or a key that is wrong.

        Raises:
            WorkError: no connection, or the key is refused. A server without such a list is fine.
        """
        try:
            async with asyncio.timeout(LOOKING):
                await self._models()
        except Exception as problem:  # what else is wrong, the first answer will tell
            if isinstance(problem, TimeoutError):
                fault = AnswerError(f"no word from it within {LOOKING:g} s", "See the server's log.")
            else:
                fault = fault_of(problem, self.config, self._key)
            refused = isinstance(problem, openai.APIStatusError) and problem.status_code in (401, 403)
            if refused or isinstance(problem, TimeoutError | openai.APIConnectionError):
                raise WorkError(f"{self.name} at {self.config.host}", fault.found, fault.next_step) from None

    async def answer(self, messages: Sequence[Message], generation: GenerationConfig, put: Put) -> Response:
        """The response to a conversation; its text goes to `put` as it comes. Never raises."""
        said = Said()
        finish: Finish
        try:
            async with self._turns:
                said.begun = time.perf_counter()
                finish, error = await self._attempts(messages, generation, said, put)
        except asyncio.CancelledError:
            finish, error = "stopped", None
        if rest := said.close():
            put(rest)
        return said.response(self.name, finish, error)

    async def _attempts(
        self, messages: Sequence[Message], generation: GenerationConfig, said: Said, put: Put
    ) -> tuple[Finish, str | None]:
        attempt = 0
        while (left := self._rests_until - time.monotonic()) <= 0:
            try:
                finish = await self._attempt(messages, generation, said, put)
            except Exception as problem:  # the client, the transport and a stranger's data raise many kinds
                fault = fault_of(problem, self.config, self._key)
                wait = pause(attempt, fault.wait) if fault.again and not said.anything else None
                attempt += 1
                if wait is None or attempt > self.config.retries:
                    told = await self._failed(fault, attempt, said.characters)
                    return "error" if fault.counts else "refused", told
                await asyncio.sleep(wait)
            else:
                self._failures = 0
                return finish, None
        return "error", self._resting(left)

    async def _attempt(self, messages: Sequence[Message], generation: GenerationConfig, said: Said, put: Put) -> Finish:
        """One request, up to the end of its answer or the fault that ends it."""
        first, gap = self.config.first_token_seconds, self.config.gap_seconds
        try:
            async with asyncio.timeout(first) as clock:
                stream = await self._client.chat.completions.create(**self._body(messages, generation))
                try:
                    _check_kind(stream.response)
                    async for chunk in stream:
                        if self._take(chunk, said, put):
                            clock.reschedule(asyncio.get_running_loop().time() + gap)
                        if said.characters >= self.config.most_characters:
                            return "length"
                finally:
                    with suppress(Exception):
                        await asyncio.wait_for(stream.close(), CLOSING)
        except TimeoutError:
            if not said.anything:
                raise AnswerError(
                    f"no first token within {first:g} s", "Ask again later, or raise first_token_seconds."
                ) from None
            raise AnswerError(f"no further token for {gap:g} s", "Ask again.") from None
        if said.finish is None and not said.texts:
            raise AnswerError("a stream that ended without a word", "See the server's log.", True)
        if said.finish == "content_filter":
            raise AnswerError(
                "an answer that the server's content filter broke off", "Ask in other words.", counts=False
            )
        return "length" if said.finish is None or said.finish in CUT_OFF else "stop"

    def _body(self, messages: Sequence[Message], generation: GenerationConfig) -> dict[str, Any]:
        return {
            "model": self.model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "temperature": generation.temperature,
            "seed": generation.seed,
            self.config.token_limit: generation.max_new_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def _take(self, chunk: Any, said: Said, put: Put) -> bool:
        """Add a chunk to what has come; whether a token was in it."""
        if usage := getattr(chunk, "usage", None):
            counted = getattr(usage, "completion_tokens", None)
            said.tokens = counted if isinstance(counted, int) else said.tokens
        if not getattr(chunk, "choices", None):
            return False
        choice = chunk.choices[0]
        said.finish = getattr(choice, "finish_reason", None) or said.finish
        delta = getattr(choice, "delta", None)
        text = getattr(delta, "content", None)
        if text is not None and not isinstance(text, str):
            raise AnswerError("a text that is no text", "See the server's log.")
        if not text:
            thinks = any(getattr(delta, name, None) for name in ("reasoning_content", "reasoning"))
            said.thought |= thinks
            return thinks
        if said.first is None:
            said.first = time.perf_counter() - said.begun
        if shown := said.add(text, self.config.most_characters):
            put(shown)
        return True

    async def _failed(self, fault: AnswerError, attempts: int, characters: int) -> str:
        """The message of a failure, which is counted; after some in a row the candidate rests."""
        if fault.found.startswith("status 404"):
            fault.next_step = await self._which_model() or fault.next_step
        if characters:
            fault.found += f", after {characters:,} characters"
        if attempts > 1:
            fault.found += f", at the last of {attempts} attempts"
        if fault.counts:
            self._failures += 1
            self._last = fault.found
            if self._failures >= self.config.rest_after:
                self._rests_until = time.monotonic() + self.config.rest_seconds
        return fault.told(self.name, self.config)

    def _resting(self, left: float) -> str:
        found = f"{self._failures} failures in a row, the last: {self._last}"
        fault = AnswerError(found, f"It is left alone for another {left:.0f} s; mend the server, then ask again.")
        return fault.told(self.name, self.config)

    async def _which_model(self) -> str | None:
        """What to write as `model`, by the server's own list; None where it gives none."""
        with suppress(Exception):  # it is only for the message
            async with asyncio.timeout(LOOKING):
                names = await self._models()
            if names and self.model not in names:
                return f'Mend model = "{self.model}" in fleet.toml. {did_you_mean(self.model, names[:50])}'
        return None

    async def _models(self) -> list[str]:
        found: Any = await self._client.get("/models", cast_to=object)
        listed = found.get("data") if isinstance(found, dict) else None
        entries = [entry.get("id") for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
        return [replaced(entry) for entry in entries if isinstance(entry, str)]


def _check_kind(response: httpx2.Response) -> None:
    """Refuse what is no stream of events."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "text/html":
        raise AnswerError("a web page in place of an answer", "Mend base_url in fleet.toml; it usually ends in /v1.")
    if kind == "application/json":
        raise AnswerError("one piece of JSON in place of a stream", "Use a server that streams chat completions.")
