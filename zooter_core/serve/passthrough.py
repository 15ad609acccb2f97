"""`/v1/responses` and `/v1/embeddings`: forwarded to the candidate's server, if it has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from zooter_core.base.strict_json import dump_json
from zooter_core.config.candidates import ENDPOINT
from zooter_core.serve.answering import Answer, begun, send_first
from zooter_core.serve.chat_request import ChatRequest, check_model, check_routing_fields
from zooter_core.serve.errors import ApiError, bad_request
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.gateway import VIRTUAL, Gateway
from zooter_core.serve.reply import Out
from zooter_core.serve.targets import Progress
from zooter_core.serve.targets.upstream import Upstream

RESPONSES, EMBEDDINGS = "/responses", "/embeddings"


async def answer_embeddings(gateway: Gateway, body: Mapping[str, Any], exchange: Exchange, out: Out) -> None:
    """Pass an embeddings request to the candidate that it names.

    Raises:
        ApiError: it names none, or the candidate's server has no embeddings.
    """
    check_model(body)
    if body["model"] in VIRTUAL:
        message = "Name a candidate: the vectors of different models cannot be compared, so they are not routed."
        raise bad_request(message, "model")
    texts = body.get("input") or ""
    content = texts if isinstance(texts, str) else dump_json(texts)  # to estimate its tokens, and for the log
    request = ChatRequest({**body, "messages": [{"role": "user", "content": content}]})
    await _pass(gateway, request, body, EMBEDDINGS, exchange, out)


async def answer_responses(gateway: Gateway, body: Mapping[str, Any], exchange: Exchange, out: Out) -> None:
    """Pass a request of the Responses API to the candidate that it names, or that the router chooses.

    Raises:
        ApiError: the request is wrong, or the candidate's server has no such API.
    """
    check_model(body)
    check_routing_fields(body)
    messages = list(_messages(body.get("input")))
    if not messages:
        raise bad_request("`input` must be a string, or an array with at least one item.", "input")
    request = ChatRequest({**body, "messages": messages}, exchange.session, exchange.key)
    await _pass(gateway, request, body, RESPONSES, exchange, out)


async def _pass(
    gateway: Gateway, request: ChatRequest, body: Mapping[str, Any], path: str, exchange: Exchange, out: Out
) -> None:
    exchange.asks(gateway.fleet, request)
    request = _behind_servers(gateway, request, path)
    sessions, previous = gateway.sessions.of(exchange.key), body.get("previous_response_id")
    writer = sessions.writer(previous) if isinstance(previous, str) else None
    if previous is not None and writer is None and exchange.key is not None:
        # The servers behind know one account, ours: they would continue the conversation of any key.
        message = "There is no such response of this API key."
        raise bad_request(message, "previous_response_id", "previous_response_not_found")
    choice = await exchange.choose(gateway, request, writer)
    if choice.reason == "previous":  # no other server has what the request refers to
        exchange.choice = replace(choice, order=choice.order[:1])

    async def ask(name: str, progress: Progress) -> Answer:
        target = gateway.targets[name]
        assert isinstance(target, Upstream)
        sent = request.for_candidate(target.model, exchange.routed)
        del sent["messages"]
        if request.stream:
            return await begun(target.raw_stream(path, sent, progress))
        return await target.post(path, sent, progress)

    await send_first(gateway, exchange, ask, out)
    if request.stream:
        await out.end_events(done=False)
    assert exchange.candidate is not None
    if exchange.routed:
        sessions.pin(request.session, exchange.candidate)
    if exchange.progress.id:
        sessions.wrote(exchange.progress.id, exchange.candidate)


def _behind_servers(gateway: Gateway, request: ChatRequest, path: str) -> ChatRequest:
    """The request for candidates behind servers alone."""
    remote = [candidate.name for candidate in gateway.fleet.candidates if candidate.backend == ENDPOINT]
    if request.model in gateway.fleet.pool:
        remote = [name for name in remote if name == request.model]
    if not remote:
        message = f"{request.model} has no /v1{path}: it runs on this machine."
        raise ApiError(404, message, "not_found", "model")
    if request.model in gateway.fleet.pool or len(remote) == len(gateway.fleet.pool):
        return request
    wanted = request.allowed or remote
    allowed = [name for name in wanted if name in remote or name not in gateway.fleet.pool]  # `choose` refuses others
    if not allowed:
        raise ApiError(404, f"None of `models` has /v1{path}: they run on this machine.", "not_found", "models")
    return replace(request, body={**request.body, "models": allowed})


def _messages(items: object) -> Iterator[dict[str, Any]]:
    """The input of the Responses API as messages, as far as routing reads them."""
    if isinstance(items, str):
        yield {"role": "user", "content": items}
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, dict):
            raise bad_request("`input` must be a string or an array of objects.", "input")
        content = item.get("content")
        parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else content
        role = item.get("role")
        if str(item.get("type")).endswith("_output"):
            yield {"role": "tool", "content": None}
        elif role in ("user", "system", "developer", "assistant"):
            yield {"role": role, "content": parts if isinstance(parts, str | list) else None}
        else:  # reasoning, calls: the model's own
            yield {"role": "assistant", "content": None, "encrypted_content": item.get("encrypted_content")}
