"""Chat completions: the chosen candidate answers; if it fails before its first token, the next one does.

With reward model ranking (`rmr`, and `auto-best` where the router is unsure), several candidates answer at the same
time, and the reward model keeps the best. Where a query's own text says which answer is right, `auto-best` asks one
after the other, until one is. fleet/attempts.py says who is asked next; here a failure gets its meaning: for the
client's error, for the circuit breakers, for what a server cannot do.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from zooter_core.backends.endpoint.events import Event
from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.backends.thoughts import split
from zooter_core.base.records import Response
from zooter_core.base.strict_json import objects
from zooter_core.config.serve import AUTO_BEST, RMR
from zooter_core.data.evident_keys import key_in, outcome_in
from zooter_core.evaluation.verified import verify
from zooter_core.evaluation.verified.ranking import verified_ranking
from zooter_core.fleet.attempts import Attempts
from zooter_core.serve.admission import QUEUE_SECONDS
from zooter_core.serve.bodies import ChatRequest, read_chat
from zooter_core.serve.choice import Choice, choose
from zooter_core.serve.errors import INVALID, SERVER, ApiError
from zooter_core.serve.exchange import Exchange, Out
from zooter_core.serve.gateway import Gateway
from zooter_core.serve.sessions import readable_by
from zooter_core.serve.targets import AnswerProgress, Events, added_event, chunk_shape, make_event, text_in

MOST_FALLBACKS = 5
PLACE_SECONDS = 5.0  # that `auto` waits for a place among a candidate's `parallel` requests, then asks the next
AS_ONE = (404, 429, 503)  # statuses that a client gets if all candidates fail with it
Shape = dict[str, Any]  # a whole answer
Answer = Shape | tuple[list[Event], Events]  # a whole one, or the first events of a stream and the others
Ask = Callable[[str, AnswerProgress], Coroutine[Any, Any, Answer]]


async def answer_chat(gateway: Gateway, body: Mapping[str, Any], exchange: Exchange, out: Out) -> None:
    """Answer a chat completion request.

    Raises:
        ApiError: the request cannot be answered, or every candidate failed.
    """
    request = read_chat(body, exchange.sender)
    exchange.request = request
    exchange.choice = choice = await choose(gateway, request, exchange.asker)
    first_ones = choice.order[: gateway.fleet.serve.best_of]
    key = outcome_in(request.user_texts[-1]) if request.user_texts else None
    if request.model == RMR:
        exchange.choice = replace(choice, reason="rmr")
        await _best_answer(gateway, request, [choice.order], exchange, out)
    elif request.model == AUTO_BEST and key and _may_compare(request, choice):
        await _best_answer(gateway, request, [[name] for name in first_ones], exchange, out)
    elif request.model == AUTO_BEST and await _unsure(gateway, request, choice):
        await _best_answer(gateway, request, [first_ones], exchange, out)
    else:
        await _answer(gateway, request, exchange, out)
    remember(gateway, request, exchange)


def remember(gateway: Gateway, request: ChatRequest, exchange: Exchange) -> None:
    """Keep the conversation with the candidate that the router chose for it, and know who wrote encrypted reasoning.

    A chore, such as for a title, is no turn of the conversation.
    """
    candidate, sessions = exchange.outcome.candidate, gateway.sessions.of(request.sender.key)
    if candidate is None or request.chore:
        return
    if exchange.routed:
        sessions.pin(request.session, candidate)
    for digest in exchange.outcome.progress.written:
        sessions.wrote(digest, candidate)


def _may_compare(request: ChatRequest, choice: Choice) -> bool:
    """Whether more than one may answer. A tool loop goes on as it is, and a chore is not worth it."""
    return choice.reason != "tool_loop" and not request.chore


async def _unsure(gateway: Gateway, request: ChatRequest, choice: Choice) -> bool:
    """Whether the router is so unsure that several should answer."""
    config, order = gateway.fleet.router, choice.order[: gateway.fleet.serve.best_of]
    if config is None or choice.decision is None or math.isinf(config.unsure_above):
        return False
    if not _may_compare(request, choice):
        return False
    value = await asyncio.to_thread(gateway.ensemble.unsureness, choice.decision, order)
    return value > config.unsure_above


async def _answer(gateway: Gateway, request: ChatRequest, exchange: Exchange, out: Out) -> None:
    async def ask(name: str, progress: AnswerProgress) -> Answer:
        target, sent = gateway.targets[name], _for(name, gateway, request)
        if request.stream:
            events = target.stream(sent, exchange.routed, progress)
            return await anext(events), events
        return await target.complete(sent, exchange.routed, progress)

    await send_first(gateway, exchange, ask, out)
    if request.stream:
        if metadata := exchange.metadata:
            await out.write([added_event(exchange.outcome.progress, exchange.outcome.candidate or "", **metadata)])
        await out.end_events()


def _for(name: str, gateway: Gateway, request: ChatRequest) -> ChatRequest:
    """The request for a candidate, without encrypted reasoning of others.

    Where the client names it, it may be the writer of what nobody is known to have written.
    """
    named = name == request.model
    messages = readable_by(name, request.messages, gateway.sessions.of(request.sender.key), named)
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
        raise failed(exchange.outcome.failures)
    if len(answers) > 1 and exchange.choice and exchange.choice.reason != "rmr":
        exchange.choice = replace(exchange.choice, reason="best")
    name = await _best(gateway, request, answers, exchange)
    answer = answers[name]
    _begins(exchange, name, exchange.outcome.compared[name])
    if not request.stream:
        await out.json(answer | exchange.metadata)
        return
    await out.begin_events()
    chunks = make_chunks(answer, request.wants_usage, exchange.metadata)
    await out.write([make_event(chunk) for chunk in chunks])
    await out.end_events()


def _is_right(request: ChatRequest, answer: Mapping[str, Any]) -> bool:
    """Whether an answer is right by the key in the query's own text. One that calls a tool goes to the client."""
    text, key = split(text_in(answer)).text, outcome_in(request.user_texts[-1])
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
    exchange.outcome.rewards = {entry.response.candidate: entry.reward for entry in ranked}
    return ranked[0].response.candidate


