"""Values between worker and checker: plain data as JSON, so that untrusted code can send nothing but data.

Lists, strings, booleans, None, floats and ordinary integers are themselves. Any other value is an object with one key,
its type: `{"tuple": [1, 2]}`. An instance of a subclass travels as its base type: a Counter as a dict.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

LARGE = 1 << 53  # larger integers travel in hexadecimal: Python limits long decimals, and is slow with them
ITEMS = {"tuple": tuple, "set": set, "frozenset": frozenset, "deque": deque}
VIEWS = {"keys": type({}.keys()), "values": type({}.values()), "items": type({}.items())}


def pack(value: object, most: int) -> object:
    """A value in a form that `json` can write.

    Args:
        most: items that an iterator may give; it arrives as an iterator over them.

    Raises:
        TypeError: the value, or a part of it, is of a type that cannot travel, such as a function.
        ValueError: an iterator gives more items.
    """

    def packed(items: object) -> list[object]:
        return [pack(item, most) for item in items]  # type: ignore[attr-defined]

    if value is None or isinstance(value, bool | str | float):
        return value
    if isinstance(value, int):
        return int(value) if -LARGE < value < LARGE else {"int": hex(value)}
    if isinstance(value, list):
        return packed(value)
    if isinstance(value, dict):
        return {"dict": [packed(pair) for pair in value.items()]}
    for name, kind in ITEMS.items():
        if isinstance(value, kind):
            return {name: packed(value)}
    for name, view in VIEWS.items():
        if isinstance(value, view):
            return {name: pack(dict(value.mapping), most)}  # type: ignore[attr-defined]
    if isinstance(value, bytes | bytearray):
        return {"bytes" if isinstance(value, bytes) else "bytearray": value.hex()}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, range):
        return {"range": packed((value.start, value.stop, value.step))}
    return _pack_rare(value, most)


def _pack_rare(value: object, most: int) -> object:
    name = f"{type(value).__module__}.{type(value).__name__}"
    if name in ("fractions.Fraction", "decimal.Decimal"):
        return {type(value).__name__: str(value)}
    if isinstance(value, Iterator):
        items = list(islice(value, most + 1))
        if len(items) > most:
            raise ValueError(f"an iterator gives more than {most:,} items")
        return {"iterator": [pack(item, most) for item in items]}
    raise TypeError(f"a value of type {type(value).__name__} cannot leave the sandbox")


def unpack(data: object) -> object:
    """The inverse of `pack`.

    Raises:
        Exception: of any kind, if the data does not come from `pack`.
    """
    if isinstance(data, list):
        return [unpack(item) for item in data]
    if not isinstance(data, dict):
        return data
    ((name, content),) = data.items()
    return _READERS[name](content)


def _dict(pairs: list[list[object]]) -> dict[object, object]:
    return {unpack(key): unpack(value) for key, value in pairs}


def _imported(module: str, name: str) -> Callable[..., object]:  # when it is needed: every start counts
    return lambda text: getattr(__import__(module), name)(text)


def _items(kind: Callable[..., object]) -> Callable[..., object]:
    return lambda content: kind(map(unpack, content))


def _view(name: str) -> Callable[..., object]:
    return lambda content: getattr(unpack(content), name)()


_READERS: dict[str, Callable[..., object]] = {
    **{name: _items(kind) for name, kind in ITEMS.items()},
    **{name: _view(name) for name in VIEWS},
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "dict": _dict,
    "int": lambda text: int(text, 16),
    "complex": lambda parts: complex(*parts),
    "range": lambda parts: range(*map(unpack, parts)),  # type: ignore[call-overload]
    "Fraction": _imported("fractions", "Fraction"),
    "Decimal": _imported("decimal", "Decimal"),
    "iterator": lambda content: iter(list(map(unpack, content))),
}


def update(old: object, new: object) -> object:
    """Give a mutable value the content of another, in place, and in place in its lists and dicts too.

    Returns `old` if it could be changed, else `new`.
    """
    if isinstance(old, list) and isinstance(new, list):
        old[:] = [*map(update, old, new), *new[len(old) :]]
    elif isinstance(old, dict) and isinstance(new, dict):
        content = {key: update(old[key], value) if key in old else value for key, value in new.items()}
        old.clear()
        old.update(content)
    elif isinstance(old, bytearray) and isinstance(new, bytearray):
        old[:] = new
    elif (isinstance(old, set) and isinstance(new, set)) or (isinstance(old, deque) and isinstance(new, deque)):
        old.clear()
        (old.update if isinstance(old, set) else old.extend)(new)
    else:
        return new
    return old
