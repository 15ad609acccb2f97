"""Who should answer a request: capability gate, router, price, and the conversation so far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.records import Decision
from zooter_core.config.fleet import Fleet
from zooter_core.data import prices
from zooter_core.method.selection import Outputs
from zooter_core.serve.capabilities import unable, unsupported
from zooter_core.serve.chat_request import ChatRequest
from zooter_core.serve.errors import ApiError, bad_request, model_not_found
from zooter_core.serve.gateway import VIRTUAL, Gateway
from zooter_core.serve.reasoning import writer_of


@dataclass(frozen=True)
class Choice:
    """The candidates for a request.

    Attributes:
        order: whom to ask, and who comes next if that fails.
        reason: `named`, `router`, `sticky`, `switched`, `tool_loop`, `previous` (the client continues an answer of that
            candidate), or `rmr` and `best` (the reward model chooses among all, or among the first ones).
        decision: the router's; None if the client named a candidate.
        passed_over: candidates that are not asked, with the reason.
        outputs: what the decision came from; None if there is none.
    """

    order: tuple[str, ...]
    reason: str
    decision: Decision | None = None
    passed_over: Mapping[str, str] = field(default_factory=dict)
    outputs: Outputs | None = None

    def to_json(self) -> dict[str, Any]:
        """The decision in the shape of `zooter route --json`, with the reason; never the query itself."""
        shape = (
            {key: value for key, value in self.decision.to_json().items() if key != "query"} if self.decision else {}
        )
        passed = [{"candidate": name, "reason": reason} for name, reason in self.passed_over.items()]
        return shape | {"candidate": self.order[0], "reason": self.reason, "passed_over": passed}


async def choose(gateway: Gateway, request: ChatRequest, writer: str | None = None, asker: str = "") -> Choice:
    """Choose the candidates for a request.

    Args:
        writer: the candidate that holds what the request refers to, if there is one. It stays if it can answer.
        asker: whose turn it takes at the router (`BatchRouter.route`).

    Raises:
        ApiError: the model is not served, or no candidate can answer such a request.
    """
    fleet = gateway.fleet
    if request.model in fleet.pool:
        return _named(fleet, request)
    if request.model not in gateway.models:
        raise model_not_found(request.model, f"Served here: {listed(gateway.models)}.")
    passed_over = _passed_over(gateway, request)
    able = [name for name in fleet.pool if name not in passed_over]
    if not able:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in passed_over.items())
        raise bad_request(f"No model here can answer this request ({reasons}).", code="no_capable_model")
    try:
        routed = await gateway.router.route(request.user_texts, asker)
        decision = _priced(fleet, request, routed.decision, able)
    except ZooterError as problem:
        if problem.exit_code == 2:
            raise bad_request(str(problem)) from None
        raise ApiError(
            500, "The router failed; see the server's log.", "router_failed", kind="server_error"
        ) from problem
    order = [name for name in decision.order if name in able]
    first, reason = (writer, "previous") if writer and writer in order else _settled(gateway, request, decision, order)
    order.remove(first)
    return Choice((first, *order), reason, decision, passed_over, routed.outputs)


def _named(fleet: Fleet, request: ChatRequest) -> Choice:
    candidate = fleet.candidate(request.model)
    if param := unsupported(candidate, request.body):
        message = f"{request.model} runs on this machine and does not support `{param}` as it is in this request."
        raise bad_request(message, param, "unsupported_parameter")
    return Choice((request.model,), "named")


def _passed_over(gateway: Gateway, request: ChatRequest) -> dict[str, str]:
    """The candidates that cannot or must not answer, with the reason."""
    fleet, connections = gateway.fleet, gateway.connections
    if unknown := [name for name in request.allowed or () if name not in (*fleet.pool, *VIRTUAL)]:
        raise bad_request(
            f"`models` names {listed(unknown)}, but the candidates here are {listed(fleet.pool)}.", "models"
        )
    allowed = [name for name in request.allowed or () if name in fleet.pool] or fleet.pool
    reasons = {}
    for candidate in fleet.candidates:
        if candidate.name not in allowed:
            reasons[candidate.name] = "not among `models`"
            continue
        connection = connections.get(candidate.name)
        if reason := unable(candidate, request.needs, connection.refusals if connection else None):
            reasons[candidate.name] = reason
        elif param := unsupported(candidate, request.body):
            reasons[candidate.name] = f"does not support {param}"
    return reasons


def _priced(fleet: Fleet, request: ChatRequest, decision: Decision, able: Sequence[str]) -> Decision:
    """The decision with utilities, if the client trades quality against price."""
    if math.isinf(request.willingness_to_pay):
        return decision
    tokens = request.body.get("max_completion_tokens") or request.body.get("max_tokens")
    tokens = tokens if type(tokens) is int and tokens > 0 else prices.TOKENS
    prices.prices_of(fleet, able)  # refuses a candidate without a price
    costs = [prices.cost(fleet.candidate(name), request.prompt_tokens, tokens) for name in able]
    return prices.by_dollars(decision, dict(zip(able, costs, strict=True)), request.willingness_to_pay)


def _settled(gateway: Gateway, request: ChatRequest, decision: Decision, order: Sequence[str]) -> tuple[str, str]:
    """Who answers and why: the router's choice, or the candidate that the conversation has."""
    sessions, config = gateway.sessions.of(request.owner), gateway.fleet.serve
    current = writer_of(request.messages, sessions) or sessions.candidate(request.session)
    if current is None or current not in order:
        return order[0], "router"
    if request.in_tool_loop:
        return current, "tool_loop"
    if current == order[0] or sessions.age(request.session) > config.sticky_seconds:
        return order[0], "router"
    values = decision.utilities or decision.probabilities
    if values[order[0]] - values[current] > config.switch_margin:
        return order[0], "switched"
    return current, "sticky"
