"""Candidates that answer one conversation in the background; a page reads their answers while they are generated."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zooter_core.backends import Piece
from zooter_core.backends.conversation import last_query
from zooter_core.base.records import Message, Ranked, Reading, Response
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data.evident_keys import key_in
from zooter_core.evaluation.verified import verified_ranking
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui.background import BackgroundWork

SAVE_EVERY = 1.0  # seconds between two saves of a running answer


@dataclass(frozen=True)
class AnswerPlan:
    """Which candidates answer."""

    candidates: Sequence[str]  # answer at the same time
    # If all candidates fail before their first token, these answer instead, one after the other.
    reserves: Sequence[str] = ()
    previous: Sequence[Response] = ()  # responses that stay from an earlier attempt
    continued: Response | None = None  # the response that the one candidate continues


@dataclass(frozen=True, slots=True)
class Thoughts:
    """A candidate's thoughts before its answer, so far."""

    text: str = ""
    # Arrival of the first thought, in seconds of `time.monotonic`; None if the thoughts were not streamed.
    began: float | None = None
    ended: float | None = None  # when the answer began or ended; None while the candidate thinks

    @property
    def seconds(self) -> float | None:
        """How long the candidate has been thinking."""
        if self.began is None:
            return None
        return (time.monotonic() if self.ended is None else self.ended) - self.began

    def grown(self, piece: Piece) -> Thoughts:
        """The thoughts after a piece. A finished response replaces them, since streamed ones may be misclassified."""
        now, response, thoughts = time.monotonic(), piece.response, self
        if piece.thoughts:
            thoughts = Thoughts(self.text + piece.thoughts, self.began or now)
        if piece.text or response:
            thoughts = replace(thoughts, ended=thoughts.ended or now)
        return replace(thoughts, text=response.thoughts) if response else thoughts


@dataclass(frozen=True, slots=True)
class CandidateAnswer:
    """One candidate's answer so far.

    Attributes:
        response: None until the answer has ended.
        note: what the candidate waits for, in one line.
        readings: how much of each attachment of the conversation it has read, in their order.
        thoughts: shown, but not stored.
    """

    text: str = ""
    response: Response | None = None
    note: str = ""
    readings: Sequence[Reading] = ()
    thoughts: Thoughts = Thoughts()

    @classmethod
    def of(cls, response: Response) -> CandidateAnswer:
        return cls(response.text, response, thoughts=Thoughts(response.thoughts))

    @property
    def failed_to_start(self) -> bool:
        """Whether the candidate failed before its first token."""
        return self.response is not None and self.response.failed_before_first_token

    def grown(self, piece: Piece) -> CandidateAnswer:
        """The answer after a piece; it ends with the piece that has a response."""
        return CandidateAnswer(
            piece.response.text if piece.response else self.text + piece.text,
            piece.response,
            piece.note or self.note,
            piece.request.readings,
            self.thoughts.grown(piece),
        )


@dataclass(eq=False)
class Answers:
    """Candidates' answers to one conversation. A plain `Answers`, from the history, no longer changes; a `Job` does."""

    answers: dict[str, CandidateAnswer]  # candidate -> its answer. A reserve that takes over comes last
    ranked: list[Ranked] | None = None  # the responses by reward, if a ranking was requested and all have ended
    problem: str | None = None  # why the job as a whole failed
    reserves: tuple[str, ...] = ()  # the candidates that may still take over
    vote: int | None = None  # 1 for a thumb up, 0 for a thumb down

    @property
    def candidates(self) -> tuple[str, ...]:
        """The candidates that answer."""
        return tuple(self.answers)

    @property
    def running(self) -> bool:
        return False

    @property
    def shown(self) -> str:
        """The candidate whose response counts: with the highest reward, or the first that did not fail."""
        if self.ranked and self.ranked[0].rank is not None:
            return self.ranked[0].response.candidate
        able = (name for name, answer in self.answers.items() if not answer.failed_to_start)
        return next(able, self.candidates[0])

    @property
    def responses(self) -> list[Response]:
        """The responses that have ended, in the order of the candidates."""
        return [answer.response for answer in self.answers.values() if answer.response is not None]

    @property
    def failed(self) -> list[Response]:
        """The responses that ended in an error, in the order of the candidates."""
        return [response for response in self.responses if response.error is not None]

    @property
    def all_failed(self) -> bool:
        """Whether the job has ended and every candidate failed before its first token."""
        return not self.running and all(answer.failed_to_start for answer in self.answers.values())

    @property
    def incomplete(self) -> bool:
        """Whether the job has ended and the response that counts broke off."""
        return self.broke_off(self.shown)

    @property
    def unfinished(self) -> bool:
        """Whether the response that counts was stopped or cut off, or broke off after some text."""
        answer = self.answers[self.shown]
        cut = answer.response is not None and answer.response.finish in ("stopped", "length")
        return not self.running and bool(answer.text.strip()) and (cut or self.incomplete)

    def broke_off(self, name: str) -> bool:
        """Whether the job has ended and a candidate's response did not reach its end."""
        response = self.answers[name].response
        return not self.running and (response is None or response.error is not None)

    def stop(self) -> None:
        """Do nothing, since stored answers have ended."""


