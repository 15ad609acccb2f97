"""Asks the candidates of a request: in turn until one begins to answer, or several together (fleet/attempts.py).

Here failures also get their meaning: for the client's error, for the circuit breakers, for what a server cannot do.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any

from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.base.errors import listed
from zooter_core.fleet.attempts import Attempts
from zooter_core.serve.admission import QUEUE_SECONDS
from zooter_core.serve.errors import INVALID, SERVER, ApiError
from zooter_core.serve.exchange import Exchange, Out
from zooter_core.serve.gateway import Gateway
from zooter_core.serve.targets import AnswerProgress

MOST_FALLBACKS = 5
PLACE_SECONDS = 5.0  # that `auto` waits for a place among a candidate's `parallel` requests, then asks the next
AS_ONE = (404, 429)  # statuses that a client gets if every candidate's server answers with it
Events = AsyncGenerator[bytes, None]
Shape = dict[str, Any]  # a whole answer
Answer = Shape | tuple[bytes, Events]  # a whole one, or the first events of a stream and the others
Ask = Callable[[str, AnswerProgress], Coroutine[Any, Any, Answer]]


async def begun(events: Events) -> Answer:
    """A stream after its first events."""
    return await anext(events), events


async def send_first(gateway: Gateway, exchange: Exchange, ask: Ask, out: Out) -> None:
    """Send the first answer that begins. The caller ends a stream.

    Args:
        ask: asks a candidate; raises EndpointError if it does not begin to answer.

    Raises:
        ApiError: every candidate failed, or the answer broke off.
    """
    assert exchange.choice is not None
    attempts = Attempts(gateway.fleet, exchange.choice.order[: MOST_FALLBACKS + 1])
    exchange.failures = attempts.failures
    first = await _first(gateway, exchange, attempts, ask)
    _note_failures(gateway, exchange, attempts)
    if first is None:
        raise failed(attempts.failures)
    name, answer = first
    if isinstance(answer, dict):
        _note_end(gateway, exchange, name)
        await out.json(answer | exchange.metadata)
    else:
        await _pass_on(gateway, *answer, exchange, out)


async def _first(gateway: Gateway, exchange: Exchange, attempts: Attempts, ask: Ask) -> tuple[str, Answer] | None:
    """The first answer that begins, with its candidate; None if there is none.

    If a candidate is slow, the next one is asked beside it (hedging), and the slower one of both is cancelled.
    """
    config = gateway.fleet.serve
    hedge = config.hedge_seconds if exchange.routed else 0
    running, late = dict[asyncio.Task[Answer], tuple[str, AnswerProgress]](), False
    try:
        while not attempts.at_fault:
            if late or not running:
                if not (names := attempts.next()):
                    break
                await asyncio.sleep(attempts.pause)
                (name,), late = names, False
                if refusal := gateway.refusal(name):
                    attempts.failed(name, refusal)
                    continue
                exchange.hedged = exchange.hedged or bool(running)
                progress = AnswerProgress(patience=QUEUE_SECONDS if name == attempts.last else PLACE_SECONDS)
                exchange.progress = progress
                running[asyncio.create_task(ask(name, progress))] = name, progress
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
                exchange.answers(name, progress)
                attempts.answered(name)
                for other, _ in running.values():
                    slower = f"{name} began to answer before it"
                    attempts.failures.append((other, EndpointError(slower, own_status=504, not_sent=True)))
                return name, answer
    finally:
        await _cancel(running)
    return None


async def _cancel(running: Iterable[asyncio.Task[Answer]]) -> None:
    """End requests that nobody waits for any more; the servers behind stop too."""
    for task in running:
        task.cancel()
    for answer in await asyncio.gather(*running, return_exceptions=True):
        if isinstance(answer, tuple):
            await answer[1].aclose()


async def _pass_on(gateway: Gateway, first: bytes, events: Events, exchange: Exchange, out: Out) -> None:
    """Send an answer that has begun to its end."""
    assert exchange.candidate is not None
    try:
        await out.begin_events()
        await out.write(first)
        async for data in events:
            await out.write(data)
    except EndpointError as error:
        _note_end(gateway, exchange, exchange.candidate, error)
        message = f"{exchange.candidate} broke off: {error.client_message}."
        raise ApiError(502, message, "upstream_error") from None
    else:
        _note_end(gateway, exchange, exchange.candidate)
    finally:
        await events.aclose()


async def ask_together(
    gateway: Gateway, exchange: Exchange, names: Sequence[str], ask: Callable[[str, AnswerProgress], Awaitable[Shape]]
) -> dict[str, Shape]:
    """Ask candidates at the same time. Gives the whole answers, in the order of the names, of those that have one."""
    attempts = Attempts(gateway.fleet, names, together=len(names))
    attempts.failures = exchange.failures  # after those of others that were asked before

    async def answer(name: str) -> Shape:
        exchange.progress = progress = AnswerProgress(patience=QUEUE_SECONDS)
        shape = await ask(name, progress)
        exchange.compared[name] = progress  # now, since the client may go away before the others have answered
        return shape

    resting = {name: refusal for name in names if (refusal := gateway.refusal(name))}
    awake = [name for name in attempts.next() if name not in resting]
    results = await asyncio.gather(*map(answer, awake), return_exceptions=True)
    answers: dict[str, Shape] = {}
    for name, result in (*resting.items(), *zip(awake, results, strict=True)):
        if isinstance(result, EndpointError):
            attempts.failed(name, result)
        elif isinstance(result, BaseException):
            raise result
        else:
            answers[name] = result
            attempts.answered(name)
            _note_end(gateway, exchange, name)
    _note_failures(gateway, exchange, attempts)
    return answers


def _note_failures(gateway: Gateway, exchange: Exchange, attempts: Attempts) -> None:
    """Count the failures of a request for the circuit breakers, and remember what was refused."""
    needs = exchange.request.needs if exchange.request else None
    for name, error in attempts.errors.items():
        if (connection := gateway.connections.get(name)) is None:
            continue
        if error.subject == "context" and needs:
            limit = connection.refusals.context_tokens or math.inf  # what was too long once is too long again
            connection.refusals.note("context", error.context_tokens or int(min(needs.tokens - 1, limit)))
        elif error.subject and getattr(needs, error.subject, False):
            connection.refusals.note(error.subject)
        if name in attempts.ill and exchange.is_chat:
            connection.failed(error.reason)


def _note_end(gateway: Gateway, exchange: Exchange, candidate: str, error: EndpointError | None = None) -> None:
    """Tell a candidate's breaker how its answer ended after it had begun."""
    connection = gateway.connections.get(candidate)
    if connection is None or not exchange.is_chat:
        return
    if error is None:
        connection.breaker.answered()
    elif error.counts:
        connection.failed(error.reason)


