"""What a server's error speaks of: something in the request, or the server itself. Both clients of endpoints ask here.

Only the second says that a server is ill. Some servers refuse a request with status 500, so their words decide.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from zooter_core.backends.endpoint.retry import REFUSED
from zooter_core.base.strict_json import dump_json

Subject = Literal["images", "tools", "json_mode", "stream_options", "context", "request"]
UNAVAILABLE = (502, 503, 504)
LONGEST = 1000  # characters of a message that are read; some servers repeat the request after it
REMEMBERED_SECONDS = 600.0  # the server may have been started again, with other options

WORDS: Mapping[Subject, Sequence[str]] = {
    "images": (
        r"(image|audio|video) input is not supported",  # llama.cpp, status 500
        r"unsupported content part type",  # llama.cpp until April 2025, status 500
        r"missing data required for image input",  # Ollama, status 500
        r"is not a multimodal model|at most 0 image",  # vLLM
        r"(does not|doesn't) support (image|vision)|that support image input",  # hosted; OpenRouter
    ),
    "tools": (
        r"tool(s|_choice) param requires --jinja",  # llama.cpp, status 500
        r"does not support tools",  # Ollama
        r"tool choice requires --enable-auto-tool-choice",  # vLLM
        r"that support tool use|(does not|doesn't) support (tool|function) call",  # OpenRouter; hosted
    ),
    "json_mode": (
        r"response_format\b.{0,60}\bnot supported",  # OpenAI
        r"response_format\.type' must be",  # LM Studio
        r"(does not|doesn't) support (json|response_format|structured output)",  # hosted
    ),
    "stream_options": (r"\bstream_options\b",),  # Azure, one-api and Mistral name the field that they do not know
    "context": (
        r"context (size|length|window)",  # llama.cpp (`exceeds the available context size`), vLLM, OpenAI
        r"(prompt|input|request) is too long|too many tokens",  # hosted
    ),
    "request": (
        r"\bjinja\b|chat template|template for",  # llama.cpp: messages that the template refuses
        r"grammar|json schema|json_schema",  # llama.cpp, vLLM
        r"model\b.{0,100}\b(not found|does not exist)|unknown model|no such model",  # llama-swap, LM Studio
        r"failed to (load|decode|process) image|invalid image|cannot identify image",  # llama.cpp, vLLM
        r"failed to parse messages|(does not|doesn't) support \w+",  # llama.cpp
    ),
}
PATTERNS = {subject: re.compile("|".join(words), re.IGNORECASE) for subject, words in WORDS.items()}
LIMIT = re.compile(r"context (?:size|length|window)\D{0,30}(\d[\d,]*)", re.IGNORECASE)


def subject_of(status: int, message: str) -> Subject | None:
    """What in the request a server refuses; None if the error says nothing against the request."""
    if status not in REFUSED and (status < 500 or status in UNAVAILABLE):
        return None  # about our key, the address, the pace, or a server that is away
    for subject, pattern in PATTERNS.items():
        if pattern.search(message[:LONGEST]):
            return subject
    return "request" if status in REFUSED else None


def message_of(body: object) -> str:
    """The server's message in the body of an error, whatever its shape; empty if there is none."""
    for key in ("error", "message", "detail"):
        body = body.get(key, body) if isinstance(body, Mapping) else body
    text = body if isinstance(body, str) else dump_json(body) if isinstance(body, list) else ""
    return "" if text.lstrip().startswith("<") else text  # a web page has no message in its first line


def limit_of(message: str) -> int | None:
    """The longest context in tokens that a refusal names."""
    match = LIMIT.search(message[:LONGEST])
    return int(match[1].replace(",", "")) or None if match else None


class Refusals:
    """What a server has refused lately. It is asked for it again after REMEMBERED_SECONDS."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._until = clock, dict[Subject, float]()
        self._limit: int | None = None

    def note(self, subject: Subject, context_tokens: int | None = None) -> None:
        """Remember a refusal, with the longest context if the server has named it."""
        self._limit = context_tokens or self._limit
        self._until[subject] = self._clock() + REMEMBERED_SECONDS

    def __contains__(self, subject: Any) -> bool:
        return self._clock() < self._until.get(subject, 0.0)

    @property
    def context_tokens(self) -> int | None:
        """The longest context; None if no refusal has named it."""
        return self._limit if "context" in self else None
