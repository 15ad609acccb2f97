"""Chooses who answers a request, by the candidates' abilities, the router, prices and the conversation so far."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zooter_core.backends.endpoint.health import Refusals
from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.records import Decision
from zooter_core.config.candidates import ENDPOINT, CandidateConfig
from zooter_core.config.fleet import Fleet
from zooter_core.config.serve import VIRTUAL
from zooter_core.data import prices
from zooter_core.serve.bodies import ChatRequest, read_text
from zooter_core.serve.errors import TOO_LONG, ApiError, bad_request, model_not_found
from zooter_core.serve.gateway import Gateway
from zooter_core.serve.sessions import find_writer
from zooter_core.serve.targets import SPARED

NEEDS = {
    "images": "images are not supported",
    "tools": "tools are not supported",
    "json_mode": "JSON mode is not supported",
}
SWITCH_MARGIN = 0.1  # a conversation changes its candidate if another one's probability is higher by more than this
# Fields of the API that a local candidate cannot honour, with the values that ask for nothing.
UNSUPPORTED: Mapping[str, Sequence[Any]] = {
    "tools": (None, []),
    "functions": (None, []),
    "n": (None, 1),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "logit_bias": (None, {}),
    "presence_penalty": (None, 0),
    "frequency_penalty": (None, 0),
    "audio": (None,),
    "modalities": (None, ["text"]),
    "prediction": (None,),
    "web_search_options": (None,),
}


@dataclass(frozen=True)
class Choice:
    """The candidates for a request."""

    order: tuple[str, ...]  # the candidate to ask, then those to ask if it fails
    # `named`, `router`, `sticky`, `switched`, `tool_loop`, `previous` (the client continues an answer of that
    # candidate), `chore` (a chat UI asks for its own purposes), `rmr` (the reward model chooses among all candidates)
    # or `best` (it chooses among the first ones).
    reason: str
    decision: Decision | None = None  # the router's; None if the client named a candidate
    passed_over: Mapping[str, str] = field(default_factory=dict)  # candidates that are not asked, with the reason
    seconds: float = 0.0  # how long the choice took, including waiting; 0 if the client named a candidate

    def to_json(self) -> dict[str, Any]:
        """The decision in the shape of `zooter route --json`, with the reason; never the query itself."""
        shape = self.decision.to_json() if self.decision else {}
        shape.pop("query", None)
        passed = [{"candidate": name, "reason": reason} for name, reason in self.passed_over.items()]
        return shape | {"candidate": self.order[0], "reason": self.reason, "passed_over": passed}


async def choose(gateway: Gateway, request: ChatRequest, asker: str = "", writer: str | None = None) -> Choice:
    """Choose the candidates for a request.

    Args:
        asker: the client that takes a turn at the router (`BatchRouter.route`).
        writer: the candidate that stores what the request refers to, if any. If it can answer, no other is asked.

    Raises:
        ApiError: the model is not served, or no candidate can answer the request.
    """
    fleet, started = gateway.fleet, time.perf_counter()
    if request.model in fleet.pool:
        return _named(fleet, request)
    if request.model not in gateway.models:
        raise model_not_found(request.model, f"Served here: {listed(gateway.models)}.")
    passed_over = _passed_over(gateway, request)
    able = [name for name in fleet.pool if name not in passed_over]
    if not able:
        alike = {why: [name for name in passed_over if passed_over[name] == why] for why in passed_over.values()}
        reasons = "; ".join(f"{listed(names)}: {reason}" for reason, names in alike.items())
        too_long = any(reason.startswith(TOO_LONG) for reason in passed_over.values())
        code = "context_length_exceeded" if too_long else "no_capable_model"
        raise bad_request(f"No model here can answer this request ({reasons}).", code=code)
    try:
        decision = _priced(fleet, request, await gateway.router.route(request.user_texts, asker), able)
    except ZooterError as problem:
        if problem.exit_code == 2:
            raise bad_request(str(problem)) from None
        raise ApiError(500, "The router failed; see the server's log.", "router_failed") from problem
    order = [name for name in decision.order if name in able]
    if writer and writer in order:
        order, reason = [writer], "previous"
    else:
        first, reason = _pick_first(gateway, request, decision, order)
        order = [first, *(name for name in order if name != first)]
    return Choice(tuple(order), reason, decision, passed_over, time.perf_counter() - started)


def _named(fleet: Fleet, request: ChatRequest) -> Choice:
    candidate = fleet.candidate(request.model)
    if lacking := unsupported(candidate, request.body):
        param, reason = lacking
        reason = unable(candidate, request, None) or reason
        message = f"{request.model}, which runs on this machine, cannot answer this request: {reason}."
        raise bad_request(message, param, "unsupported_parameter")
    return Choice((request.model,), "named")


def _passed_over(gateway: Gateway, request: ChatRequest) -> dict[str, str]:
    """The candidates that cannot or must not answer, with the reason."""
    fleet, wanted = gateway.fleet, request.body.get("models") or ()
    if unknown := [name for name in wanted if name not in (*fleet.pool, *VIRTUAL)]:
        raise bad_request(
            f"`models` names {listed(unknown)}, but the candidates here are {listed(fleet.pool)}.", "models"
        )
    allowed = [name for name in wanted if name in fleet.pool] or fleet.pool
    demands = {name: value for name, value in request.body.items() if name not in SPARED}
    reasons = {}
    for candidate in fleet.candidates:
        if candidate.name not in allowed:
            reasons[candidate.name] = "not among `models`"
            continue
        connection = gateway.connections.get(candidate.name)
        if reason := unable(candidate, request, connection.refusals if connection else None):
            reasons[candidate.name] = reason
        elif lacking := unsupported(candidate, demands):
            reasons[candidate.name] = lacking[1]
    return reasons


def _priced(fleet: Fleet, request: ChatRequest, decision: Decision, able: Sequence[str]) -> Decision:
    """The decision, with utilities if the client trades quality against price."""
    willingness = request.body.get("willingness_to_pay")
    if willingness is None:
        return decision
    tokens = request.answer_tokens or prices.TOKENS
    prices.price_list(fleet, able)  # refuses a candidate without a price
    costs = [prices.cost(fleet.candidate(name), request.prompt_tokens, tokens) for name in able]
    return prices.by_dollars(decision, dict(zip(able, costs, strict=True)), willingness)


def _pick_first(gateway: Gateway, request: ChatRequest, decision: Decision, order: Sequence[str]) -> tuple[str, str]:
    """The candidate to ask first, and why: the router's choice, or the candidate that the conversation already has."""
    sessions, config = gateway.sessions.of(request.sender.key), gateway.fleet.serve
    if config.chores is not None and config.chores in order and request.chore:
        return config.chores, "chore"
    pinned, seconds = sessions.pinned(request.session)
    current = find_writer(request.messages, sessions) or pinned
    if current is None or current not in order:
        return order[0], "router"
    if request.in_tool_loop:
        return current, "tool_loop"
    if current == order[0] or seconds > config.sticky_seconds:
        return order[0], "router"
    values = decision.utilities or decision.probabilities
    if values[order[0]] - values[current] > SWITCH_MARGIN:
        return order[0], "switched"
    return current, "sticky"


