"""Decides whether to retry an HTTP request or a candidate (fleet/attempts.py), and after which pause."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

FIRST, LONGEST = 0.5, 8.0  # seconds of the first and the longest pause; each pause is twice as long as the one before
SPREAD = 0.5  # jitter: the largest random cut of a pause, as a share, so that clients do not all return together
LONGEST_WAIT = 60.0  # seconds; if the server asks for a longer pause, the request fails immediately
TEMPORARY = (408, 409, 425, 429)  # temporary statuses below 500
OVERLOAD = (408, 429, 504)  # the server has too many requests, or is too slow
REFUSED = (400, 413, 415, 422, 501)  # the server refuses this request, but may accept others


def is_temporary(status: int) -> bool:
    """Whether another attempt after this status may succeed."""
    return (status >= 500 and status not in REFUSED) or status in TEMPORARY


def retry_pause(attempt: int, retries: int, wait: float | None = None) -> float | None:
    """Seconds until a request is retried after a temporary failure; None if it is not retried.

    Args:
        attempt: the index of the failed attempt, from 0.
        wait: the pause in seconds that the server asks for. The result is slightly longer.
    """
    jitter = random.random()
    if attempt >= retries or (wait is not None and wait > LONGEST_WAIT):
        return None
    if wait is not None:
        return wait + 0.25 * jitter
    return float(min(FIRST * 2**attempt, LONGEST) * (1 - jitter * SPREAD))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds in a `Retry-After` header; None if it is missing, a date, or not a number from 0 on."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None
