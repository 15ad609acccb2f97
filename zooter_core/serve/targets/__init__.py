"""Who answers: a candidate behind a server (`upstream`), or one on this machine (`local`).

Both speak the API's own shapes, so that what a server sends can be passed on as it is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from zooter_core.serve.chat_request import ChatRequest

DONE = b"data: [DONE]\n\n"


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
