"""Handlers for paths other than chat completions: `/v1/route`, `/v1/rerank` and `/v1/messages/count_tokens`, which are
computed here, and `/v1/responses` and `/v1/embeddings`, which are forwarded to the candidate's server if it has them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.base.errors import listed
from zooter_core.base.strict_json import dump_json, objects
from zooter_core.config.serve import AUTO_MODEL, RMR, VIRTUAL
from zooter_core.learn.traffic_rows import LONGEST_ANSWER, LoggedDecision
from zooter_core.serve.bodies import (
    EMBEDDINGS,
    RESPONSES,
    ChatRequest,
    EmbeddingsBody,
    RerankBody,
    ResponsesBody,
    RouteBody,
    check,
    read_chat,
)
from zooter_core.serve.chat import NO_ROUTE, Asking
from zooter_core.serve.choice import Choice, choose
from zooter_core.serve.errors import ApiError, bad_request, model_not_found
from zooter_core.serve.gateway import Gateway
from zooter_core.serve.reply import Reply
from zooter_core.serve.traffic_log import TrafficLog

ROUTED_AT_ONCE = 16  # conversations: enough to fill a batch, and little wasted work if the client disconnects
MOST_CHARACTERS = 1_000_000  # of the user's turns in all conversations together
INCOMPLETE = ("max_output_tokens", "content_filter")  # reasons for which a response is incomplete
NOT_STORED = (400, *NO_ROUTE)  # statuses of a server that does not have the response


async def answer_route(gateway: Gateway, body: Mapping[str, Any], reply: Reply) -> None:
    """Send the decision on `messages`, or the decisions on `conversations`, in the shape of `zooter route --json`.

    Nothing is stored: the conversation's candidate does not change.

    Raises:
        ApiError: the body is invalid or too large, or no candidate can answer the request.
    """
    conversations, exchange = check(RouteBody, body).conversations, reply.exchange
    body = {**body, "model": body.get("model") or AUTO_MODEL}
    if conversations is None:
        asking = Asking(gateway, ChatRequest(body, exchange.sender), reply)
        await asking.choose()
        await reply.json({"object": "route", **asking.choice.to_json()})
        return
    sender = replace(exchange.sender, session=None)
    requests = [ChatRequest({**body, "messages": messages}, sender) for messages in body["conversations"]]
    if (characters := sum(len(text) for request in requests for text in request.user_texts)) > MOST_CHARACTERS:
        message = f"The user's texts have {characters:,} characters; the limit is {MOST_CHARACTERS:,}."
        raise ApiError(413, message, "request_too_large", "conversations")
    choices: list[Choice] = []
    for start in range(0, len(requests), ROUTED_AT_ONCE):
        part = requests[start : start + ROUTED_AT_ONCE]
        choices += await asyncio.gather(*(choose(gateway, request, exchange.asker) for request in part))
    await reply.json({"object": "list", "data": [choice.to_json() for choice in choices]})


async def answer_rerank(gateway: Gateway, body: Mapping[str, Any], reply: Reply) -> None:
    """Send the documents' indices and rewards, best first. Documents without a reward are left out.

    `relevance_score` is the reward on the scale of the fleet's reward model.

    Raises:
        ApiError: the body is invalid, the fleet has no reward model, or the reward model fails.
    """
    if gateway.fleet.reward is None:
        raise ApiError(404, "This fleet has no reward model, so it cannot rank documents.", "not_found")
    rerank = check(RerankBody, body)
    query, documents = rerank.query, [text if isinstance(text, str) else text.text for text in rerank.documents]
    if rerank.model not in (None, RMR):
        raise model_not_found(rerank.model, f"The reward model is {RMR}.")
    turns = [{"role": "user", "content": query}, *({"role": "assistant", "content": text} for text in documents)]
    asking = Asking(gateway, ChatRequest({**body, "model": RMR, "messages": turns}), reply)
    (rewards,) = await gateway.with_rewards(
        lambda ensemble, stop: ensemble.score_responses([(query, documents)], stop=stop)
    )
    scored = [(reward, place) for place, reward in enumerate(rewards.rewards) if reward is not None]
    best = sorted(scored, key=lambda entry: -entry[0])[: rerank.top_n]  # ties keep their order
    results: list[dict[str, Any]] = [{"index": place, "relevance_score": reward} for reward, place in best]
    if rerank.return_documents:
        for result in results:
            result["document"] = {"text": documents[result["index"]]}
    usage = {"total_tokens": asking.request.prompt_tokens}
    await reply.json({"id": reply.exchange.request_id, "model": RMR, "usage": usage, "results": results})


async def answer_embeddings(gateway: Gateway, body: Mapping[str, Any], reply: Reply) -> None:
    """Forward an embeddings request to the candidate that it names.

    Raises:
        ApiError: it names no candidate, or the candidate's server has no embeddings.
    """
    check(EmbeddingsBody, body)
    if body["model"] in VIRTUAL:
        message = "Name a candidate: the vectors of different models cannot be compared, so they are not routed."
        raise bad_request(message, "model")
    texts = body.get("input") or ""
    content = texts if isinstance(texts, str) else dump_json(texts)  # to estimate its tokens, and for the log
    messages = [{"role": "user", "content": content}]
    await _forward(gateway, ChatRequest({**body, "messages": messages}, path=EMBEDDINGS), reply)


async def answer_count(gateway: Gateway, body: Mapping[str, Any], reply: Reply) -> None:
    """Send the estimate of a prompt's tokens that limits use (`ChatRequest.prompt_tokens`).

    Raises:
        ApiError: the body is invalid, or its model is not served.
    """
    request = read_chat(body)
    if request.model not in gateway.models:
        raise model_not_found(request.model, f"Served here: {listed(gateway.models)}.")
    await reply.json({"input_tokens": request.prompt_tokens})


async def answer_responses(gateway: Gateway, body: Mapping[str, Any], reply: Reply) -> None:
    """Forward a request of the Responses API to the candidate that it names or that the router chooses.

    Raises:
        ApiError: the request is invalid, or the candidate's server does not have this API.
    """
    response = check(ResponsesBody, body)
    messages = list(_messages(response.input))
    if response.instructions:
        messages.insert(0, {"role": "system", "content": response.instructions})
    await _forward(gateway, ChatRequest({**body, "messages": messages}, reply.exchange.sender, RESPONSES), reply)


async def _forward(gateway: Gateway, request: ChatRequest, reply: Reply) -> None:
    """Forward a request to the same path on a candidate's server."""
    asking, exchange = Asking(gateway, request, reply), reply.exchange
    sessions, previous = asking.sessions, request.body.get("previous_response_id")
    writer = sessions.writer(previous) if isinstance(previous, str) else None
    if previous is not None and writer is None and exchange.sender.key is not None:
        # Servers know only our account, so they would continue the conversation of any key.
        message = "This API key has received no such response."
        raise bad_request(message, "previous_response_id", "previous_response_not_found")
    items = objects(request.body.get("input"))
    writers = (sessions.writer(str(item.get("id"))) for item in items if item.get("type") == "item_reference")
    await asking.choose(writer or next(filter(None, writers), None))
    await asking.send_first()
    asking.remember()
    candidate, progress = exchange.outcome.candidate, exchange.outcome.progress
    if request.path == RESPONSES and progress.id and candidate is not None:
        sessions.wrote(progress.id, candidate, None if progress.calls else exchange.request_id)