def failed(failures: Sequence[tuple[str, EndpointError]]) -> ApiError:
    """The error when no candidate could answer: a server's own if it was the only one or the request is at fault."""
    alone = len({name for name, _ in failures}) == 1
    if alone or all(error.refused for _, error in failures):
        name, error = failures[-1] if alone else failures[0]
        kind = INVALID if error.refused else SERVER
        message = f"{name} could not answer: {error.client_message}."
        return ApiError(
            error.status, message, "upstream_error", kind=kind, headers=_retry_after(error), body=error.body
        )
    reasons = listed((f"{name} ({error.client_message})" for name, error in failures), "; ")
    statuses = {error.status for _, error in failures}
    soonest = min((error for _, error in failures), key=lambda error: error.retry_after or 0)
    message = f"No model could answer: {reasons}."
    status = next((status for status in AS_ONE if statuses == {status}), 502)
    headers = _retry_after(soonest)
    if len({error.same_as for _, error in failures}) == 1 and failures[0][1].same_as:
        headers["x-should-retry"] = "false"  # the request seems to be at fault; OpenAI's clients read this header
    return ApiError(status, message, "upstream_error", kind=SERVER, headers=headers)


def _retry_after(error: EndpointError) -> dict[str, str]:
    return {"retry-after": f"{error.retry_after:.0f}"} if error.retry_after is not None else {}
