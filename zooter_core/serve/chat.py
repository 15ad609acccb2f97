"""Chat completions: the chosen candidate answers; if it fails before its first token, the next one does."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from typing import Any

from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.backends.endpoint.retry import RetryPolicy
from zooter_core.method.selection import unsureness
from zooter_core.serve.best import best_answer
from zooter_core.serve.chat_request import ChatRequest, read_chat
from zooter_core.serve.choice import Choice
from zooter_core.serve.errors import ApiError
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.failures import broke_off, failed, note_end, note_failures, same_elsewhere
from zooter_core.serve.gateway import AUTO_BEST, RMR, Gateway
from zooter_core.serve.reply import Out
from zooter_core.serve.sessions import readable_by
from zooter_core.serve.targets import Progress
from zooter_core.serve.targets.events import chunk_shape, event_of

MOST_FALLBACKS = 5
Events = AsyncGenerator[bytes, None]
Answer = dict[str, Any] | tuple[bytes, Events]  # a whole one, or the first events of a stream and the others
Ask = Callable[[str, Progress], Coroutine[Any, Any, Answer]]


async def answer_chat(gateway: Gateway, body: Mapping[str, Any], exchange: Exchange, out: Out) -> None:
    """Answer a chat completion request.

    Raises:
        ApiError: the request cannot be answered, or every candidate failed.
    """
    request = read_chat(body, exchange.session, exchange.key)
    exchange.asks(gateway.fleet, request)
    choice = await exchange.choose(gateway, request)
    if request.model == RMR:
        exchange.choice = replace(choice, reason="rmr")
        await best_answer(gateway, request, choice.order, exchange, out)
    elif request.model == AUTO_BEST and choice.reason != "tool_loop" and _unsure(gateway, choice):
        exchange.choice = replace(choice, reason="best")
        await best_answer(gateway, request, choice.order[: gateway.fleet.serve.best_of], exchange, out)
    else:
        await _answer(gateway, request, exchange, out)
    if choice.decision is not None and exchange.candidate is not None:
        sessions = gateway.sessions.of(exchange.key)
        sessions.pin(request.session, exchange.candidate)
        for digest in exchange.progress.encrypted:
            sessions.wrote(digest, exchange.candidate)


def _unsure(gateway: Gateway, choice: Choice) -> bool:
    config = gateway.fleet.router
    if config is None or choice.outputs is None:
        return False
    return bool(unsureness(choice.outputs, config.trigger)[0] > config.unsure_above)


async def _answer(gateway: Gateway, request: ChatRequest, exchange: Exchange, out: Out) -> None:
    async def ask(name: str, progress: Progress) -> Answer:
        target, sent = gateway.targets[name], _for(name, gateway, request)
        if request.stream:
            return await begun(target.stream(sent, exchange.routed, progress))
        return await target.complete(sent, exchange.routed, progress)

    await send_first(gateway, exchange, ask, out)
    if request.stream:
        if metadata := exchange.metadata:
            progress, model = exchange.progress, exchange.candidate or ""
            await out.write(event_of(chunk_shape(progress.id, progress.created, model, choices=[], **metadata)))
        await out.end_events()


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
    name, answer = await _first(gateway, exchange, ask)
    note_failures(gateway, exchange)
    if isinstance(answer, dict):
        note_end(gateway, exchange, name)
        await out.json(answer | exchange.metadata)
    else:
        await _pass_on(gateway, *answer, exchange, out)


async def _first(gateway: Gateway, exchange: Exchange, ask: Ask) -> tuple[str, Answer]:
    """The first answer that begins, with its candidate.

    Candidates are asked one after the other: each once, and the last one again as its server's `retries` allow. If one
    is slow, the next one is asked beside it (hedging), and the slower one of both is cancelled.
    """
    assert exchange.choice is not None
    config = gateway.fleet.serve
    hedge = config.hedge_seconds if exchange.routed else 0
    waiting, running = deque(exchange.choice.order[: MOST_FALLBACKS + 1]), dict[asyncio.Task[Answer], str]()
    last, retried, late = waiting[-1], 0, False
    try:
        while waiting or running or await _may_retry(gateway, exchange, last, retried):
            if late or not running:
                name, late = waiting.popleft() if waiting else last, False
                retried += last in {other for other, _ in exchange.failures}
                if refusal := gateway.refusal(name):
                    exchange.ends(name, refusal)
                    continue
                exchange.hedged = exchange.hedged or bool(running)
                progress = exchange.tries(name)
                progress.patience = config.queue_seconds if name == last else config.place_seconds
                running[asyncio.create_task(ask(name, progress))] = name
            more = hedge if waiting and len(running) == 1 else 0
            await asyncio.wait(running, timeout=more or None, return_when=asyncio.FIRST_COMPLETED)
            late = not any(task.done() for task in running)
            for task in [task for task in running if task.done()]:
                name = running.pop(task)
                try:
                    answer = task.result()
                except EndpointError as error:
                    exchange.ends(name, error)
                    if same_elsewhere(gateway, exchange):
                        raise _all_failed(gateway, exchange) from None
                    continue
                exchange.answers(name)
                for other in running.values():
                    exchange.ends(
                        other, EndpointError(f"{name} began to answer before it", own_status=504, not_sent=True)
                    )
                return name, answer
    finally:
        await _cancel(running)
    raise _all_failed(gateway, exchange)


def _all_failed(gateway: Gateway, exchange: Exchange) -> ApiError:
    note_failures(gateway, exchange)
    return failed(exchange)


async def _may_retry(gateway: Gateway, exchange: Exchange, name: str, retried: int) -> bool:
    """Whether a candidate that has failed may be asked again; after the pause before that."""
    error = next(error for other, error in reversed(exchange.failures) if other == name)
    endpoint = gateway.fleet.candidate(name).endpoint
    pause = RetryPolicy(endpoint.retries if endpoint else 0).pause(retried, error.retry_after)
    if not error.temporary or pause is None:
        return False
    await asyncio.sleep(pause)
    return True


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
        note_end(gateway, exchange, exchange.candidate, error)
        raise broke_off(exchange.candidate, error) from None
    else:
        note_end(gateway, exchange, exchange.candidate)
    finally:
        await events.aclose()


def _for(name: str, gateway: Gateway, request: ChatRequest) -> ChatRequest:
    """The request for a candidate, without encrypted reasoning of others."""
    messages = readable_by(name, request.messages, gateway.sessions.of(request.owner))
    if all(new is old for new, old in zip(messages, request.messages, strict=True)):
        return request
    return replace(request, body={**request.body, "messages": messages})
