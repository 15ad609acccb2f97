"""Chat completions: the chosen candidate answers; if it fails before its first token, the next one does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from zooter_core.backends.http.retry import RetryPolicy
from zooter_core.serve.best import best_answer
from zooter_core.serve.chat_request import ChatRequest, read_chat
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.failures import broke_off, failed
from zooter_core.serve.gateway import AUTO_BEST, RMR, Gateway
from zooter_core.serve.reasoning import readable_by
from zooter_core.serve.reply import Out
from zooter_core.serve.targets import Progress, TargetError
from zooter_core.serve.targets.events import chunk_shape, event_of

MOST_FALLBACKS = 5
Events = AsyncGenerator[bytes, None]
Answer = dict[str, Any] | tuple[bytes, Events]  # a whole one, or the first events of a stream and the others
Ask = Callable[[str, Progress], Awaitable[Answer]]


async def answer_chat(gateway: Gateway, body: Mapping[str, Any], exchange: Exchange, out: Out) -> None:
    """Answer a chat completion request.

    Raises:
        ApiError: the request cannot be answered, or every candidate failed.
    """
    request = read_chat(body, exchange.session, exchange.key)
    exchange.asks(gateway.fleet, request)
    choice = await exchange.choose(gateway, request)
    config = gateway.fleet.router
    unsure = config is not None and choice.unsureness > config.unsure_above
    if request.model == RMR:
        exchange.choice = replace(choice, reason="rmr")
        await best_answer(gateway, request, choice.order, exchange, out)
    elif request.model == AUTO_BEST and unsure and choice.reason != "tool_loop":
        exchange.choice = replace(choice, reason="best")
        await best_answer(gateway, request, choice.order[: gateway.fleet.serve.best_of], exchange, out)
    else:
        await _answer(gateway, request, exchange, out)
    if choice.decision is not None and exchange.candidate is not None:
        sessions = gateway.sessions.of(exchange.key)
        sessions.pin(request.session, exchange.candidate)
        for digest in exchange.progress.encrypted:
            sessions.wrote(digest, exchange.candidate)


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
        ask: asks a candidate; raises TargetError if it does not begin to answer.

    Raises:
        ApiError: every candidate failed, or the answer broke off.
    """
    async for name in attempts(gateway, exchange):
        try:
            answer = await ask(name, exchange.tries(name))
        except TargetError as error:
            exchange.ends(name, error)
            continue
        exchange.answers(name)
        if isinstance(answer, dict):
            await out.json(answer | exchange.metadata)
        else:
            await _pass_on(*answer, exchange, out)
        return
    raise failed(exchange)


async def _pass_on(first: bytes, events: Events, exchange: Exchange, out: Out) -> None:
    """Send an answer that has begun to its end."""
    try:
        await out.begin_events()
        await out.write(first)
        async for data in events:
            await out.write(data)
    except TargetError as error:
        raise broke_off(exchange.candidate, error) from None
    finally:
        await events.aclose()


def _for(name: str, gateway: Gateway, request: ChatRequest) -> ChatRequest:
    """The request for a candidate, without encrypted reasoning of others."""
    messages = readable_by(name, request.messages, gateway.sessions.of(request.owner))
    if all(new is old for new, old in zip(messages, request.messages, strict=True)):
        return request
    return replace(request, body={**request.body, "messages": messages})


async def attempts(gateway: Gateway, exchange: Exchange) -> AsyncIterator[str]:
    """The candidates to ask, one after the other: each once, and the last one again as its server's `retries` allow."""
    assert exchange.choice is not None
    order = exchange.choice.order[: MOST_FALLBACKS + 1]
    for name in order:
        if refusal := gateway.refusal(name):
            exchange.ends(name, refusal)
        else:
            yield name
    endpoint = gateway.fleet.candidate(order[-1]).endpoint
    policy, attempt = RetryPolicy(endpoint.retries if endpoint else 0), 0
    while (error := exchange.failures[-1][1]).temporary:
        if (pause := policy.pause(attempt, error.retry_after)) is None:
            return
        await asyncio.sleep(pause)
        attempt += 1
        yield order[-1]
