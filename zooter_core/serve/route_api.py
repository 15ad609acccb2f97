"""`POST /v1/route`: the router's decision alone, for one or many conversations."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from zooter_core.serve.chat_request import ChatRequest, check_messages, check_routing_fields, check_size
from zooter_core.serve.choice import choose
from zooter_core.serve.errors import bad_request
from zooter_core.serve.gateway import AUTO, Gateway

MOST_CONVERSATIONS = 1000


async def route_only(gateway: Gateway, body: Mapping[str, Any], session: str | None) -> dict[str, Any]:
    """The decision on `messages`, or the decisions on `conversations`, in the shape of `zooter route --json`.

    Nothing is stored: a conversation keeps the candidate that it has.

    Raises:
        ApiError: the body is wrong, or no candidate can answer such a request.
    """
    many = "conversations" in body
    conversations = body["conversations"] if many else [body.get("messages")]
    if not isinstance(conversations, list) or not 0 < len(conversations) <= MOST_CONVERSATIONS:
        raise bad_request(f"`conversations` must be an array of 1 to {MOST_CONVERSATIONS:,}.", "conversations")
    check_routing_fields(body)
    requests = []
    for number, messages in enumerate(conversations):
        check_messages(messages, f"conversations[{number}]" if many else "messages")
        request = ChatRequest({**body, "model": AUTO, "messages": messages}, None if many else session)
        check_size(request, gateway.fleet.serve)
        requests.append(request)
    choices = await asyncio.gather(*(choose(gateway, request) for request in requests))
    if many:
        return {"object": "list", "data": [choice.to_json() for choice in choices]}
    return {"object": "route", **choices[0].to_json()}
