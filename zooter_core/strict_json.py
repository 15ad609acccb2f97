"""JSON as the standard has it, without NaN and infinity. All JSON of the project is read and written here.

Python writes such numbers as `NaN` and `Infinity`, which other programs refuse, and reads them without a word; it also
reads 1e999 as infinity. Here a figure that may be undefined is null, which whoever computes it decides. Any other
number that is not finite is a fault: it is refused by the name of its field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

from zooter_core.errors import WorkError

Pairs = list[tuple[str, Any]]


class NotFiniteError(ValueError):
    """A text that is JSON but for a number that is NaN or infinite: where it stands (`scores.a`), and the number."""

    def __init__(self, field: str, number: str) -> None:
        self.field, self.number = field, number
        super().__init__(f'a number that is not finite ({number}) in "{field}"')


class _Seen(Exception):  # noqa: N818 (caught below)
    """The number that is not finite, as the text has it."""


def dump_json(value: Any, ensure_ascii: bool = True, indent: int | None = None, sort_keys: bool = False) -> str:
    """A value as JSON; the options are those of `json.dumps`.

    Raises:
        WorkError: a number in it is NaN or infinite.
    """
    try:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, sort_keys=sort_keys, allow_nan=False)
    except ValueError as problem:
        field, number = next(_not_finite(value), ("", 0.0))
        if not number:
            raise
        raise WorkError(
            "finite numbers in the result", f'{number} in "{field}"', "Check the input for extreme numbers."
        ) from problem


def parse_json(text: str | bytes, object_pairs_hook: Callable[[Pairs], Any] | None = None) -> Any:
    """The value of a JSON text; the options are those of `json.loads`.

    Raises:
        ValueError: it is no JSON; a NotFiniteError where only a number is wrong.
    """
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=object_pairs_hook)
    except _Seen as seen:
        field, _ = next(_not_finite(json.loads(text)), ("", 0.0))
        raise NotFiniteError(field, str(seen)) from None


def _refuse(text: str) -> float:
    raise _Seen(text)


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _not_finite(value: Any, field: str = "") -> Iterator[tuple[str, float]]:
    """Each number that is NaN or infinite, with its place: `datasets.x.rows.3`."""
    if isinstance(value, float) and not math.isfinite(value):
        yield field, value
    rows: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    )
    for name, part in rows:
        yield from _not_finite(part, f"{field}.{name}" if field else str(name))
