"""How candidates are run. A backend is one file with one class, and one line in KINDS."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from zooter_core.backends.turn_queue import Line
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig
from zooter_core.plugins import load_kind
from zooter_core.records import Message, Response

KINDS = {
    "transformers": "zooter_core.backends.local.transformers:TransformersBackend",
    "openai": "zooter_core.backends.http.openai:OpenAIBackend",
    "recorded": "zooter_core.backends.recorded:RecordedBackend",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One candidate asked to answer one conversation.

    Its last message is the user's, or the beginning of the candidate's answer, which then goes on from there. `seed`
    takes the place of the generation's with an independent backend.
    """

    candidate: CandidateConfig
    messages: tuple[Message, ...]
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A bit of text of request number `index`; the last piece of a request carries its whole response.

    `note` says in a line what makes the request wait, where that is worth telling.
    """

    index: int
    text: str = ""
    response: Response | None = None
    note: str = ""


class Backend(Protocol):
    """Runs requests of candidates of its kind; one object serves every session.

    Attributes:
        line: where those who have no hurry wait for their turn, so that they are served in the order in which they
            came; None where requests do not get in each other's way.
        independent: whether a response does not depend on what is asked together with it.
    """

    line: Line | None
    independent: bool

    def load(self, candidate: CandidateConfig) -> None:
        """Make the candidate ready to answer. Raises WorkError or ZooterError when it cannot be."""

    def trial(self, candidate: CandidateConfig) -> str:
        """A query to try the candidate with."""

    def sizes(self) -> Mapping[object, int]:
        """Bytes of the models that it has in memory here, by what tells them apart."""

    def spare(self) -> None:
        """Let the models that nobody uses leave the memory."""

    def stream(
        self, requests: Sequence[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        """Pieces as they come, and exactly one response a request.

        A request that fails ends with a response of finish `error`, or `refused` where that lies in the request; the
        others go on. `stop` ends all within 0.3 s,
        each with the text that has come.
        """


def backend(kind: str) -> Backend:
    """A new backend of a kind.

    Raises:
        ZooterError: there is no such kind.
    """
    made: Backend = load_kind("backend", KINDS, kind)()
    return made
