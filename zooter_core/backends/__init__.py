"""The protocol for running candidates: a backend takes `Request`s and streams `Piece`s.

A new backend is one class, and one line in KINDS.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from zooter_core.backends.attachments import estimated_tokens
from zooter_core.base.errors import Failure, first_line
from zooter_core.base.plugins import load_kind
from zooter_core.base.progress import Tell, silent
from zooter_core.base.records import Finish, Message, Reading, Response
from zooter_core.base.weights import check_torch
from zooter_core.config.candidates import ENDPOINT, GGUF, RECORDED, TRANSFORMERS, CandidateConfig
from zooter_core.config.fleet import GenerationConfig

KINDS = {
    TRANSFORMERS: "zooter_core.backends.local.transformers:TransformersBackend",
    GGUF: "zooter_core.backends.gguf.backend:GgufBackend",
    ENDPOINT: "zooter_core.backends.endpoint.backend:OpenAIBackend",
    RECORDED: "zooter_core.backends.recorded:RecordedBackend",
}
POLL_SECONDS = 0.05  # between checks of a stop event, which cannot wake a waiting thread


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A conversation for one candidate to answer. Requests are compared by identity, not by their fields.

    Attributes:
        messages: the last one is the user's, or the beginning of the candidate's answer, which is then continued.
        seed: overrides the seed of the generation settings. Only independent backends use it.
        top_p: nucleus sampling: the share of the probability whose most likely tokens are sampled from.
        stop: stop texts, which end the answer and are not part of it. Only candidates on this machine get them.
        readings: how much of each attachment the messages contain, in order.
    """

    candidate: CandidateConfig
    messages: tuple[Message, ...]
    seed: int | None = None
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    readings: tuple[Reading, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the answer to a request.

    Attributes:
        text: the new text.
        thoughts: the new part of the thoughts, which come before the text.
        response: the complete response, in the last piece of every request.
        note: one line that explains why the request has to wait.
        stop_text: in the last piece, the stop text that ended the answer; "" if there was none.
    """

    request: Request
    text: str = ""
    response: Response | None = None
    note: str = ""
    thoughts: str = ""
    stop_text: str = ""

    @property
    def candidate(self) -> str:
        return self.request.candidate.name

    @classmethod
    def failed(cls, request: Request, problem: BaseException | str, finish: Finish = "error") -> Piece:
        """The last piece of a request that failed without any text."""
        name = request.candidate.name
        return cls(request, response=Response(name, "", finish=finish, error=Failure.of(problem)))

    @classmethod
    def stopped(cls, request: Request) -> Piece:
        """The last piece of a request that was stopped before it had any text."""
        return cls(request, response=Response(request.candidate.name, "", finish="stopped"))


class Backend(Protocol):
    """Runs requests for candidates of one kind. All sessions share one object.

    A subclass must implement only `stream`. The other methods have defaults for backends without models in memory.

    Attributes:
        independent: whether responses do not depend on other requests of the same call. If so, `stream` also accepts an
            iterator, and takes the next request when it has capacity.
    """

    independent: bool = False

    def load(self, candidate: CandidateConfig) -> None:
        """Make the candidate ready to answer.

        Raises:
            ZooterError: the candidate cannot answer.
        """

    def trial(self, candidate: CandidateConfig) -> str:
        """A query to test the candidate with."""
        return "Say hello."

    def context(self, candidate: CandidateConfig) -> int | None:
        """The context window: the most tokens of a prompt and its answer together; None if unknown."""
        return candidate.context_tokens

    def count_tokens(self, candidate: CandidateConfig, text: str) -> int:
        """The number of tokens of a text; an estimate if the candidate's tokenizer is not available."""
        return estimated_tokens(text)

    def sizes(self) -> Mapping[object, int]:
        """The size in bytes of each model that this backend has in memory."""
        return {}

    def spare(self) -> None:
        """Unload idle models."""

    def expect(self, candidates: Sequence[CandidateConfig]) -> None:
        """Prepare for requests to these candidates."""

    def retain(self, candidates: Sequence[CandidateConfig]) -> None:
        """Unload models that none of these candidates needs, each after its running answers are complete."""

    def read_ahead(self, requests: Sequence[Request]) -> None:
        """Evaluate the prompts of conversations that may continue, in the background, until the next request."""

    @abstractmethod
    def stream(
        self, requests: Sequence[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        """Yield pieces as they are generated, and exactly one response for every request.

        If a request fails, the finish of its response is `error`, or `refused` if the request itself is the cause; the
        other requests continue. Setting `stop` ends all requests within 0.3 s, each with its text so far.

        Args:
            requests: a sequence; for an independent backend also an iterator.
        """


def backend(kind: str) -> Backend:
    """Return a new backend of a kind.

    Raises:
        ZooterError: there is no backend of this kind, or it needs a package that is not installed.
    """
    if kind == TRANSFORMERS:
        check_torch(f'The backend "{kind}"')
    return load_kind("backend", KINDS, kind)()


def stream_or_fail(
    backend: Backend, requests: Iterable[Request], generation: GenerationConfig, stop: threading.Event
) -> Iterator[Piece]:
    """Yield a backend's pieces. If the backend itself raises an error, its unfinished requests fail with that error.

    Args:
        requests: a sequence, or for an independent backend an iterator. Requests that the backend has not taken from
            the iterator do not fail.
    """
    unfinished: dict[Request, None] = {}

    def track() -> Iterator[Request]:
        for request in requests:
            unfinished[request] = None
            yield request

    tracked: Any = list(track()) if isinstance(requests, Sequence) else track()
    try:
        for piece in backend.stream(tracked, generation, stop):
            if piece.response is not None:
                del unfinished[piece.request]
            yield piece
    except Exception as problem:
        if not unfinished:
            raise  # there is no request that could report the error
        for request in unfinished:
            message = f"{request.candidate.backend}: {type(problem).__name__}: {first_line(problem)}"
            yield Piece.failed(request, message)


def iter_responses(pieces: Iterable[Piece], on_note: Tell = silent) -> Iterator[tuple[Request, Response]]:
    """Yield each request with its response when the request ends. Pass notes to `on_note`."""
    for piece in pieces:
        if piece.note:
            on_note(piece.note)
        if piece.response is not None:
            yield piece.request, piece.response