def unable(candidate: CandidateConfig, request: ChatRequest, refusals: Refusals | None) -> str | None:
    """Why a candidate cannot answer a request; None if it can.

    Args:
        refusals: what its server refused recently. This decides where fleet.toml says nothing. None if it is local.
    """
    context = candidate.context_tokens or (refusals.context_tokens if refusals else None)
    if context is not None and request.tokens > context:
        prompt, answer = request.prompt_tokens, request.answer_tokens
        if prompt > context:
            return f"{TOO_LONG[0]}: {prompt} tokens > {context} maximum"
        return f"{TOO_LONG[1]}: {prompt} + {answer} > {context}"
    for name, reason in NEEDS.items():
        able = getattr(candidate, name)
        if name not in request.needs or able:
            continue
        if able is False or candidate.backend != ENDPOINT:
            return reason
        if refusals and name in refusals:
            return f"{reason}, according to its server"
    if "responses" in request.needs and refusals and "responses" in refusals:
        return "its server does not have the Responses API"
    return None


def unsupported(candidate: CandidateConfig, body: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first field of a request that a local candidate cannot honour, and why; None for candidates on servers."""
    if candidate.backend == ENDPOINT:
        return None
    if body.get("input") is not None:
        return "input", "only chat completions are supported"
    fields = [name for name, neutral in UNSUPPORTED.items() if body.get(name) not in neutral]
    if isinstance(form := body.get("response_format"), Mapping) and form.get("type") not in (None, "text"):
        fields.append("response_format")
    for number, message in enumerate(body["messages"]):
        content = message.get("content")
        other = isinstance(content, list) and any(part.get("type") not in ("text", "input_text") for part in content)
        if other or message["role"] in ("tool", "function") or message.get("tool_calls"):
            fields.append(f"messages[{number}]")
    if fields:
        return fields[0], f"this value of `{fields[0]}` is not supported"
    if not read_text(body["messages"][-1].get("content")).strip():
        return "messages", "the last message has no text"
    return None
