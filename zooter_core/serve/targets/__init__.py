"""Who answers: a candidate behind a server (`upstream`), or one on this machine (`local`).

Both speak the API's own shapes, so that what a server sends can be passed on as it is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from zooter_core.backends.http.refusals import Subject
from zooter_core.serve.chat_request import ChatRequest

CHAT = "/chat/completions"
DONE = b"data: [DONE]\n\n"


@dataclass(eq=False)
class TargetError(Exception):
    """Why a candidate did not answer.

    Attributes:
        reason: a phrase for people; it holds no key and no prompt.
        status: of the candidate's server, or the one that fits.
        body: the server's own error in the API's shape, if it has one that a client may see.
        retry_after: seconds after which the server wants to be asked again.
        temporary: whether the same candidate may succeed soon.
        subject: what in the request is at fault, and not the candidate; None if nothing is.
        context_tokens: the longest context, if the server names it.
        counts: whether the failure says that the candidate's server is ill.
        same_as: equal in failures of other candidates for which the request may be to blame; None if it cannot be.
        server_status: what the candidate's server answered with, if it was not 200.
    """

    reason: str
    status: int = 502
    body: Mapping[str, Any] | None = None
    retry_after: float | None = None
    temporary: bool = False
    subject: Subject | None = None
    context_tokens: int | None = None
    counts: bool = True
    same_as: str | None = None
    server_status: int | None = None

    @property
    def request_fault(self) -> bool:
        """Whether the request is at fault, not the candidate."""
        return self.subject is not None


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
            TargetError: there is none.
        """

    def stream(self, request: ChatRequest, routed: bool, progress: Progress) -> AsyncGenerator[bytes, None]:
        """The answer as server-sent events, one or more whole events at a time, without the final [DONE].

        Nothing is yielded before the first token. In every chunk `model` is the candidate's name.

        Raises:
            TargetError: before the first event, or in the middle of the answer.
        """
