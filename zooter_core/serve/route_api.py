"""`POST /v1/route`: the router's decision alone, for one or many conversations."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from zooter_core.serve.chat_request import ChatRequest, check_messages, check_model, check_routing_fields, check_size
from zooter_core.serve.choice import choose
from zooter_core.serve.errors import ApiError, bad_request
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.gateway import AUTO, Gateway
from zooter_core.serve.reply import Out

MOST_CONVERSATIONS = 100
MOST_CHARACTERS = 1_000_000  # of their users, all together


async def answer_route(gateway: Gateway, body: Mapping[str, Any], exchange: Exchange, out: Out) -> None:
    """Send the decision on `messages`, or the decisions on `conversations`, in the shape of `zooter route --json`.

    Nothing is stored: a conversation keeps the candidate that it has.

    Raises:
        ApiError: the body is wrong or too large, or no candidate can answer such a request.
    """
    body = {**body, "model": body.get("model") or AUTO}
    check_model(body)
    check_routing_fields(body)
    if "conversations" not in body:
        check_messages(body.get("messages"))
        request = ChatRequest(body, exchange.session, exchange.key)
        exchange.asks(gateway.fleet, request)
        choice = await exchange.choose(gateway, request)
        await out.json({"object": "route", **choice.to_json()})
        return
    requests = _requests(gateway, body, exchange)
    exchange.fleet, exchange.router_version, exchange.model = gateway.fleet, gateway.router_version, body["model"]
    tasks = [asyncio.create_task(choose(gateway, request, asker=exchange.asker)) for request in requests]
    try:
        choices = await asyncio.gather(*tasks)
    finally:
        for task in tasks:  # the others, if one has failed
            task.cancel()
    await out.json({"object": "list", "data": [choice.to_json() for choice in choices]})


def _requests(gateway: Gateway, body: Mapping[str, Any], exchange: Exchange) -> list[ChatRequest]:
    """The conversations of a body, each as a request."""
    conversations = body["conversations"]
    if not isinstance(conversations, list) or not 0 < len(conversations) <= MOST_CONVERSATIONS:
        raise bad_request(f"`conversations` must be an array of 1 to {MOST_CONVERSATIONS:,}.", "conversations")
    requests, characters = [], 0
    for number, messages in enumerate(conversations):
        check_messages(messages, f"conversations[{number}]")
        request = ChatRequest({**body, "messages": messages}, None, exchange.key)
        check_size(request, gateway.fleet.serve)
        characters += sum(map(len, request.user_texts))
        requests.append(request)
    if characters > MOST_CHARACTERS:
        message = f"The user's texts have {characters:,} characters; the limit is {MOST_CHARACTERS:,}."
        raise ApiError(413, message, "request_too_large", "conversations")
    return requests
