"""Files of JSON that are damaged at random: cut, with other bytes, with a part gone or of another type."""

from __future__ import annotations

import json
import random
from typing import Any

WILD: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 3, 99, 0.5, 1e308, float("nan"), float("inf"), "", "x", "base", "q01"),
    *([], {}, ["x"], {"x": 1}, [[1]], [0.1, 0.2, 0.7], {"base": 1.0}, "a" * 5000),
)


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


def wild(chance: random.Random, record: Any) -> str:
    """Change, add or remove one thing anywhere in a record."""
    names: list[Any] = []
    while True:
        name: Any = chance.choice(list(record)) if isinstance(record, dict) else chance.randrange(len(record))
        names.append(name)
        if not isinstance(record[name], dict | list) or not record[name] or chance.random() < 0.3:
            break
        record = record[name]
    if chance.random() < 0.2:
        record.pop(name)
        return f"{names} gone"
    if chance.random() < 0.1 and isinstance(record, dict):
        record["strange"] = record.pop(name)
        return f"{names} renamed"
    record[name] = chance.choice(WILD)
    return f"{names} = {str(record[name])[:40]!r}"
