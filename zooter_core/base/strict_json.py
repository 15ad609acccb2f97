r"""Standard JSON, without NaN, infinity and lone surrogates. All JSON is read and written here.

By default, Python writes `NaN` and `Infinity`, which other programs refuse, and reads both. It also reads 1e999 as
infinity. This module refuses such numbers. A figure that may be undefined is null, set where it is computed.

Lone surrogates are halves of characters: JSON can contain them (`"\ud800"`), but no encoding can write them. In text
from a server or a file, they are replaced by U+FFFD when it is parsed, as decoders do with invalid bytes. The rest of
the code never has to deal with them.
"""

from __future__ import annotations

import json
import math
import re
import sys
from codecs import getincrementaldecoder
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

from zooter_core.base.errors import WorkError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Shape = TypeVar("Shape")
Pairs = list[tuple[str, Any]]
SURROGATE = re.compile("[\ud800-\udfff]")
ESCAPED = re.compile(r"\\u[dD][89a-fA-F]")  # a surrogate's escape in JSON
ESCAPED_BYTES = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")  # the same, or the bytes of `surrogatepass`


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a JSON value is a finite number that a float64 can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def dump_json(value: Any, ensure_ascii: bool = True, indent: int | None = None, sort_keys: bool = False) -> str:
    """A value as JSON; the options are those of `json.dumps`.

    Raises:
        WorkError: the value contains NaN or infinity.
    """
    try:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, sort_keys=sort_keys, allow_nan=False)
    except ValueError as problem:
        step = "Check the input for extreme numbers."
        raise WorkError("finite numbers in the result", str(problem), step) from problem


def parse_json(text: str | bytes | bytearray, object_pairs_hook: Callable[[Pairs], Any] | None = None) -> Any:
    """The value of a JSON text, with lone surrogates replaced; `object_pairs_hook` is as in `json.loads`.

    Raises:
        ValueError: the text is not JSON, or contains NaN or infinity.
    """
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite, object_pairs_hook=object_pairs_hook)
        return clean(value) if _has_surrogate(text) else value
    except RecursionError:
        raise ValueError("nested too deeply") from None


def of_type(kind: type[Shape], value: object) -> Shape:
    """Convert a JSON value to a type such as a dataclass or `list[str]`. Keys that the type lacks are left out.

    This validates files that Zooter wrote, unless they have their own validation.

    Raises:
        ValueError: a part is missing or has another type; the message names the first one.
    """
    from pydantic import ValidationError  # here, since most commands do not need it

    try:
        shape: Shape = _adapter(kind).validate_json(dump_json(value), strict=True)  # type: ignore[arg-type]
        return shape
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f'"{place}": {first["msg"]}' if place else first["msg"]) from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def objects(value: object) -> list[dict[str, Any]]:
    """The objects in a JSON list; an empty list if the value is not a list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _has_surrogate(text: str | bytes | bytearray) -> bool:
    """Whether a JSON text may contain a surrogate. The fast test with `in` is enough for most long texts."""
    if isinstance(text, str):
        return "\\u" in text and ESCAPED.search(text) is not None
    return (b"\\u" in text or b"\xed" in text) and ESCAPED_BYTES.search(text) is not None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def replace_surrogates(text: str) -> str:
    """Join pairs of surrogates into characters, and replace lone surrogates by U+FFFD."""
    if not SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def clean(value: Any) -> Any:
    """The JSON value with surrogates replaced in all texts and keys."""
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, list):
        return [clean(entry) for entry in value]
    if isinstance(value, dict):
        return {replace_surrogates(key): clean(entry) for key, entry in value.items()}
    return value


class Joiner:
    """Joins text that arrives in pieces, where a piece can end inside a surrogate pair."""

    def __init__(self) -> None:
        self._decoder = getincrementaldecoder("utf-16-le")("replace")

    def add(self, piece: str) -> str:
        """The next complete characters. A first half at the end is kept until the next piece."""
        return self._decoder.decode(piece.encode("utf-16-le", "surrogatepass"))

    def close(self) -> str:
        """The half that is still kept, replaced by U+FFFD; otherwise ""."""
        return self._decoder.decode(b"", final=True)
