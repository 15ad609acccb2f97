"""Encrypted reasoning: only the model that wrote it can read it, so it goes back to that model alone.

Servers return it in fields of the message: `reasoning_details` (OpenRouter), `thinking_blocks` (Anthropic's, as LiteLLM
names them), `encrypted_content` (OpenAI). Which candidate wrote it is remembered by its hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zooter_core.serve.sessions import Sessions

LISTS = ("reasoning_details", "thinking_blocks")
SECRETS = ("data", "signature", "encrypted_content")


def digests(message: Mapping[str, Any]) -> Iterator[str]:
    """The hashes of the encrypted parts of a message, or of a chunk's delta."""
    if any(message.get(name) for name in (*LISTS, "encrypted_content")):
        for entry in _entries(message):
            yield from _of(entry)


def writer_of(messages: Sequence[Mapping[str, Any]], sessions: Sessions) -> str | None:
    """Who wrote the newest encrypted reasoning in a conversation; None if there is none, or its writer is not known."""
    for message in reversed(messages):
        for digest in digests(message):
            if writer := sessions.writer(digest):
                return writer
    return None


def readable_by(candidate: str, messages: Sequence[Mapping[str, Any]], sessions: Sessions) -> list[Mapping[str, Any]]:
    """The messages without the encrypted reasoning that another candidate wrote, or nobody known."""
    return [_readable(message, candidate, sessions) for message in messages]


def _readable(message: Mapping[str, Any], candidate: str, sessions: Sessions) -> Mapping[str, Any]:
    def is_candidates(entry: Mapping[str, Any]) -> bool:
        return all(sessions.writer(digest) == candidate for digest in _of(entry))

    if not any(True for _ in digests(message)):
        return message
    shape = dict(message)
    for name in LISTS:
        if isinstance(entries := shape.get(name), list):
            shape[name] = [entry for entry in entries if not isinstance(entry, dict) or is_candidates(entry)]
            if not shape[name]:
                del shape[name]
    if not is_candidates({"encrypted_content": shape.get("encrypted_content")}):
        del shape["encrypted_content"]
    return shape


def _entries(message: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield {"encrypted_content": message.get("encrypted_content")}
    for name in LISTS:
        entries = message.get(name)
        yield from (entry for entry in entries if isinstance(entry, dict)) if isinstance(entries, list) else ()


def _of(entry: Mapping[str, Any]) -> Iterator[str]:
    for name in SECRETS:
        if isinstance(value := entry.get(name), str) and value:
            yield hashlib.sha256(value.encode()).hexdigest()
