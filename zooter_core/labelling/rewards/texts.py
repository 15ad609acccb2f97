"""Query and response as the tokens of one text, at most so many: the template stays whole, what is long is cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zooter_core.errors import WorkError

TRIES = 8  # a cut text may have a token more than its part of the whole had


def plain(text: str, marks: Sequence[str]) -> str:
    """A text in which nothing is a special token: what a model wrote must not end or begin a turn."""
    for mark in marks:
        if mark.strip():
            text = text.replace(mark, f"{mark[0]} {mark[1:]}")
    return text


def filled(template: str, texts: dict[str, str]) -> str:
    """A template with each {name} replaced, in one pass: a text that says {response} stays as it is."""
    parts: list[str] = []
    while template:
        places = [(template.find(f"{{{name}}}"), name) for name in texts if f"{{{name}}}" in template]
        if not places:
            break
        at, name = min(places)
        parts += [template[:at], texts[name]]
        template = template[at + len(name) + 2 :]
    return "".join([*parts, template])


def fitting(
    tokenizer: Any, render: Callable[[str, str], str], pair: tuple[str, str], most: int, special: bool
) -> list[int]:
    """Token ids of `render(query, response)`, at most `most`: the ends of query and response are cut, longest first.

    Args:
        special: whether the tokenizer adds its own first and last token to the text.

    Raises:
        WorkError: the template alone is longer.
    """
    query, response = pair
    room: int | None = None
    for _ in range(TRIES):
        ids: list[int] = tokenizer(render(query, response), add_special_tokens=special, verbose=False)["input_ids"]
        if len(ids) <= most:
            return ids
        lengths = [len(_ends(tokenizer, text)) for text in (query, response)]
        room = (sum(lengths) if room is None else min(room, sum(lengths))) - (len(ids) - most)
        if room < 0:
            break
        first = min(lengths[0], max(room - lengths[1], room // 2))
        query, response = _first(tokenizer, query, first), _first(tokenizer, response, room - first)
    raise WorkError(f"max_tokens with room for the template ({most} given)", "too few", "Raise it in [reward].")


def _ends(tokenizer: Any, text: str) -> list[int]:
    """Where each token of a text ends, in characters."""
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return [end for _, end in found["offset_mapping"]]


def _first(tokenizer: Any, text: str, count: int) -> str:
    """The part of a text that its first tokens make."""
    ends = _ends(tokenizer, text)
    return text if count >= len(ends) else text[: ends[count - 1]] if count > 0 else ""
