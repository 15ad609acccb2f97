"""Who answers: a candidate behind a server (`upstream`), or one on this machine (`local`).

Both speak the API's own shapes, so that what a server sends can be passed on as it is: under another name, counted, and
hardly parsed. The functions at the end do that with events and chunks.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from zooter_core.backends.endpoint.events import chunk_of, payload
from zooter_core.base.strict_json import dump_json
from zooter_core.serve.chat_request import ChatRequest

DONE = b"data: [DONE]\n\n"
# A key, since a quote inside a string is escaped. The first one of an event is its own; those of nested objects follow.
MODEL = re.compile(rb'(?<!\\)"model"\s*:\s*(?:"(?:[^"\\]|\\.)*"|null)')
OPEN = re.compile(rb'"finish_reason"\s*:\s*null')
NOTED = re.compile(
    rb'"(?:finish_reason|usage|error|reasoning_details|thinking_blocks|encrypted_content)"\s*:(?!\s*null)'
)


@dataclass
class Progress:
    """What is known of an answer while it passes through.

    Attributes:
        id, created: the server's, for chunks that are added.
        usage: the server's count of tokens, if it sends one.
        written: bytes of text in a whole answer, by which tokens are estimated if it does not.
        finish: the reason, as the server names it; None if the answer has not ended.
        encrypted: hashes of encrypted reasoning in it.
        patience: seconds to wait for a place among the candidate's requests.
    """

    id: str = ""
    created: int = 0
    usage: Mapping[str, Any] | None = None
    written: int = 0
    finish: str | None = None
    encrypted: list[str] = field(default_factory=list)
    patience: float = 60.0


class Target(Protocol):
    """A candidate that answers chat completions."""

    name: str

    async def complete(self, request: ChatRequest, routed: bool, progress: Progress) -> dict[str, Any]:
        """The whole answer, whose `model` is the candidate's name.

        Raises:
            EndpointError: there is none.
        """

    def stream(self, request: ChatRequest, routed: bool, progress: Progress) -> AsyncGenerator[bytes, None]:
        """The answer as server-sent events, one or more whole events at a time, without the final [DONE].

        Nothing is yielded before the first token. In every chunk `model` is the candidate's name.

        Raises:
            EndpointError: before the first event, or in the middle of the answer.
        """


def renamed(event: bytes, model: bytes) -> bytes:
    """An event whose `model` is another; it is added where there is none.

    Args:
        model: the member, as in `"model":"math"`.
    """
    changed, count = MODEL.subn(lambda _: model, event, 1)
    if count or b'"choices"' not in event:
        return changed
    return event.replace(b"{", b"{" + model + b",", 1)


def is_plain(event: bytes) -> bool:
    """Whether an event is one of the many in the middle of an answer, with text and nothing else that is noted.

    It is not parsed: a quote inside a string is escaped, so what looks like a key is one.
    """
    return OPEN.search(event) is not None and NOTED.search(event) is None


def is_usage(event: bytes) -> bool:
    """Whether an event is the count of tokens that `include_usage` adds, without any part of the answer."""
    if b'"usage"' not in event:
        return False
    chunk = chunk_of(payload(event))
    return chunk.get("choices") == [] and isinstance(chunk.get("usage"), dict)


def written(answer: Mapping[str, Any]) -> int:
    """Bytes of text in a whole answer of chat completions or the Responses API."""
    choices = [choice.get("message") for choice in _objects(answer.get("choices"))]
    size = 0
    for message in (*_objects(choices), *_objects(answer.get("output"))):
        texts = [message.get(name) for name in ("content", "reasoning_content", "reasoning", "refusal", "arguments")]
        texts += [part.get("text") for part in _objects(message.get("content"))]
        functions = [call.get("function") for call in _objects(message.get("tool_calls"))]
        texts += [function.get("arguments") for function in _objects(functions)]
        size += sum(len(text.encode("utf-8", "replace")) for text in texts if isinstance(text, str))
    return size


def _objects(values: object) -> list[dict[str, Any]]:
    """The objects in a list."""
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def event_of(shape: Mapping[str, Any]) -> bytes:
    """An event with JSON."""
    return b"data: " + dump_json(shape).encode() + b"\n\n"


def chunk_shape(id: str, created: int, model: str, **more: Any) -> dict[str, Any]:
    """A chunk in the API's shape."""
    return {"id": id, "object": "chat.completion.chunk", "created": created, "model": model, **more}