def _calls_tool(answer: Mapping[str, Any]) -> bool:
    messages = objects([choice.get("message") for choice in objects(answer.get("choices"))])
    return any(message.get("tool_calls") or message.get("function_call") for message in messages)


def make_chunks(answer: Mapping[str, Any], usage: bool, metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A whole answer as the chunks of a stream: the answer itself, then its `usage` and the metadata where wanted."""
    choices = []
    for number, choice in enumerate(objects(answer["choices"])):
        delta = {key: value for key, value in (choice.get("message") or {}).items() if value is not None}
        if calls := delta.get("tool_calls"):
            delta["tool_calls"] = [{"index": position, **call} for position, call in enumerate(calls)]
        rest = {key: value for key, value in choice.items() if key != "message"}
        choices.append({"index": number, "finish_reason": None, **rest, "delta": delta})
    more: list[Mapping[str, Any]] = [{"usage": answer.get("usage")}] if usage else []
    more += [metadata] if metadata else []
    created = answer.get("created") or int(time.time())
    head = {key: value for key, value in answer.items() if key not in ("choices", "usage")}
    empty = head | chunk_shape(str(answer.get("id") or ""), created, str(answer["model"]), choices=[])
    return [empty | {"choices": choices}, *({**empty, **part} for part in more)]


def _begins(exchange: Exchange, candidate: str, progress: AnswerProgress) -> None:
    exchange.outcome.candidate, exchange.outcome.progress = candidate, progress
    exchange.outcome.first_token_seconds = time.perf_counter() - exchange.started


async def send_first(gateway: Gateway, exchange: Exchange, ask: Ask, out: Out) -> None:
    """Send the first answer that begins. The caller ends a stream.

    Args:
        ask: asks a candidate; raises EndpointError if it does not begin to answer.

    Raises:
        ApiError: every candidate failed, or the answer broke off.
    """
    assert exchange.choice is not None
    attempts = Attempts(gateway.fleet, exchange.choice.order[: MOST_FALLBACKS + 1])
    exchange.outcome.failures = attempts.failures
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
        while True:
            if late or not running:
                if not (names := attempts.next()):
                    break
                await asyncio.sleep(attempts.pause)
                (name,), late = names, False
                if refusal := gateway.refusal(name):
                    attempts.failed(name, refusal)
                    continue
                progress = AnswerProgress(patience=QUEUE_SECONDS if name == attempts.last else PLACE_SECONDS)
                exchange.outcome.progress = progress
                exchange.outcome.hedged = exchange.outcome.hedged or bool(running)
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
                _begins(exchange, name, progress)
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


async def _pass_on(gateway: Gateway, first: list[Event], events: Events, exchange: Exchange, out: Out) -> None:
    """Send an answer that has begun to its end."""
    candidate = exchange.outcome.candidate
    assert candidate is not None
    try:
        await out.begin_events()
        await out.write(first)
        async for part in events:
            await out.write(part)
    except EndpointError as error:
        _note_end(gateway, exchange, candidate, error)
        raise ApiError(502, f"{candidate} broke off: {error.client_message}.", "upstream_error") from None
    else:
        _note_end(gateway, exchange, candidate)
    finally:
        await events.aclose()


async def ask_together(
    gateway: Gateway, exchange: Exchange, names: Sequence[str], ask: Callable[[str, AnswerProgress], Awaitable[Shape]]
) -> dict[str, Shape]:
    """Ask candidates at the same time. Gives the whole answers, in the order of the names, of those that have one."""
    attempts = Attempts(gateway.fleet, names, together=len(names))
    attempts.failures = exchange.outcome.failures  # after those of others that were asked before

    async def answer(name: str) -> Shape:
        exchange.outcome.progress = progress = AnswerProgress(patience=QUEUE_SECONDS)
        shape = await ask(name, progress)
        exchange.outcome.compared[name] = progress  # now, since the client may go away before the others have answered
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
    reasons = "; ".join(f"{name} ({error.client_message})" for name, error in dict(failures).items())
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
