r"""Standard JSON, without NaN, infinity and lone surrogates. All JSON is read and written here.

Python writes such numbers as `NaN` and `Infinity`, which other programs refuse, and reads them silently; it also reads
1e999 as infinity. Here they are refused. A figure that may be undefined is null, set where it is computed.

Lone surrogates are half characters that JSON can carry (`"\ud800"`) but no encoding can write. Text from a server or a
file has them replaced by U+FFFD where it comes in, as a decoder does with invalid bytes. The rest of the code never
sees one.
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
ESCAPED = re.compile(r"\\u[dD][89a-fA-F]")  # how JSON writes one
ESCAPED_BYTES = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")  # or Python with `surrogatepass`


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a JSON value is a finite number that a float64 can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def dump_json(value: Any, ensure_ascii: bool = True, indent: int | None = None, sort_keys: bool = False) -> str:
    """A value as JSON; the options are those of `json.dumps`.

    Raises:
        WorkError: a number in it is NaN or infinite.
    """
    try:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, sort_keys=sort_keys, allow_nan=False)
    except ValueError as problem:
        step = "Check the input for extreme numbers."
        raise WorkError("finite numbers in the result", str(problem), step) from problem


def parse_json(text: str | bytes | bytearray, object_pairs_hook: Callable[[Pairs], Any] | None = None) -> Any:
    """The value of a JSON text, with lone surrogates replaced; the options are those of `json.loads`.

    Raises:
        ValueError: it is not JSON, or a number in it is NaN or infinite.
    """
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite, object_pairs_hook=object_pairs_hook)
        return clean(value) if _has_surrogate(text) else value
    except RecursionError:
        raise ValueError("nested too deeply") from None


def of_type(kind: type[Shape], value: object) -> Shape:
    """A JSON value as a type such as a dataclass or `list[str]`. Keys that the type does not name are left out.

    Files that Zooter wrote are read with it, unless they have a check of their own.

    Raises:
        ValueError: a part is missing or of another type; names the first one.
    """
    from pydantic import ValidationError  # here: most commands start without it

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
    """The objects in a list of JSON; none in anything else."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _has_surrogate(text: str | bytes | bytearray) -> bool:
    """Whether a JSON text may hold a surrogate. Most long texts lack what it begins with, and `in` is fast."""
    if isinstance(text, str):
        return "\\u" in text and ESCAPED.search(text) is not None
    return (b"\\u" in text or b"\xed" in text) and ESCAPED_BYTES.search(text) is not None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def replace_surrogates(text: str) -> str:
    """Join each pair of surrogates into its character, and replace each other one by U+FFFD."""
    if not SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def clean(value: Any) -> Any:
    """A JSON value with the surrogates in its texts replaced."""
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, list):
        return [clean(entry) for entry in value]
    if isinstance(value, dict):
        return {replace_surrogates(key): clean(entry) for key, entry in value.items()}
    return value


class Joiner:
    """Joins a text that arrives in pieces, where a piece can end inside a character."""

    def __init__(self) -> None:
        self._decoder = getincrementaldecoder("utf-16-le")("replace")

    def add(self, piece: str) -> str:
        """The complete characters so far; a first half at the end waits for the next piece."""
        return self._decoder.decode(piece.encode("utf-16-le", "surrogatepass"))

    def close(self) -> str:
        """The half that is still waiting, replaced."""
        return self._decoder.decode(b"", final=True)
