"""What failures mean: the error that a client gets, which candidates are ill, and what they cannot do."""

from __future__ import annotations

from collections.abc import Sequence

from zooter_core.backends.endpoint.connection import CHAT
from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.base.errors import listed
from zooter_core.serve.errors import INVALID, SERVER, ApiError
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.gateway import Gateway

AS_ONE = (404, 429)  # statuses that a client gets if every candidate's server answers with it


def same_elsewhere(gateway: Gateway, exchange: Exchange) -> bool:
    """Whether the last failure is the same as that of a candidate on another server: then the request is to blame."""
    *before, (name, last) = exchange.failures
    server = gateway.fleet.candidate(name).endpoint
    for other, error in before:
        elsewhere = gateway.fleet.candidate(other).endpoint
        if last.same_as and error.same_as == last.same_as and server and elsewhere and elsewhere.host != server.host:
            return True
    return False


def note_failures(gateway: Gateway, exchange: Exchange) -> None:
    """Count the failures of a request, each candidate's once, and remember what was refused.

    If nobody has answered, what several candidates failed in the same way is the request's fault, and counts for none.
    """
    errors = dict(exchange.failures)
    errors.pop(exchange.candidate or "", None)  # it has failed first and answered then
    ways = [error.same_as for error in errors.values()]
    nobody = exchange.candidate is None and not exchange.compared
    for name, error in errors.items():
        if (connection := gateway.connections.get(name)) is None:
            continue
        needs = exchange.request.needs if exchange.request else None
        if error.subject == "context" or (error.subject and getattr(needs, error.subject, False)):
            connection.refusals.note(error.subject, error.context_tokens)
        blameless = nobody and error.same_as is not None and ways.count(error.same_as) > 1
        if error.counts and not blameless and exchange.path.endswith(CHAT):
            connection.failed(error.reason)


def note_end(gateway: Gateway, exchange: Exchange, candidate: str, error: EndpointError | None = None) -> None:
    """Tell a candidate's breaker how its answer ended after it had begun."""
    connection = gateway.connections.get(candidate)
    if connection is None or not exchange.path.endswith(CHAT):
        return
    if error is None:
        connection.breaker.answered()
    elif error.counts:
        connection.failed(error.reason)


def failed(exchange: Exchange) -> ApiError:
    """The error when no candidate could answer: a server's own if it was the only one or the request is at fault."""
    failures: Sequence[tuple[str, EndpointError]] = exchange.failures
    alone = len({name for name, _ in failures}) == 1
    if alone or all(error.refused for _, error in failures):
        name, error = failures[-1] if alone else failures[0]
        kind = INVALID if error.refused else SERVER
        message = f"{name} could not answer: {error.client_message}."
        return ApiError(
            error.status, message, "upstream_error", kind=kind, headers=_retry_after(error), body=error.body
        )
    reasons = listed((f"{name} ({error.client_message})" for name, error in failures), "; ")
    statuses = {error.status for _, error in failures}
    soonest = min((error for _, error in failures), key=lambda error: error.retry_after or 0)
    message = f"No model could answer: {reasons}."
    status = next((status for status in AS_ONE if statuses == {status}), 502)
    headers = _retry_after(soonest)
    if len({error.same_as for _, error in failures}) == 1 and failures[0][1].same_as:
        headers["x-should-retry"] = "false"  # the request seems to be at fault; OpenAI's clients read this header
    return ApiError(status, message, "upstream_error", kind=SERVER, headers=headers)


def broke_off(candidate: str | None, error: EndpointError) -> ApiError:
    """The error for an answer that has begun and does not reach its end."""
    return ApiError(502, f"{candidate} broke off: {error.client_message}.", "upstream_error", kind=SERVER)


def _retry_after(error: EndpointError) -> dict[str, str]:
    return {"retry-after": f"{error.retry_after:.0f}"} if error.retry_after is not None else {}
