"""How candidates are asked: the chosen one answers; if it fails before its first token, the next one does.

With reward model ranking (`rmr`, and `auto-best` if the router is unsure), several candidates answer at the same time,
and the reward model chooses the best answer. If the query itself tells which answers are right, `auto-best` asks one
candidate after the other until an answer is right. fleet/attempts.py decides who is asked next. This module turns
failures into the client's error, and reports them to the circuit breakers and to the record of a server's abilities.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

from zooter_core.backends.endpoint.connection import CHAT
from zooter_core.backends.endpoint.events import Event
from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.backends.thoughts import split
from zooter_core.base.records import Response
from zooter_core.base.strict_json import objects
from zooter_core.config.serve import AUTO_BEST, RMR
from zooter_core.data.evident_keys import key_in, outcome_in
from zooter_core.evaluation.verified import verified_ranking, verify
from zooter_core.fleet.attempts import Attempts
from zooter_core.serve.access import QUEUE_SECONDS
from zooter_core.serve.bodies import RESPONSES, ChatRequest, read_chat
from zooter_core.serve.choice import Choice, choose
from zooter_core.serve.errors import INVALID, SERVER, ApiError
from zooter_core.serve.gateway import Gateway
from zooter_core.serve.reply import Reply
from zooter_core.serve.sessions import readable_by
from zooter_core.serve.targets import AnswerProgress, Events, Shape, added_event, make_event, text_in

MOST_FALLBACKS = 5
PLACE_SECONDS = 5.0  # `auto` waits for a place among a candidate's `parallel` requests before it asks the next one
SHARED_STATUSES = (404, 429, 503)  # statuses that are passed on to the client if all candidates fail with the same one
NO_ROUTE = (404, 405, 501)  # statuses of a server without such a route
Answer = Shape | tuple[list[Event], Events]  # complete, or as the first events of a stream and the rest


async def answer_chat(gateway: Gateway, body: Mapping[str, Any], reply: Reply) -> None:
    """Answer a chat completion request.

    Raises:
        ApiError: the request cannot be answered, or every candidate failed.
    """
    asking = Asking(gateway, read_chat(body, reply.exchange.sender), reply)
    await asking.choose()
    if rounds := await asking.rounds():
        await asking.send_best(rounds)
    else:
        await asking.send_first()
    asking.remember()


class Asking:
    """A request that candidates are asked to answer. The exchange's outcome records everything that happens.

    Attributes:
        sessions: the conversations of the request's API key.
    """

    def __init__(self, gateway: Gateway, request: ChatRequest, reply: Reply) -> None:
        self.gateway, self.request, self.reply, self.exchange = gateway, request, reply, reply.exchange
        self.outcome, self.sessions = self.exchange.outcome, gateway.sessions.of(self.exchange.sender.key)
        self.outcome.request = request

    async def choose(self, writer: str | None = None) -> None:
        """Choose the candidates. For `writer` and errors, see `choice.choose`."""
        self.outcome.choice = await choose(self.gateway, self.request, self.exchange.asker, writer)

    @property
    def choice(self) -> Choice:
        assert self.outcome.choice is not None
        return self.outcome.choice

    async def rounds(self) -> list[Sequence[str]]:
        """The candidates whose best answer is sent, in rounds; empty if one answer is enough.

        One answer is enough in a tool loop, and for a chore.
        """
        request, choice, config = self.request, self.choice, self.gateway.fleet.router
        if request.model == RMR:
            self.outcome.choice = replace(choice, reason="rmr")
            return [choice.order]
        if request.model != AUTO_BEST or choice.reason == "tool_loop" or request.chore:
            return []
        first_ones = choice.order[: self.gateway.fleet.serve.best_of]
        if request.user_texts and outcome_in(request.user_texts[-1]):
            return [[name] for name in first_ones]
        if config is None or choice.decision is None or math.isinf(config.unsure_above):
            return []
        unsureness = await asyncio.to_thread(self.gateway.ensemble.unsureness, choice.decision, first_ones)
        return [first_ones] if unsureness > config.unsure_above else []

    def remember(self) -> None:
        """Pin the conversation to the candidate that the router chose, and remember who wrote encrypted reasoning.

        A chore, e.g. to get a title, is not a turn of the conversation.
        """
        candidate = self.outcome.candidate
        if candidate is None or self.request.chore:
            return
        if self.outcome.routed:
            self.sessions.pin(self.request.session, candidate)
        for digest in self.outcome.progress.written:
            self.sessions.wrote(digest, candidate)

    async def send_first(self) -> None:
        """Send the answer that begins first.

        Raises:
            ApiError: every candidate failed, or the answer broke off.
        """
        attempts = Attempts(self.gateway.fleet, self.choice.order[: MOST_FALLBACKS + 1])
        attempts.failures = self.outcome.failures
        first = await self._first(attempts)
        self._note_failures(attempts)
        if first is None:
            raise failed(attempts.failures)
        name, answer = first
        if isinstance(answer, dict):
            self._note_end(name)
            await self.reply.json(answer | self.exchange.metadata)
            return
        begun, events = answer
        async with aclosing(events):
            try:
                await self.reply.begin_events()
                await self.reply.write(begun)
                async for part in events:
                    await self.reply.write(part)
            except EndpointError as error:
                self._note_end(name, error)
                raise ApiError(502, f"{name} broke off: {error.client_message}.", "upstream_error") from None
        self._note_end(name)
        if self.exchange.is_chat and (metadata := self.exchange.metadata):
            await self.reply.write([added_event(self.outcome.progress, name, **metadata)])
        await self.reply.end_events()

    async def _first(self, attempts: Attempts) -> tuple[str, Answer] | None:
        """The answer that begins first, with its candidate; None if all candidates failed.

        If a candidate is slow, the next one is asked as well (hedging), and the slower of the two is cancelled.
        """
        hedge = self.gateway.fleet.serve.hedge_seconds if self.outcome.routed else 0
        running, late = dict[asyncio.Task[Answer], tuple[str, AnswerProgress]](), False
        try:
            while True:
                if late or not running:
                    if not (names := attempts.next()):
                        break
                    await asyncio.sleep(attempts.pause)
                    (name,), late = names, False
                    progress = AnswerProgress(patience=QUEUE_SECONDS if name == attempts.last else PLACE_SECONDS)
                    self.outcome.progress = progress
                    self.outcome.hedged = self.outcome.hedged or bool(running)
                    running[asyncio.create_task(self._ask(name, progress))] = name, progress
                more = hedge if attempts.has_reserve and len(running) == 1 else 0
                done, _ = await asyncio.wait(running, timeout=more or None, return_when=asyncio.FIRST_COMPLETED)
                late = not done
                for task in [task for task in running if task in done]:  # in the order in which they began
                    name, progress = running.pop(task)
                    try:
                        answer = task.result()
                    except EndpointError as error:
                        attempts.failed(name, error)
                        continue
                    self._note_begin(name, progress)
                    attempts.answered(name)
                    for other, _ in running.values():
                        slower = f"{name} began to answer first"
                        attempts.failures.append((other, EndpointError(slower, own_status=504, not_sent=True)))
                    return name, answer
        finally:
            await _cancel(running)
        return None

    async def _ask(self, name: str, progress: AnswerProgress) -> Answer:
        """The answer of a candidate, as soon as it begins."""
        target, request = self.gateway.targets[name], self._request_for(name)
        if not request.stream:
            return await target.complete(request, self.outcome.routed, progress)
        events = target.stream(request, self.outcome.routed, progress)
        return await anext(events), events

    def _request_for(self, name: str) -> ChatRequest:
        """The request for a candidate, without encrypted reasoning of other candidates.

        Reasoning of unknown origin is kept if the client named the candidate, which may have written it.
        """
        request, field = self.request, {CHAT: "messages", RESPONSES: "input"}.get(self.request.path, "")
        if not isinstance(parts := request.body.get(field), list):
            return request
        readable = readable_by(name, parts, self.sessions, unknown=not self.outcome.routed)
        return request if readable == parts else replace(request, body={**request.body, field: readable})

    def _note_begin(self, candidate: str, progress: AnswerProgress) -> None:
        self.outcome.candidate, self.outcome.progress = candidate, progress
        self.outcome.first_token_seconds = time.perf_counter() - self.exchange.started

    async def send_best(self, rounds: Sequence[Sequence[str]]) -> None:
        """Ask several candidates and send the best answer; in a stream, it is a single chunk.

        Args:
            rounds: the candidates of a round answer at the same time. The next round begins only if no answer is right.

        Raises:
            ApiError: no candidate answered, or the reward model failed.
        """
        request, exchange = self.request, self.exchange
        answers: dict[str, Shape] = {}
        for names in rounds:
            answers |= await self._ask_together(names)
            if len(rounds) > 1 and any(map(partial(_is_right, request), answers.values())):
                break
        if not answers:
            raise failed(self.outcome.failures)
        if len(answers) > 1 and self.choice.reason != "rmr":
            self.outcome.choice = replace(self.choice, reason="best")
        name = await self._best(answers)
        self._note_begin(name, self.outcome.compared[name])
        if not request.stream:
            await self.reply.json(answers[name] | exchange.metadata)
            return
        await self.reply.begin_events()
        chunks = make_chunks(answers[name], request.wants_usage, exchange.metadata)
        await self.reply.write([make_event(chunk) for chunk in chunks])
        await self.reply.end_events()

    async def _best(self, answers: Mapping[str, Shape]) -> str:
        """The candidate with the best answer. If the first answer calls a tool, it is chosen without scoring."""
        first = next(iter(answers))
        texts = {name: split(text_in(answer)).text for name, answer in answers.items()}
        responses = [Response(name, text) for name, text in texts.items() if text]  # an answer may have only thoughts
        if len(answers) == 1 or not responses or _calls_tool(answers[first]):
            return first
        query = self.request.user_texts[-1] if self.request.user_texts else ""
        ranked = await self.gateway.with_rewards(lambda ensemble, stop: ensemble.rank_responses(query, responses, stop))
        if key := key_in(query):
            ranked = verified_ranking(ranked, key)
        self.outcome.rewards = {entry.response.candidate: entry.reward for entry in ranked}
        return ranked[0].response.candidate

    async def _ask_together(self, names: Sequence[str]) -> dict[str, Shape]:
        """Ask candidates at the same time. Return the complete answers, in the order of the names."""
        attempts = Attempts(self.gateway.fleet, names, together=len(names))
        attempts.failures = self.outcome.failures  # after those of earlier rounds

        async def answer(name: str) -> Shape:
            self.outcome.progress = progress = AnswerProgress(patience=QUEUE_SECONDS)
            request = self._request_for(name)
            body = {key: value for key, value in request.body.items() if key not in ("stream", "stream_options")}
            shape = await self.gateway.targets[name].complete(replace(request, body=body), True, progress)
            self.outcome.compared[name] = progress  # now: the client may disconnect before the others have answered
            return shape

        results = await asyncio.gather(*map(answer, attempts.next()), return_exceptions=True)
        answers: dict[str, Shape] = {}
        for name, result in zip(names, results, strict=True):
            if isinstance(result, EndpointError):
                attempts.failed(name, result)
            elif isinstance(result, BaseException):
                raise result
            else:
                answers[name] = result
                attempts.answered(name)
                self._note_end(name)
        self._note_failures(attempts)
        return answers

    def _note_failures(self, attempts: Attempts) -> None:
        """Report a request's failures to the circuit breakers, and remember what servers refused."""
        for name, error in attempts.errors.items():
            if (connection := self.gateway.connections.get(name)) is None:
                continue
            if self.request.path != CHAT and error.server_status in NO_ROUTE:
                error.reason += f" at {self.request.path}, which its server may not have"
                if self.request.path == RESPONSES and self.request.body.get("previous_response_id") is None:
                    connection.refusals.note("responses")
            if error.subject == "context":
                limit = connection.refusals.context_tokens or math.inf  # the same length would be too long again
                connection.refusals.note("context", error.context_tokens or int(min(self.request.tokens - 1, limit)))
            elif error.subject in self.request.needs:
                connection.refusals.note(error.subject)
            if name in attempts.unhealthy and self.exchange.is_chat:
                connection.failed(error.reason)

    def _note_end(self, candidate: str, error: EndpointError | None = None) -> None:
        """Tell a candidate's circuit breaker how its answer ended after it had begun."""
        connection = self.gateway.connections.get(candidate)
        if connection is None or not self.exchange.is_chat:
            return
        if error is None:
            connection.breaker.answered()
        elif error.counts:
            connection.failed(error.reason)


