"""The error that a client gets when nobody could answer."""

from __future__ import annotations

from collections.abc import Sequence

from zooter_core.errors import listed
from zooter_core.serve.errors import INVALID, SERVER, ApiError
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.targets import TargetError


def failed(exchange: Exchange) -> ApiError:
    """The error when nobody could answer: a server's own if one was asked, or the request is at fault, else all."""
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
    busy = all(error.status == 429 for _, error in failures)
    soonest = min((error for _, error in failures), key=lambda error: error.retry_after or 0)
    message = f"No model could answer: {reasons}."
    return ApiError(429 if busy else 502, message, "upstream_error", kind=SERVER, headers=_retry_after(soonest))


def _retry_after(error: TargetError) -> dict[str, str]:
    return {"retry-after": f"{error.retry_after:.0f}"} if error.retry_after is not None else {}
