"""The body of a request: read up to a size, with bounds on its JSON, and parsed beside the event loop if it is large.

A value of JSON can take thirty times the memory of its text, and the parser lets no other thread run. So what it will
build is counted first, in the bytes.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
from starlette.requests import Request

from zooter_core.base.strict_json import parse_json
from zooter_core.serve.errors import ApiError, bad_request

LARGE = 256 << 10  # bytes from which a body is looked at before its end, and parsed in a thread
MOST_DEPTH = 100  # of arrays and objects inside each other
MOST_ITEMS = 300_000  # in all arrays and objects; OpenAI takes as many tokens for embeddings
BLOCK = 1 << 20


async def read_json(request: Request, most_bytes: int) -> dict[str, Any]:
    """The JSON object in a request's body.

    Raises:
        ApiError: it is anything else, or too large.
    """
    raw, look_at = bytearray(), LARGE
    async for part in request.stream():
        if len(raw) + len(part) > most_bytes:
            raise ApiError(413, f"The body has more than {most_bytes:,} bytes.", "request_too_large")
        raw += part
        if len(raw) >= look_at:
            await asyncio.to_thread(check_structure, raw)
            look_at = 2 * len(raw)  # so that all looks together take as long as two at the whole
    return await asyncio.to_thread(parsed, raw) if len(raw) > LARGE else parsed(raw)


def parsed(raw: bytes | bytearray) -> dict[str, Any]:
    """The JSON object in a body. Raises as `read_json`."""
    # With another encoding, the bytes would not be what `check_structure` takes them for.
    if json.detect_encoding(raw) not in ("utf-8", "utf-8-sig"):
        raise bad_request("The body is not valid JSON (it is not UTF-8).", code="invalid_json")
    check_structure(raw)
    try:
        body = parse_json(raw)
    except (ValueError, RecursionError) as problem:
        raise bad_request(f"The body is not valid JSON ({str(problem)[:200]}).", code="invalid_json") from None
    if not isinstance(body, dict):
        raise bad_request("The body must be a JSON object.", code="invalid_json")
    return body


def check_structure(raw: bytes | bytearray) -> None:
    """Refuse JSON that is nested too deeply, or has too many items. What is no JSON may pass.

    Raises:
        ApiError: it is too much.
    """
    opening = raw.count(b"[") + raw.count(b"{")
    if opening <= MOST_DEPTH and opening + raw.count(b",") <= MOST_ITEMS:
        return  # whether or not they are in strings
    bare = raw.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in raw else raw  # each quote begins or ends a string
    inside, depth, items = False, 0, 0
    for start in range(0, len(bare), BLOCK):
        block = np.frombuffer(bare, np.uint8, min(BLOCK, len(bare) - start), start)
        strings = np.logical_xor.accumulate(np.concatenate(([inside], block == ord('"'))))[1:]
        inside = bool(strings[-1])
        marks = block[~strings]
        letters = marks | 0x20  # brackets become braces
        steps = (letters == ord("{")).astype(np.int32) - (letters == ord("}"))
        items += int(np.count_nonzero(steps > 0) + np.count_nonzero(marks == ord(",")))
        depths = depth + np.cumsum(steps)
        if steps.size:
            depth = int(depths[-1])
        if steps.size and depths.max() > MOST_DEPTH:
            raise bad_request(f"The body is nested more than {MOST_DEPTH} deep.", code="invalid_json")
        if items > MOST_ITEMS:
            raise bad_request(f"The body has more than {MOST_ITEMS:,} values.", code="invalid_json")