async def stored_response(
    gateway: Gateway, traffic: TrafficLog | None, response_id: str, key: str | None
) -> dict[str, Any]:
    """A response that an API key has received: from the server that gave it, otherwise its text from the traffic.

    Raises:
        ApiError: this key has no such response, or neither the server nor the traffic has it.
    """
    sessions = gateway.sessions.of(key)
    name = sessions.writer(response_id)
    server = gateway.connections.get(name or "")
    if server is None:
        message = "There is no such response. The endpoint knows only responses that it gave you since it started."
        raise ApiError(404, message, "response_not_found", "response_id")
    try:
        answer: dict[str, Any] = await server.ask(f"{RESPONSES}/{quote(response_id, safe='')}")
        return answer | {"model": name}
    except EndpointError as error:
        request_id = sessions.request(response_id)
        decision = await asyncio.to_thread(traffic.decision, request_id) if traffic and request_id else None
        complete = decision is not None and decision.finish in (None, *INCOMPLETE) and decision.key == key
        if decision is not None and complete and decision.answer and len(decision.answer) < LONGEST_ANSWER:
            return _response_shape(response_id, decision)
        status = 404 if error.server_status in NOT_STORED else error.status
        message = (
            f"{name} does not return this response again: {error.client_message}. It is not stored here either. To "
            "store complete texts that are not very long, set `traffic = true` and `answers = true` in [learn]."
        )
        raise ApiError(status, message, "response_not_stored", "response_id") from None


def _response_shape(response_id: str, decision: LoggedDecision) -> dict[str, Any]:
    """A response made from the stored decision."""
    status = "incomplete" if decision.finish else "completed"
    text: dict[str, Any] = {"type": "output_text", "text": decision.answer, "annotations": []}
    id, prompt, tokens = f"msg_{decision.request_id}", decision.prompt_tokens or 0, decision.tokens or 0
    return {
        "id": response_id,
        "object": "response",
        "created_at": int(decision.time),
        "status": status,
        "error": None,
        "incomplete_details": {"reason": decision.finish} if decision.finish else None,
        "model": decision.candidate,
        "output": [{"id": id, "type": "message", "role": "assistant", "status": status, "content": [text]}],
        "usage": {"input_tokens": prompt, "output_tokens": tokens, "total_tokens": prompt + tokens},
    }


def _messages(items: str | list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The input of the Responses API as messages, as far as routing and the limits read them."""
    for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
        content = item.get("content")
        parts = objects(content) if isinstance(content, list) else content
        role = item.get("role")
        if str(item.get("type")).endswith("_output"):
            output = item.get("output")
            yield {"role": "tool", "content": output if isinstance(output, str) else dump_json(output)}
        elif role in ("user", "system", "developer", "assistant"):
            yield {"role": role, "content": parts if isinstance(parts, str | list) else None}
        else:  # reasoning and calls, which the model wrote
            calls = [item] if str(item.get("type")).endswith("_call") else None
            secret = item.get("encrypted_content")
            yield {"role": "assistant", "content": None, "tool_calls": calls, "encrypted_content": secret}
