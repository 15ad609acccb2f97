"""Chat completions: the chosen candidate answers; if it fails before its first token, the next one does.

With reward model ranking (`rmr`, and `auto-best` where the router is unsure), several candidates answer at the same
time, and the reward model keeps the best. Where a query's own text says which answer is right, `auto-best` asks one
after the other, until one is.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from zooter_core.backends.thoughts import split
from zooter_core.base.records import Response
from zooter_core.base.strict_json import objects
from zooter_core.config.serve import AUTO_BEST, RMR
from zooter_core.data.evident_keys import key_in
from zooter_core.evaluation.verified import verify
from zooter_core.evaluation.verified.ranking import verified_ranking
from zooter_core.serve.answering import Answer, ask_together, begun, failed, send_first
from zooter_core.serve.chat_request import ChatRequest, read_chat
from zooter_core.serve.choice import Choice
from zooter_core.serve.exchange import Exchange, Out
from zooter_core.serve.gateway import Gateway
from zooter_core.serve.sessions import readable_by
from zooter_core.serve.targets import AnswerProgress, chunk_shape, encode_event, text_in


async def answer_chat(gateway: Gateway, body: Mapping[str, Any], exchange: Exchange, out: Out) -> None:
    """Answer a chat completion request.

    Raises:
        ApiError: the request cannot be answered, or every candidate failed.
    """
    request = read_chat(body, exchange.session, exchange.key, exchange.thinking)
    exchange.asks(gateway.fleet, request)
    choice = await exchange.choose(gateway, request)
    first_ones = choice.order[: gateway.fleet.serve.best_of]
    key = key_in(request.user_texts[-1]) if request.user_texts else None
    if request.model == RMR:
        exchange.choice = replace(choice, reason="rmr")
        await _best_answer(gateway, request, [choice.order], exchange, out)
    elif request.model == AUTO_BEST and key and _may_compare(request, choice):
        await _best_answer(gateway, request, [[name] for name in first_ones], exchange, out)
    elif request.model == AUTO_BEST and await _unsure(gateway, request, choice):
        await _best_answer(gateway, request, [first_ones], exchange, out)
    else:
        await _answer(gateway, request, exchange, out)
    if exchange.candidate is not None and not request.chore:
        sessions = gateway.sessions.of(exchange.key)
        if choice.decision is not None:
            sessions.pin(request.session, exchange.candidate)
        for digest in exchange.progress.encrypted:
            sessions.wrote(digest, exchange.candidate)


def _may_compare(request: ChatRequest, choice: Choice) -> bool:
    """Whether more than one may answer. A tool loop goes on as it is, and a chore is not worth it."""
    return choice.reason != "tool_loop" and not request.chore


async def _unsure(gateway: Gateway, request: ChatRequest, choice: Choice) -> bool:
    """Whether the router is so unsure that several should answer."""
    config, order = gateway.fleet.router, choice.order[: gateway.fleet.serve.best_of]
    if config is None or math.isinf(config.unsure_above) or not _may_compare(request, choice):
        return False
    if choice.decision is None or choice.outputs is None:
        return False
    value = await asyncio.to_thread(gateway.ensemble.unsureness, choice.decision, choice.outputs, order)
    return value > config.unsure_above


async def _answer(gateway: Gateway, request: ChatRequest, exchange: Exchange, out: Out) -> None:
    async def ask(name: str, progress: AnswerProgress) -> Answer:
        target, sent = gateway.targets[name], _for(name, gateway, request)
        if request.stream:
            return await begun(target.stream(sent, exchange.routed, progress))
        return await target.complete(sent, exchange.routed, progress)

    await send_first(gateway, exchange, ask, out)
    if request.stream:
        if metadata := exchange.metadata:
            progress, model = exchange.progress, exchange.candidate or ""
            await out.write(encode_event(chunk_shape(progress.id, progress.created, model, choices=[], **metadata)))
        await out.end_events()


def _for(name: str, gateway: Gateway, request: ChatRequest) -> ChatRequest:
    """The request for a candidate, without encrypted reasoning of others.

    Where the client names it, it may be the writer of what nobody is known to have written.
    """
    named = name == request.model
    messages = readable_by(name, request.messages, gateway.sessions.of(request.owner), named)
    if all(new is old for new, old in zip(messages, request.messages, strict=True)):
        return request
    return replace(request, body={**request.body, "messages": messages})


async def _best_answer(
    gateway: Gateway, request: ChatRequest, rounds: Sequence[Sequence[str]], exchange: Exchange, out: Out
) -> None:
    """Let candidates answer and send the best answer; a stream has it as one chunk.

    Args:
        rounds: those of a round answer at the same time. The next round begins unless an answer is known to be right.

    Raises:
        ApiError: no candidate answered, or the reward model failed.
    """
    body = {key: value for key, value in request.body.items() if key not in ("stream", "stream_options")}
    unstreamed = replace(request, body=body)

    async def ask(name: str, progress: AnswerProgress) -> dict[str, Any]:
        return await gateway.targets[name].complete(unstreamed, True, progress)

    answers: dict[str, dict[str, Any]] = {}
    for names in rounds:
        answers |= await ask_together(gateway, exchange, names, ask)
        if len(rounds) > 1 and any(map(partial(_is_right, request), answers.values())):
            break
    if not answers:
        raise failed(exchange.failures)
    if len(answers) > 1 and exchange.choice and exchange.choice.reason != "rmr":
        exchange.choice = replace(exchange.choice, reason="best")
    name = await _best(gateway, request, answers, exchange)
    answer = answers[name]
    exchange.answers(name, exchange.compared[name])
    if not request.stream:
        await out.json(answer | exchange.metadata)
        return
    await out.begin_events()
    await out.write(b"".join(encode_event(chunk) for chunk in split_into_chunks(answer, request.wants_usage)))
    if metadata := exchange.metadata:
        await out.write(encode_event(_chunk(answer, choices=[], **metadata)))
    await out.end_events()


def _is_right(request: ChatRequest, answer: Mapping[str, Any]) -> bool:
    """Whether an answer is right by the key in the query's own text. One that calls a tool goes to the client."""
    text, key = split(text_in(answer)).text, key_in(request.user_texts[-1])
    return _calls_tool(answer) or (key is not None and verify(text, key).right)