class Job(BackgroundWork, Answers):
    """Candidates that answer a conversation after `start`, ranked at the end if requested.

    Args:
        key: the answer key that verifies the responses, whether or not they are ranked.
        save: called with the answers once per second, when a reserve takes over, and at the end.
        ended: called after the last save.

    Raises:
        ZooterError: the fleet has no such candidate.

    Attributes:
        begun: set with the first text or thought, and at the end.
    """

    subject = "answer"

    def __init__(
        self,
        ensemble: Ensemble,
        plan: AnswerPlan,
        messages: Sequence[Message],
        *,
        rank: bool = False,
        key: Mapping[str, Any] | None = None,
        generation: GenerationConfig | None = None,
        save: Callable[[Answers], None] = lambda answers: None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        prefix = plan.continued.text if plan.continued else ""
        answers = {response.candidate: CandidateAnswer.of(response) for response in plan.previous}
        answers |= {name: CandidateAnswer(prefix) for name in plan.candidates}
        self.begun = threading.Event()
        Answers.__init__(self, answers, reserves=tuple(plan.reserves))
        BackgroundWork.__init__(self)
        self._ensemble, self._plan, self._rank, self._save, self._ended = ensemble, plan, rank, save, ended
        self._key = key
        self._messages = [*messages, Message("assistant", prefix)] if prefix.strip() else messages
        reserves = () if plan.continued else plan.reserves  # no reserve can continue another candidate's text
        self._pieces = ensemble.run_candidates(plan.candidates, self._messages, self._stop, generation, reserves)

    def _finish(self) -> None:
        self.begun.set()
        self._save(self)
        self._ended()

    def _execute(self) -> None:
        saved = time.monotonic()
        for piece in self._pieces:
            name = piece.candidate
            if name in self.reserves:
                self.answers = self.answers | {name: CandidateAnswer()}  # a new dict: a page may be reading the old one
                self.reserves = self.reserves[1:]
                self._save(self)
            if piece.text or piece.thoughts:
                self.begun.set()  # before the text can be read: a page draws it once (`chat/view.py`)
            self.answers[name] = self.answers[name].grown(self._with_continued(piece))
            if time.monotonic() - saved > SAVE_EVERY:
                self._save(self)
                saved = time.monotonic()
        if (self._rank or self._key) and len(self.failed) < len(self.candidates):
            self._rank_responses()

    def _rank_responses(self) -> None:
        query = last_query(self._messages)
        key = self._key or key_in(query)
        if key:  # used if no reward model ranks the responses, or if it fails
            self.ranked = verified_ranking([Ranked(response) for response in self.responses], key)
        if self._rank:
            ranked = self._ensemble.rank_responses(query, self.responses)
            self.ranked = verified_ranking(ranked, key) if key else ranked

    def _with_continued(self, piece: Piece) -> Piece:
        """The piece; its response, if any, includes the text, tokens and time of the response that it continues."""
        first, response = self._plan.continued, piece.response
        if first is None or response is None:
            return piece
        came = (self.answers[piece.candidate].text + piece.text).removeprefix(first.text)
        space = came[: len(came) - len(came.lstrip())]  # the white space between the two texts
        joined = replace(
            response,
            text=first.text + space + response.text.lstrip(),
            tokens=first.tokens + response.tokens,
            thought_tokens=first.thought_tokens + response.thought_tokens,
            seconds=first.seconds + response.seconds,
            first_token_seconds=first.first_token_seconds or response.first_token_seconds,
        )
        return replace(piece, response=joined)
