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

from zooter_core.backends.http.client import client_of
from zooter_core.backends.http.faults import AnswerError, fault_of, finish_of, pause
from zooter_core.backends.http.redaction import RedactedStream, Redaction
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.endpoint import key_from
from zooter_core.config.fleet import GenerationConfig
from zooter_core.errors import Failure, WorkError, did_you_mean
from zooter_core.records import Finish, Message, Response
from zooter_core.surrogates import Joiner, replaced

CLOSING = 0.1  # seconds for a connection to close in good manners
LOOKING = 10.0  # seconds for the list of a server's models
BYTES = 4  # of a character at most; no token is shorter than a byte
Put = Callable[[str], None]


@dataclass
class Said:
    """What has come of an answer, without the key."""

    stream: RedactedStream
    most_characters: int
    most_tokens: int  # as asked for
    begun: float = field(default_factory=time.perf_counter)
    texts: list[str] = field(default_factory=list)
    joiner: Joiner = field(default_factory=Joiner)
    characters: int = 0
    parts: int = 0  # of text, as the server split it
    claimed: object = None  # tokens as the server counts them
    first: float | None = None
    thoughts: int = 0  # characters of reasoning, which is no text
    tool: bool = False
    finish: str | None = None

    @property
    def anything(self) -> bool:
        return bool(self.parts or self.thoughts)

    @property
    def tokens(self) -> int:
        """As the server counts them, where that can be; else its parts, since most servers send a token at a time."""
        most = max(self.most_tokens, BYTES * (self.characters + self.thoughts))
        if type(self.claimed) is int and bool(self.parts) <= self.claimed <= most:
            return self.claimed
        return self.parts

    def take(self, text: str) -> str:
        """Add a part of the answer's text; what of it can be shown."""
        if self.first is None:
            self.first = time.perf_counter() - self.begun
        self.parts += 1
        return self._show(self.stream.feed(self.joiner.add(text)))

    def end(self) -> str:
        """Add the text that waited because it may have been a key or half a character; what of it can be shown."""
        return self._show(self.stream.feed(self.joiner.close()) + self.stream.end())

    def _show(self, text: str) -> str:
        shown = text[: self.most_characters - self.characters]
        self.texts.append(shown)
        self.characters += len(shown)
        return shown

    def response(self, name: str, finish: Finish, error: Failure | None = None) -> Response:
        seconds = time.perf_counter() - self.begun
        return Response(name, "".join(self.texts), self.tokens, seconds, self.first, finish, error)


class Server:
    """A candidate's server.

    Raises:
        ZooterError: its key is not in the environment, or is none that a request can carry.
    """

    def __init__(self, candidate: CandidateConfig) -> None:
        assert candidate.endpoint is not None  # fleet.py has seen to it
        self.name, self.model, self.config = candidate.name, candidate.model, candidate.endpoint
        key = key_from(self.config.api_key_env, self.name)
        self._redact = Redaction(key)
        self._client = client_of(self.config, key)
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
                fault = fault_of(problem, self.config, self._redact)
            refused = isinstance(problem, openai.APIStatusError) and problem.status_code in (401, 403)
            if refused or isinstance(problem, TimeoutError | openai.APIConnectionError):
                raise WorkError(f"{self.name} at {self.config.host}", fault.found, fault.next_step) from None

    async def answer(self, messages: Sequence[Message], generation: GenerationConfig, put: Put) -> Response:
        """The response to a conversation; its text goes to `put` as it comes. Never raises."""
        said = Said(self._redact.stream(), self.config.most_characters, generation.max_new_tokens)
        finish: Finish
        try:
            async with self._turns:
                said.begun = time.perf_counter()
                finish, error = await self._attempts(messages, generation, said, put)
        except asyncio.CancelledError:
            finish, error = "stopped", None
        return said.response(self.name, finish, error)

    async def _attempts(
        self, messages: Sequence[Message], generation: GenerationConfig, said: Said, put: Put
    ) -> tuple[Finish, Failure | None]:
        attempt = 0
        while (left := self._rests_until - time.monotonic()) <= 0:
            try:
                finish = await self._attempt(messages, generation, said, put)
            except Exception as problem:  # the client, the transport and a stranger's data raise many kinds
                fault = fault_of(problem, self.config, self._redact)
                wait = pause(attempt, fault.wait) if fault.again and not said.anything else None
                attempt += 1
                if wait is None or attempt > self.config.retries:
                    failure = await self._failed(fault, attempt, said.characters)
                    return "error" if fault.counts else "refused", failure
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
                    if waited := said.end():
                        put(waited)
                    with suppress(Exception):
                        await asyncio.wait_for(stream.close(), CLOSING)
        except TimeoutError:
            if not said.anything:
                raise AnswerError(
                    f"no first token within {first:g} s", "Ask again later, or raise first_token_seconds."
                ) from None
            raise AnswerError(f"no further token for {gap:g} s", "Ask again.") from None
        return finish_of(said.finish, bool(said.parts), said.tool, self._redact)

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
            said.claimed = getattr(usage, "completion_tokens", None)
        if not getattr(chunk, "choices", None):
            return False
        choice = chunk.choices[0]
        if finish := getattr(choice, "finish_reason", None):
            said.finish = str(finish)
        delta = getattr(choice, "delta", None)
        text = getattr(delta, "content", None)
        if text is not None and not isinstance(text, str):
            raise AnswerError("a text that is no text", "See the server's log.")
        calls = any(getattr(delta, name, None) for name in ("tool_calls", "function_call"))
        said.tool |= calls
        if not text:
            thought = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None) or ""
            said.thoughts += len(str(thought))
            return calls or bool(thought)
        if shown := said.take(text):
            put(shown)
        return True

    async def _failed(self, fault: AnswerError, attempts: int, characters: int) -> Failure:
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
        return fault.failure(self.name, self.config)

    def _resting(self, left: float) -> Failure:
        found = f"{self._failures} failures in a row, the last: {self._last}"
        fault = AnswerError(found, f"It is left alone for another {left:.0f} s; mend the server, then ask again.")
        return fault.failure(self.name, self.config)

    async def _which_model(self) -> str | None:
        """What to write as `model`, by the server's own list; None where it gives none."""
        with suppress(Exception):  # it is only for the message
            async with asyncio.timeout(LOOKING):
                names = [self._redact(name) for name in await self._models()]
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
