"""Chat completions: the chosen candidate answers; if it fails before its first token, the next one does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace

from zooter_core.backends.http.retry import RetryPolicy
from zooter_core.serve.best import best_answer
from zooter_core.serve.chat_request import ChatRequest, check_size
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.failures import broke_off, failed
from zooter_core.serve.gateway import AUTO_BEST, RMR, Gateway
from zooter_core.serve.reasoning import readable_by
from zooter_core.serve.reply import Out
from zooter_core.serve.targets import TargetError
from zooter_core.serve.targets.events import chunk_shape, event_of

MOST_FALLBACKS = 5


async def answer_chat(gateway: Gateway, request: ChatRequest, exchange: Exchange, out: Out) -> None:
    """Answer a chat completion request.

    Raises:
        ApiError: the request cannot be answered, or every candidate failed.
    """
    exchange.asks(gateway.fleet, request)
    check_size(request, gateway.fleet.serve)
    choice = await exchange.choose(gateway, request)
    config = gateway.fleet.router
    unsure = config is not None and choice.unsureness > config.unsure_above
    if request.model == RMR:
        await best_answer(gateway, request, choice.order, exchange, out)
    elif request.model == AUTO_BEST and unsure and choice.reason != "tool_loop":
        await best_answer(gateway, request, choice.order[: gateway.fleet.serve.best_of], exchange, out)
    elif request.stream:
        await _stream(gateway, request, exchange, out)
    else:
        await _answer_at_once(gateway, request, exchange, out)
    if choice.decision is not None and exchange.candidate is not None:
        gateway.sessions.pin(request.session, exchange.candidate)
        for digest in exchange.progress.encrypted:
            gateway.sessions.wrote(digest, exchange.candidate)


async def _answer_at_once(gateway: Gateway, request: ChatRequest, exchange: Exchange, out: Out) -> None:
    async for name in attempts(gateway, exchange):
        progress = exchange.tries(name)
        try:
            answer = await gateway.targets[name].complete(_for(name, gateway, request), exchange.routed, progress)
        except TargetError as error:
            exchange.ends(name, error)
            continue
        exchange.answers(name)
        await out.json(answer | ({"zooter": exchange.metadata} if exchange.wants_metadata else {}))
        return
    raise failed(exchange)


async def _stream(gateway: Gateway, request: ChatRequest, exchange: Exchange, out: Out) -> None:
    async for name in attempts(gateway, exchange):
        progress = exchange.tries(name)
        events = gateway.targets[name].stream(_for(name, gateway, request), exchange.routed, progress)
        try:
            first = await anext(events)
        except TargetError as error:
            exchange.ends(name, error)
            continue
        exchange.answers(name)
        await _pass_on(first, events, exchange, out)
        return
    raise failed(exchange)


async def _pass_on(first: bytes, events: AsyncGenerator[bytes, None], exchange: Exchange, out: Out) -> None:
    """Send an answer that has begun to its end."""
    await out.begin_events()
    await out.write(first)
    try:
        async for data in events:
            await out.write(data)
    except TargetError as error:
        raise broke_off(exchange.candidate, error) from None
    finally:
        await events.aclose()
    if exchange.wants_metadata:
        await out.write(metadata_event(exchange))
    await out.end_events()


def metadata_event(exchange: Exchange) -> bytes:
    """The last chunk, with the field `zooter`."""
    progress, model = exchange.progress, exchange.candidate or ""
    return event_of(chunk_shape(progress.id, progress.created, model, choices=[], zooter=exchange.metadata))


def _for(name: str, gateway: Gateway, request: ChatRequest) -> ChatRequest:
    """The request for a candidate, without encrypted reasoning of others."""
    messages = readable_by(name, request.messages, gateway.sessions)
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
