"""Values between worker and checker: plain data as JSON, so that untrusted code can send nothing but data.

Lists, strings, booleans, None, floats and ordinary integers are themselves. Any other value is an object with one key,
its type: `{"tuple": [1, 2]}`. An instance of a subclass travels as its base type: a Counter as a dict.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

TYPE_CHECKING = False  # typing takes long to import, and every start counts
if TYPE_CHECKING:
    from typing import Any

LARGE = 1 << 53  # larger integers travel in hexadecimal: Python limits long decimals, and is slow with them
# The type, its content as values that can travel, and the way back.
KINDS: dict[str, tuple[type, Callable[[Any], object], Callable[[Any], object]]] = {
    "tuple": (tuple, list, tuple),
    "set": (set, list, set),
    "frozenset": (frozenset, list, frozenset),
    "deque": (deque, list, deque),
    "dict": (dict, lambda value: [list(pair) for pair in value.items()], dict),
    "keys": (type({}.keys()), lambda view: dict(view.mapping), dict.keys),
    "values": (type({}.values()), lambda view: dict(view.mapping), dict.values),
    "items": (type({}.items()), lambda view: dict(view.mapping), dict.items),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
    "bytearray": (bytearray, bytearray.hex, bytearray.fromhex),
    "complex": (complex, lambda value: [value.real, value.imag], lambda parts: complex(*parts)),
    "range": (range, lambda value: [value.start, value.stop, value.step], lambda parts: range(*parts)),
}
READERS: dict[str, Callable[[Any], object]] = {
    **{name: read for name, (_, _, read) in KINDS.items()},
    "int": lambda text: int(text, 16),
    "iterator": lambda items: iter(list(items)),
    "Fraction": lambda text: __import__("fractions").Fraction(text),  # imported when needed
    "Decimal": lambda text: __import__("decimal").Decimal(text),
}


def pack(value: object, most: int) -> object:
    """A value in a form that `json` can write.

    Args:
        most: items that an iterator may give; it arrives as an iterator over them.

    Raises:
        TypeError: the value, or a part of it, is of a type that cannot travel, such as a function.
        ValueError: an iterator gives more items.
    """
    if value is None or isinstance(value, bool | str | float):
        return value
    if isinstance(value, int):
        return int(value) if -LARGE < value < LARGE else {"int": hex(value)}
    if isinstance(value, list):
        return [pack(item, most) for item in value]
    for name, (kind, content, _) in KINDS.items():
        if isinstance(value, kind):
            return {name: pack(content(value), most)}
    if isinstance(value, Iterator):
        items = list(islice(value, most + 1))
        if len(items) > most:
            raise ValueError(f"an iterator gives more than {most:,} items")
        return {"iterator": pack(items, most)}
    name = type(value).__name__
    if (type(value).__module__, name) in (("fractions", "Fraction"), ("decimal", "Decimal")):
        return {name: str(value)}
    raise TypeError(f"a value of type {name} cannot leave the sandbox")


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
    return READERS[name](unpack(content))


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
