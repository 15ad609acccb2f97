"""The error that a client gets when no candidate could answer."""

from __future__ import annotations

from collections.abc import Sequence

from zooter_core.errors import listed
from zooter_core.serve.errors import INVALID, SERVER, ApiError
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.targets import TargetError

AS_ONE = (404, 429)  # statuses that a client gets if every candidate's server answers with it


def failed(exchange: Exchange) -> ApiError:
    """The error when no candidate could answer: a server's own if it was the only one or the request is at fault."""
    failures: Sequence[tuple[str, TargetError]] = exchange.failures
    alone = len({name for name, _ in failures}) == 1
    if alone or all(error.request_fault for _, error in failures):
        name, error = failures[-1] if alone else failures[0]
        kind = INVALID if error.request_fault else SERVER
        message = f"{name} could not answer: {error.reason}."
        return ApiError(
            error.status, message, "upstream_error", kind=kind, headers=_retry_after(error), body=error.body
        )
    reasons = listed((f"{name} ({error.reason})" for name, error in failures), "; ")
    statuses = {error.status for _, error in failures}
    soonest = min((error for _, error in failures), key=lambda error: error.retry_after or 0)
    message = f"No model could answer: {reasons}."
    status = next((status for status in AS_ONE if statuses == {status}), 502)
    return ApiError(status, message, "upstream_error", kind=SERVER, headers=_retry_after(soonest))


def broke_off(candidate: str | None, error: TargetError) -> ApiError:
    """The error for an answer that has begun and does not reach its end."""
    return ApiError(502, f"{candidate} broke off: {error.reason}.", "upstream_error", kind=SERVER)


def _retry_after(error: TargetError) -> dict[str, str]:
    return {"retry-after": f"{error.retry_after:.0f}"} if error.retry_after is not None else {}
