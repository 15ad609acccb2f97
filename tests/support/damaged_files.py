"""Files of JSON that are damaged at random: cut, with other bytes, with a part gone or of another type."""

from __future__ import annotations

import json
import random
from typing import Any

from support.altered_runs import WILD, wild


def damaged(chance: random.Random, text: str) -> bytes:
    """The text of a JSON object, damaged once."""
    change = chance.choice((_bytes, _bytes, _part, _part, _part, _part, _other))
    return change(chance, text)


def altered_bytes(chance: random.Random, content: bytes) -> bytes:
    """Bytes without their end, or with others among them."""
    if chance.random() < 0.5:
        return content[: chance.randrange(len(content))]
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 20))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def _bytes(chance: random.Random, text: str) -> bytes:
    return altered_bytes(chance, text.encode())


def _part(chance: random.Random, text: str) -> bytes:
    record = json.loads(text)
    wild(chance, record)
    return json.dumps(record).encode()


def _other(chance: random.Random, text: str) -> bytes:
    values: tuple[Any, ...] = (*WILD, ["[" * 5000], "\ud800")
    return chance.choice((b"", b"\x00", b"[" * 5000, *(json.dumps(value).encode() for value in values)))
