"""Whether and after which pause to retry an HTTP request, or a candidate (fleet/attempts.py)."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

FIRST, LONGEST = 0.5, 8.0  # seconds of a pause; each is twice the one before
SPREAD = 0.5  # jitter: the share of a pause that may be cut at random, so that clients do not return at once
LONGEST_WAIT = 60.0  # seconds; if the server asks for more, the request fails at once
TEMPORARY = (408, 409, 425, 429)  # temporary statuses besides those from 500 on
OVERLOAD = (408, 429, 504)  # the server has too many requests, or is too slow
REFUSED = (400, 413, 415, 422, 501)  # the server refuses this request, but may accept others


def is_temporary(status: int) -> bool:
    """Whether another attempt after this status may succeed."""
    return (status >= 500 and status not in REFUSED) or status in TEMPORARY


def retry_pause(attempt: int, retries: int, wait: float | None = None) -> float | None:
    """Seconds until a request is retried after a temporary failure; None if it is not retried.

    Args:
        attempt: the index of the failed attempt, from 0.
        wait: seconds that the server asks for. The pause is slightly longer.
    """
    jitter = random.random()
    if attempt >= retries or (wait is not None and wait > LONGEST_WAIT):
        return None
    if wait is not None:
        return wait + 0.25 * jitter
    return float(min(FIRST * 2**attempt, LONGEST) * (1 - jitter * SPREAD))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds in a `Retry-After` header; None if it is missing, a date, or no number from 0 on."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None
