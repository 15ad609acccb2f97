"""Adds the attachments of messages to their texts, as far as they fit into a candidate's context.

A file is placed before the query that it was attached to. If the files do not fit, their ends are cut. The files of the
newest message take precedence; among the files of a message, short ones stay complete.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from zooter_core.base.records import Attachment, Message, Reading

# A piece of text that most tokenizers encode as one token, except for long words.
PIECE = re.compile(r"[A-Za-z]+|\d|[^\x00-\x7f]|[^\sA-Za-z\d]|\n+|[ \t]{2,}")
LETTERS = 5  # per token; a longer word counts as several tokens
TEMPLATE = 16  # the most tokens that a chat template adds to a message
RESERVE = 0.03  # share of the context that stays free, since the parts of a prompt are counted separately
LEAST = 32  # tokens; a shorter beginning of a file is useless
TRIES = 6  # attempts to cut a text to a number of tokens
BACK = 200  # how many characters a cut may move back to white space
RUN = re.compile(r"`+")
Count = Callable[[str], int]


def estimated_tokens(text: str) -> int:
    """An estimate of the number of tokens in a text, which is rarely too low."""
    count = 0
    for piece in PIECE.findall(text):
        count += -(-len(piece) // LETTERS) if piece[0].isascii() and piece[0].isalpha() else 1
    return count


def with_attachments(
    messages: Sequence[Message], context: int | None, answer: int, count: Count
) -> tuple[tuple[Message, ...], tuple[Reading, ...]]:
    """The messages with their attachments in their texts, and how much of each attachment is included.

    Args:
        context: the context window in tokens; None includes all attachments completely.
        answer: the longest answer in tokens. At most half of the context is kept free for it.
        count: counts the tokens of a text.
    """
    if not any(message.attachments for message in messages):
        return tuple(messages), ()
    room: int | None = None
    if context is not None:
        typed = sum(count(message.content) + TEMPLATE for message in messages)
        room = int(context * (1 - RESERVE)) - min(answer, context // 2) - typed
    written: list[Message] = []
    readings: list[Reading] = []
    for message in reversed(messages):
        files, latest = _cut(message.attachments, room, count)
        if room is not None:
            room -= sum(reading.read for reading in latest)
        content = "\n\n".join(filter(None, [*files, message.content]))
        written.append(replace(message, content=content, attachments=()))
        readings[:0] = latest
    return tuple(reversed(written)), tuple(readings)


def _cut(files: Sequence[Attachment], room: int | None, count: Count) -> tuple[list[str], list[Reading]]:
    """The included part of each file: small files are complete, the others share the remaining room equally."""
    frames = [count(_quoted(file.name, "", cut=True)) for file in files]
    sizes = [frame + count(file.text) for frame, file in zip(frames, files, strict=True)]
    texts, readings = [""] * len(files), [Reading(file.name, 0, 0) for file in files]
    left = len(files)
    for place in sorted(range(len(files)), key=sizes.__getitem__):
        file, size = files[place], sizes[place]
        share = size if room is None else min(size, max(room, 0) // left)
        text, read = _beginning(file.text, size, share, frames[place], count)
        texts[place] = _quoted(file.name, text, cut=read < size) if text else ""
        readings[place] = Reading(file.name, size, read)
        room, left = None if room is None else room - read, left - 1
    return texts, readings


def _beginning(text: str, size: int, share: int, frame: int, count: Count) -> tuple[str, int]:
    """Approximately the longest beginning of a text that fits, and the number of its tokens.

    Args:
        size: tokens of the complete text in its fence.
        share: the most tokens that may be used.
        frame: tokens of the fence alone.
    """
    if share >= size:
        return text, size
    length = len(text) * share // size
    for _ in range(TRIES if share >= LEAST else 0):
        part = text[:length]
        if space := max(part.rfind(" ", length - BACK), part.rfind("\n", length - BACK)) + 1:
            part = part[:space]
        if (tokens := count(part) + frame) <= share:
            return part.rstrip(), tokens
        length = min(length - 1, length * share // tokens)
    return "", 0


def _quoted(name: str, text: str, *, cut: bool) -> str:
    """A file in the form that candidates read: in a fence that is longer than any run of backquotes in the file."""
    marks = "`" * max(3, 1 + max(map(len, RUN.findall(text)), default=0))
    note = " (its beginning; the rest does not fit)" if cut else ""
    return f"File {name}{note}:\n{marks}\n{text}\n{marks}"
