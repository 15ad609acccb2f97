"""One candidate behind an OpenAI-compatible server: its connections, its retries and its circuit breaker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
import openai

from zooter_core.backends.http.breaker import Breaker
from zooter_core.backends.http.client import client_of
from zooter_core.backends.http.faults import SEE_LOG, AnswerError, error_of, finish_of
from zooter_core.backends.http.pace import Pace
from zooter_core.backends.http.redaction import RedactedStream, Redaction
from zooter_core.backends.http.refusals import Refusals
from zooter_core.backends.http.retry import RetryPolicy
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig
from zooter_core.errors import Failure, WorkError, did_you_mean
from zooter_core.records import Finish, Message, Response
from zooter_core.surrogates import Joiner, replace_surrogates

CLOSE_SECONDS = 0.1  # for a connection to close cleanly
LIST_SECONDS = 30.0  # for the list of models of a server that may be busy, or wake up first
LONGEST_ID = 200  # characters of a request's id
MOST_BYTES = 4  # of a character; no token is shorter than a byte
BEGIN = 4  # requests at the same time; more once these are answered
PROBE = [{"role": "user", "content": "Hi"}]
Put = Callable[[str], None]


@dataclass
class PartialAnswer:
    """An answer while it streams in, without the key.

    Attributes:
        most_tokens: the limit in the request.
        parts: how many pieces of text the server sent.
        reported_tokens: the server's count of tokens, which may be anything.
        reasoning_characters: length of the reasoning, which is not part of the text.
        finish_reason: as the server names it.
        request_id: the server's, if it has one.
    """

    stream: RedactedStream
    most_characters: int
    most_tokens: int
    started: float = field(default_factory=time.perf_counter)
    first_token_seconds: float | None = None
    texts: list[str] = field(default_factory=list)
    joiner: Joiner = field(default_factory=Joiner)
    characters: int = 0
    parts: int = 0
    reported_tokens: object = None
    reasoning_characters: int = 0
    tool_call: bool = False
    finish_reason: str | None = None
    request_id: str | None = None

    @property
    def has_begun(self) -> bool:
        """Whether any text or reasoning has come."""
        return bool(self.parts or self.reasoning_characters)

    @property
    def tokens(self) -> int:
        """The server's count if it is possible, else the number of parts, since most servers send single tokens."""
        most = max(self.most_tokens, MOST_BYTES * (self.characters + self.reasoning_characters))
        if type(self.reported_tokens) is int and bool(self.parts) <= self.reported_tokens <= most:
            return self.reported_tokens
        return self.parts

    def add(self, text: str) -> str:
        """Add a part of the text. Return what can be shown now."""
        if self.first_token_seconds is None:
            self.first_token_seconds = time.perf_counter() - self.started
        self.parts += 1
        return self._show(self.stream.feed(self.joiner.add(text)))

    def end(self) -> str:
        """Return the rest, which could have been the start of the key or of a character."""
        return self._show(self.stream.feed(self.joiner.close()) + self.stream.end())

    def _show(self, text: str) -> str:
        shown = text[: self.most_characters - self.characters]
        self.texts.append(shown)
        self.characters += len(shown)
        return shown

    def response(self, candidate: str, finish: Finish, error: Failure | None = None) -> Response:
        """The response with the text so far."""
        seconds, first = time.perf_counter() - self.started, self.first_token_seconds
        return Response(candidate, "".join(self.texts), self.tokens, seconds, first, finish, error, self.request_id)