async def _best(
    gateway: Gateway, request: ChatRequest, answers: Mapping[str, dict[str, Any]], exchange: Exchange
) -> str:
    """The name of the best answer. One that calls a tool has no text to reward: then the router's choice stands."""
    first = next(iter(answers))
    texts = {name: split(text_in(answer)).text for name, answer in answers.items()}
    responses = [Response(name, text) for name, text in texts.items() if text]  # some end in their thoughts
    if len(answers) == 1 or not responses or _calls_tool(answers[first]):
        return first
    query = request.user_texts[-1] if request.user_texts else ""
    ranked = await gateway.with_rewards(lambda ensemble, stop: ensemble.rank_responses(query, responses, stop))
    if key := key_in(query):
        ranked = verified_ranking(ranked, key)
    exchange.rewards = {entry.response.candidate: entry.reward for entry in ranked}
    return ranked[0].response.candidate


def _calls_tool(answer: Mapping[str, Any]) -> bool:
    messages = objects([choice.get("message") for choice in objects(answer.get("choices"))])
    return any(message.get("tool_calls") or message.get("function_call") for message in messages)


def split_into_chunks(answer: Mapping[str, Any], usage: bool) -> list[dict[str, Any]]:
    """A whole answer as the chunks of a stream, the last one with its `usage` if that is wanted."""
    first, last = [], []
    for number, choice in enumerate(answer["choices"]):
        message, index = choice.get("message") or {}, choice.get("index", number)
        delta = {key: value for key, value in message.items() if value is not None}
        if calls := delta.get("tool_calls"):
            delta["tool_calls"] = [{"index": position, **call} for position, call in enumerate(calls)]
        first.append({"index": index, "delta": delta, "logprobs": choice.get("logprobs"), "finish_reason": None})
        last.append({"index": index, "delta": {}, "finish_reason": choice.get("finish_reason")})
    chunks = [_chunk(answer, choices=first), _chunk(answer, choices=last)]
    if usage:
        chunks.append(_chunk(answer, choices=[], usage=answer.get("usage")))
    return chunks


def _chunk(answer: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    created = answer.get("created") or int(time.time())
    return chunk_shape(str(answer.get("id") or ""), created, str(answer["model"]), **more)
