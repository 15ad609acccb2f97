"""Generation that outlives a page's run: a thread writes what comes, a page reads it whenever it is drawn again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from zooter_core.errors import ZooterError
from zooter_core.fleet import GenerationConfig
from zooter_core.records import Message, Ranked, Response

if TYPE_CHECKING:
    from zooter_core.backends.line import Ticket
    from zooter_core.ensemble import Ensemble

KEPT_EVERY = 1.0  # seconds between two notes of what has come


@dataclass(eq=False)
class Answers:
    """What candidates have said to one conversation; by itself, what was said at an earlier time.

    Attributes:
        texts: candidate -> what has come so far.
        responses: candidate -> its whole response, once it has ended.
        ranked: the responses by reward, once all have ended and where a ranking was asked for.
        problem: why all of it failed.
        notes: candidate -> what it waits for, in a line.
    """

    candidates: tuple[str, ...]
    texts: dict[str, str]
    responses: dict[str, Response] = field(default_factory=dict)
    ranked: list[Ranked] | None = None
    problem: str | None = None
    notes: dict[str, str] = field(default_factory=dict)

    running = stopping = False
    ahead = 0

    @property
    def shown(self) -> str:
        """The candidate whose response counts: the one with the highest reward, or the first."""
        return self.ranked[0].response.candidate if self.ranked else self.candidates[0]

    @property
    def cut(self) -> bool:
        """Whether it broke off: nothing runs, and the response that counts never came to an end."""
        return not self.running and self.shown not in self.responses

    def stop(self) -> None:
        """Nothing runs."""

    def wait(self, seconds: float | None = None) -> None:
        """Nothing runs."""


class Job(Answers):
    """Candidates answering one conversation now, and their ranking where it is asked for.

    Args:
        begun: what the one candidate has said already; it goes on from there.
        keep: told to note what has come, once a second and at the end.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        candidates: Sequence[str],
        messages: Sequence[Message],
        *,
        rank: bool = False,
        generation: GenerationConfig | None = None,
        begun: str = "",
        keep: Callable[[Answers], None] = lambda answers: None,
    ) -> None:
        super().__init__(tuple(candidates), dict.fromkeys(candidates, begun))
        self.sessions: set[str] = set()  # who looks at it
        self._ensemble, self._rank, self._begun, self._keep = ensemble, rank, begun, keep
        self._messages = (*messages, Message("assistant", begun)) if begun.strip() else tuple(messages)
        self._generation = generation or ensemble.fleet.generation
        self._stop = threading.Event()
        self._tickets = self._join()
        self._thread = threading.Thread(target=self._work, name="job", daemon=True)
        self._thread.start()

    def _join(self) -> list[Ticket]:
        """A place in the line of every model that cannot serve two at once; in one order, or two jobs could block."""
        kinds = sorted({self._ensemble.fleet.candidate(name).backend for name in self.candidates})
        lines = [self._ensemble.backends[kind].line for kind in kinds]
        return [line.join() for line in lines if line is not None]

    @property
    def running(self) -> bool:  # type: ignore[override]
        return self._thread.is_alive()

    @property
    def stopping(self) -> bool:  # type: ignore[override]
        return self._stop.is_set()

    @property
    def ahead(self) -> int:  # type: ignore[override]
        """How many jobs are served before this one."""
        return max((ticket.ahead for ticket in self._tickets), default=0)

    def stop(self) -> None:
        """End generation at the next token; what has come is kept. A short wait lets a page show the end at once."""
        self._stop.set()
        self.wait(0.25)

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the end, for tests and for whoever needs the whole."""
        self._thread.join(seconds)

    def _work(self) -> None:
        try:
            if all(ticket.wait(self._stop) for ticket in self._tickets):
                self._answer()
            else:
                self.responses = {name: Response(name, text, finish="stopped") for name, text in self.texts.items()}
        except ZooterError as problem:
            self.problem = str(problem)
        except Exception as problem:  # shown on the page: a thread has nobody else to tell
            self.problem = f"The answer failed: {type(problem).__name__}: {problem}"
        finally:
            for ticket in self._tickets:
                ticket.leave()
            self._keep(self)

    def _answer(self) -> None:
        kept = time.monotonic()
        for piece in self._ensemble.answer(self.candidates, self._messages, self._stop, self._generation):
            name = self.candidates[piece.index]
            self.texts[name] += piece.text
            if piece.note:
                self.notes[name] = piece.note
            if piece.response is not None:
                whole = (self._begun + piece.response.text) if self._begun else piece.response.text
                self.texts[name] = whole
                self.responses[name] = replace(piece.response, text=whole)
            if time.monotonic() - kept > KEPT_EVERY:
                self._keep(self)
                kept = time.monotonic()
        if self._rank:
            ended = [self.responses[name] for name in self.candidates]
            query = next(message.content for message in reversed(self._messages) if message.role == "user")
            self.ranked = self._ensemble.rank(query, ended)