def _is_right(request: ChatRequest, answer: Mapping[str, Any]) -> bool:
    """Whether an answer is right by the key in the query's own text. An answer that calls a tool counts as right."""
    text, key = split(text_in(answer)).text, outcome_in(request.user_texts[-1])
    return _calls_tool(answer) or (key is not None and verify(text, key).right)


def _calls_tool(answer: Mapping[str, Any]) -> bool:
    messages = objects([choice.get("message") for choice in objects(answer.get("choices"))])
    return any(message.get("tool_calls") or message.get("function_call") for message in messages)


def make_chunks(answer: Mapping[str, Any], usage: bool, metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A complete answer as chunks of a stream: the answer itself, then `usage` and metadata if requested."""
    choices = []
    for number, choice in enumerate(objects(answer["choices"])):
        delta = {key: value for key, value in (choice.get("message") or {}).items() if value is not None}
        if calls := delta.get("tool_calls"):
            delta["tool_calls"] = [{"index": position, **call} for position, call in enumerate(calls)]
        rest = {key: value for key, value in choice.items() if key != "message"}
        choices.append({"index": number, "finish_reason": None, **rest, "delta": delta})
    empty = {"id": "", "created": int(time.time()), **answer, "object": "chat.completion.chunk", "choices": []}
    count = {"usage": empty.pop("usage", None)}
    more = [*([count] if usage else []), *([metadata] if metadata else [])]
    return [empty | {"choices": choices}, *({**empty, **part} for part in more)]


async def _cancel(running: Iterable[asyncio.Task[Answer]]) -> None:
    """Cancel requests whose answers are no longer needed; their servers stop too."""
    for task in running:
        task.cancel()
    for answer in await asyncio.gather(*running, return_exceptions=True):
        if isinstance(answer, tuple):
            await answer[1].aclose()


def failed(failures: Sequence[tuple[str, EndpointError]]) -> ApiError:
    """The error if no candidate could answer: a server's own if only one was asked, or if all refused the request."""
    alone = len({name for name, _ in failures}) == 1
    if alone or all(error.refused for _, error in failures):
        name, error = failures[-1] if alone else failures[0]
        kind = INVALID if error.refused else SERVER
        message = f"{name} could not answer: {error.client_message}."
        code = "context_length_exceeded" if error.subject == "context" else "upstream_error"
        return ApiError(error.status, message, code, kind=kind, headers=_retry_after(error), body=error.body)
    reasons = "; ".join(f"{name} ({error.client_message})" for name, error in dict(failures).items())
    statuses = {error.status for _, error in failures}
    soonest = min((error for _, error in failures), key=lambda error: error.retry_after or 0)
    message = f"No model could answer: {reasons}."
    status = next((status for status in SHARED_STATUSES if statuses == {status}), 502)
    headers = _retry_after(soonest)
    if len({error.same_as for _, error in failures}) == 1 and failures[0][1].same_as:
        headers["x-should-retry"] = "false"  # the request seems to be the cause; OpenAI's clients read this header
    return ApiError(status, message, "upstream_error", kind=SERVER, headers=headers)


def _retry_after(error: EndpointError) -> dict[str, str]:
    return {"retry-after": f"{error.retry_after:.0f}"} if error.retry_after is not None else {}
