"""Generation that outlives a page's run: a thread writes what comes, a page reads it whenever it is drawn again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from zooter_core.config.fleet import GenerationConfig
from zooter_core.errors import ZooterError
from zooter_core.records import Message, Ranked, Response

if TYPE_CHECKING:
    from zooter_core.backends.turn_queue import TurnQueue
    from zooter_core.ensemble import Ensemble

KEPT_EVERY = 1.0  # seconds between two notes of what has come


@dataclass(frozen=True)
class Plan:
    """Who is to answer.

    Attributes:
        candidates: asked together.
        reserves: who takes over, one after the other, where none of the candidates can begin.
        earlier: responses that are there already and stay.
        begun: what the one candidate has said already; it goes on from there.
    """

    candidates: Sequence[str]
    reserves: Sequence[str] = ()
    earlier: Sequence[Response] = ()
    begun: str = ""


@dataclass(eq=False)
class Answers:
    """What candidates have said to one conversation; by itself, what was said at an earlier time.

    Attributes:
        candidates: who was asked; whoever took over comes last.
        texts: candidate -> what has come so far.
        responses: candidate -> its whole response, once it has ended.
        ranked: the responses by reward, once all have ended and where a ranking was asked for.
        problem: why all of it failed.
        notes: candidate -> what it waits for, in a line.
        reserves: who may take over yet.
    """

    candidates: tuple[str, ...]
    texts: dict[str, str]
    responses: dict[str, Response] = field(default_factory=dict)
    ranked: list[Ranked] | None = None
    problem: str | None = None
    notes: dict[str, str] = field(default_factory=dict)
    reserves: tuple[str, ...] = ()

    running = stopping = False
    ahead = 0

    @property
    def shown(self) -> str:
        """The candidate whose response counts: the one with the highest reward, or the first that could begin."""
        if self.ranked and self.ranked[0].rank is not None:
            return self.ranked[0].response.candidate
        able = (name for name in self.candidates if not self.failed_to_start(name))
        return next(able, self.candidates[0])

    @property
    def failed(self) -> list[Response]:
        """The responses that ended in an error, in the order in which they were asked for."""
        found = [self.responses.get(name) for name in self.candidates]
        return [response for response in found if response is not None and response.error is not None]

    @property
    def nobody(self) -> bool:
        """Whether nothing runs, and all have failed before their first token."""
        return not self.running and all(self.failed_to_start(name) for name in self.candidates)

    @property
    def cut(self) -> bool:
        """Whether it broke off: nothing runs, and the response that counts never came to an end."""
        return self.broke_off(self.shown)

    def failed_to_start(self, name: str) -> bool:
        """Whether a candidate failed before its first token."""
        response = self.responses.get(name)
        return response is not None and response.failed_before_first_token

    def broke_off(self, name: str) -> bool:
        """Whether nothing runs, and a candidate's response never came to an end of its own."""
        response = self.responses.get(name)
        return not self.running and (response is None or response.error is not None)

    def stop(self) -> None:
        """Nothing runs."""

    def wait(self, seconds: float | None = None) -> None:
        """Nothing runs."""


class Job(Answers):
    """Candidates answering one conversation now, and their ranking where it is asked for.

    Args:
        keep: told to note what has come, once a second and at the end.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        plan: Plan,
        messages: Sequence[Message],
        *,
        rank: bool = False,
        generation: GenerationConfig | None = None,
        keep: Callable[[Answers], None] = lambda answers: None,
    ) -> None:
        said = {response.candidate: response for response in plan.earlier}
        texts = {name: said[name].text for name in said} | dict.fromkeys(plan.candidates, plan.begun)
        super().__init__(tuple(texts), texts, said, reserves=tuple(plan.reserves))
        self.sessions: set[str] = set()  # who looks at it
        self._ensemble, self._plan, self._rank, self._keep = ensemble, plan, rank, keep
        begun = [Message("assistant", plan.begun)] if plan.begun.strip() else []
        self._messages = (*messages, *begun)
        self._generation = generation or ensemble.fleet.generation
        self._stop = threading.Event()
        self._tickets = [queue.join() for queue in self._turns(plan.candidates)]
        self._thread = threading.Thread(target=self._work, name="job", daemon=True)
        self._thread.start()

    def _turns(self, candidates: Sequence[str]) -> list[TurnQueue]:
        """Of the models that cannot serve two at once; always in one order, or two jobs could block each other."""
        kinds = sorted({self._ensemble.fleet.candidate(name).backend for name in candidates})
        queues = [self._ensemble.backends[kind].turns for kind in kinds]
        return [queue for queue in queues if queue is not None]

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
                stopped = {name: Response(name, self.texts[name], finish="stopped") for name in self._plan.candidates}
                self.responses = self.responses | stopped
        except ZooterError as problem:
            self.problem = str(problem)
        except Exception as problem:  # shown on the page: a thread has nobody else to tell
            self.problem = f"The answer failed: {type(problem).__name__}: {problem}"
        finally:
            for ticket in self._tickets:
                ticket.leave()
            self._keep(self)

    def _answer(self) -> None:
        kept, plan = time.monotonic(), self._plan
        reserves = () if plan.begun else plan.reserves  # what has come stays
        for piece in self._ensemble.run_candidates(
            plan.candidates, self._messages, self._stop, self._generation, reserves
        ):
            name = piece.candidate
            if name in self.reserves:
                self._take_over(name)
            self.texts[name] += piece.text
            if piece.note:
                self.notes[name] = piece.note
            if piece.response is not None:
                whole = plan.begun + piece.response.text
                self.texts[name] = whole
                self.responses[name] = replace(piece.response, text=whole)
            if time.monotonic() - kept > KEPT_EVERY:
                self._keep(self)
                kept = time.monotonic()
        if self._rank and len(self.failed) < len(self.candidates):
            ended = [self.responses[name] for name in self.candidates]
            query = next(message.content for message in reversed(self._messages) if message.role == "user")
            self.ranked = self._ensemble.rank_responses(query, ended)

    def _take_over(self, name: str) -> None:
        """Let a reserve have the turn once it is its: in its own model's line, without a place in any other."""
        self.texts = self.texts | {name: ""}  # not added to: a page may be reading it
        self.candidates, self.reserves = (*self.candidates, name), self.reserves[1:]
        self._keep(self)
        queues = self._turns([name])
        for ticket in self._tickets:
            if ticket.queue not in queues:
                ticket.leave()
        remaining = [ticket for ticket in self._tickets if ticket.queue in queues]
        self._tickets = remaining or [queue.join() for queue in queues]
        for ticket in self._tickets:
            ticket.wait(self._stop)  # whether its turn or a stop has come, the engine sees to the rest
