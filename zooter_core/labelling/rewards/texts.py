"""Query and response as one text with a limit of tokens: query and response are cut, the template never is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zooter_core.base.errors import WorkError

TRIES = 8  # a cut text may have one token more than it had inside the longer one


def plain(text: str, marks: Sequence[str]) -> str:
    """A text without special tokens, so that a response cannot begin or end a turn."""
    for mark in marks:
        if mark.strip():
            text = text.replace(mark, f"{mark[0]} {mark[1:]}")
    return text


def filled(template: str, texts: dict[str, str]) -> str:
    """A template with every {name} replaced in one pass, so that a {response} inside a text stays."""
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
    """At most `most` token ids of `render(query, response)`. The ends of query and response are cut, longest first.

    Args:
        special: whether the tokenizer adds its own first and last token.

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
    """The end of every token of a text, in characters."""
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return [end for _, end in encoded["offset_mapping"]]


def _first(tokenizer: Any, text: str, count: int) -> str:
    """The first tokens of a text, as text."""
    ends = _ends(tokenizer, text)
    return text if count >= len(ends) else text[: ends[count - 1]] if count > 0 else ""