class Server:
    """A candidate's server.

    Raises:
        ZooterError: the environment lacks the key, or the key cannot be sent in a header.
    """

    def __init__(self, candidate: CandidateConfig) -> None:
        assert candidate.endpoint is not None  # config/fleet.py has checked it
        self.name, self.model, self.config = candidate.name, candidate.model, candidate.endpoint
        key = self.config.key(self.name)
        self.redact = Redaction(key)
        self._client = client_of(self.config, key)
        self.pace = Pace(self.config.parallel, begin=BEGIN)
        self._policy = RetryPolicy(self.config.retries)
        self.breaker = Breaker(self.config.rest_after, self.config.rest_seconds)
        self._refusals = Refusals()

    async def connect(self) -> None:
        """Ask for the list of models, which shows a wrong address or key. A server need not have such a list.

        Raises:
            WorkError: there is no connection, or the server refuses the key.
        """
        try:
            async with asyncio.timeout(LIST_SECONDS):
                await self._models()
        except Exception as problem:  # other faults show with the first answer
            if isinstance(problem, TimeoutError):
                error = AnswerError(f"no reply within {LIST_SECONDS:g} s", SEE_LOG)
            else:
                error = error_of(problem, self.config, self.redact)
            unauthorised = isinstance(problem, openai.APIStatusError) and problem.status_code in (401, 403)
            if unauthorised or isinstance(problem, TimeoutError | openai.APIConnectionError):
                failure = error.failure(self.name, self.config)
                raise WorkError.because(failure, failure.expected) from None

    async def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The JSON at a path, or at another address of the server. Raises what the client does."""
        if body is None:
            return await self._client.get(path, cast_to=object)
        return await self._client.post(path, body=body, cast_to=object)

    async def answer(self, messages: Sequence[Message], generation: GenerationConfig, put: Put) -> Response:
        """The response to a conversation. Its text goes to `put` as it comes. Never raises."""
        answer = PartialAnswer(self.redact.stream(), self.config.most_characters, generation.max_new_tokens)
        finish: Finish
        try:
            finish, error = await self._attempts(messages, generation, answer, put)
        except asyncio.CancelledError:
            finish, error = "stopped", None
        return answer.response(self.name, finish, error)

    async def _attempts(
        self, messages: Sequence[Message], generation: GenerationConfig, answer: PartialAnswer, put: Put
    ) -> tuple[Finish, Failure | None]:
        attempt = 0
        while True:
            try:
                async with self.pace.place() as started:
                    await self.breaker.try_again(self._probe)
                    if self.breaker.state != "closed":
                        next_step = f"Fix the server. It is asked again in {self.breaker.seconds_left:.0f} s."
                        error = AnswerError(self.breaker.reason, next_step)
                        return "error", error.failure(self.name, self.config)
                    if not attempt:
                        answer.started = time.perf_counter()
                    finish = await self._attempt(messages, generation, answer, put)
            except Exception as problem:  # the client, the transport and foreign data raise many kinds
                error = error_of(problem, self.config, self.redact)
                if error.subject == "stream_options" and "stream_options" not in self._refusals:
                    self._refusals.note("stream_options")
                    continue
                pause = self._pause_after(error, attempt, started, answer.has_begun)
                attempt += 1
                if pause is None:
                    failure = await self._count_failure(error, attempt, answer.characters)
                    return "refused" if error.refused else "error", failure
                await asyncio.sleep(pause)
            else:
                self.breaker.answered()
                self.pace.answered((answer.first_token_seconds or 0) < self.config.first_token_seconds / 4)
                return finish, None

    async def _probe(self) -> str | None:
        """Why a tiny request fails; None if the server answers it, or refuses what is in it."""
        body: dict[str, Any] = {"model": self.model, "messages": PROBE, self.config.token_limit: 1}
        try:
            async with asyncio.timeout(self.config.first_token_seconds):
                await self.ask("/chat/completions", body)
        except TimeoutError:
            return f"no answer within {self.config.first_token_seconds:g} s"
        except Exception as problem:
            error = error_of(problem, self.config, self.redact)
            return None if error.refused else error.reason
        return None

    def _pause_after(self, error: AnswerError, attempt: int, started: float, has_begun: bool) -> float | None:
        """Seconds until the next attempt of this request, None if there is none. All others slow down with it."""
        if error.overload:
            self.pace.overloaded(started)
        if has_begun or not error.temporary:
            return None
        pause = self._policy.pause(attempt, error.wait)
        if pause is not None and error.wait is not None:
            self.pace.pause(error.wait)
        return pause

    async def _attempt(
        self, messages: Sequence[Message], generation: GenerationConfig, answer: PartialAnswer, put: Put
    ) -> Finish:
        """Send one request and read its answer to the end."""
        first, gap = self.config.first_token_seconds, self.config.gap_seconds
        try:
            async with asyncio.timeout(first) as clock:
                stream = await self._client.chat.completions.create(**self._body(messages, generation))
                try:
                    _check_type(stream.response)
                    answer.request_id = (
                        self.redact(stream.response.headers.get("x-request-id", "")[:LONGEST_ID]) or None
                    )
                    async for chunk in stream:
                        if self._add(chunk, answer, put):
                            clock.reschedule(asyncio.get_running_loop().time() + gap)
                        if answer.characters >= self.config.most_characters:
                            return "length"
                finally:
                    if rest := answer.end():
                        put(rest)
                    with suppress(Exception):
                        await asyncio.wait_for(stream.close(), CLOSE_SECONDS)
        except TimeoutError:
            if not answer.has_begun:
                next_step = "Try again later, or raise first_token_seconds."
                raise AnswerError(f"no first token within {first:g} s", next_step, overload=True) from None
            raise AnswerError(f"no further token for {gap:g} s", "Try again.", overload=True) from None
        return finish_of(answer.finish_reason, bool(answer.parts), answer.tool_call, self.redact)

    def _body(self, messages: Sequence[Message], generation: GenerationConfig) -> dict[str, Any]:
        return {
            "model": self.model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "temperature": generation.temperature,
            "seed": generation.seed,
            self.config.token_limit: generation.max_new_tokens,
            "stream": True,
        } | ({} if "stream_options" in self._refusals else {"stream_options": {"include_usage": True}})

    def _add(self, chunk: Any, answer: PartialAnswer, put: Put) -> bool:
        """Add a chunk to the answer. Return whether it had a token."""
        if usage := getattr(chunk, "usage", None):
            answer.reported_tokens = getattr(usage, "completion_tokens", None)
        if not getattr(chunk, "choices", None):
            return False
        choice = chunk.choices[0]
        if finish := getattr(choice, "finish_reason", None):
            answer.finish_reason = str(finish)
        delta = getattr(choice, "delta", None)
        text = getattr(delta, "content", None)
        if text is not None and not isinstance(text, str):
            raise AnswerError("the text of the answer is not a string", SEE_LOG)
        tool_call = any(getattr(delta, name, None) for name in ("tool_calls", "function_call"))
        answer.tool_call |= tool_call
        if not text:
            reasoning = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None) or ""
            answer.reasoning_characters += len(str(reasoning))
            return tool_call or bool(reasoning)
        if shown := answer.add(text):
            put(shown)
        return True

    async def _count_failure(self, error: AnswerError, attempts: int, characters: int) -> Failure:
        """The message of a failure; one that is not the request's fault counts towards a rest."""
        if error.unknown:
            error.next_step = await self._which_model() or error.next_step
        if characters:
            error.reason += f", after {characters:,} characters"
        if attempts > 1:
            error.reason += f", in the last of {attempts} attempts"
        if not (error.refused or error.unknown):
            self.breaker.failed(error.reason)
        return error.failure(self.name, self.config)

    async def _which_model(self) -> str | None:
        """How to fix `model`, from the server's list of models; None if it has none."""
        with suppress(Exception):  # it only improves the message
            async with asyncio.timeout(LIST_SECONDS):
                names = [self.redact(name) for name in await self._models()]
            if names and self.model not in names:
                return f'Fix model = "{self.model}" in fleet.toml. {did_you_mean(self.model, names[:50])}'
        return None

    async def _models(self) -> list[str]:
        reply = await self.ask("/models")
        entries = reply.get("data") if isinstance(reply, dict) else None
        names = [entry.get("id") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
        return [replace_surrogates(name) for name in names if isinstance(name, str)]


def _check_type(response: httpx2.Response) -> None:
    """Refuse what is not a stream of events."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "text/html":
        next_step = "Fix base_url in fleet.toml; it usually ends in /v1."
        raise AnswerError("the server sent a web page instead of an answer", next_step)
    if kind == "application/json":
        next_step = "Use a server that streams chat completions."
        raise AnswerError("the server sent one piece of JSON instead of a stream", next_step)
