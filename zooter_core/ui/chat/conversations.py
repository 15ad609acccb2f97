"""Conversations: their turns, each with the router's decision and the answers.

A conversation stays in memory until the server stops, and in the history after that. A reloaded tab finds it by its id.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import streamlit as st

from zooter_core.base.records import Attachment, Decision, Message, Response
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui import links, resources
from zooter_core.ui.background import attach
from zooter_core.ui.chat.turns import Settings, Tuning, Turn
from zooter_core.ui.history import NOWHERE, Entry, History, history
from zooter_core.ui.jobs import AnswerPlan, Answers, Job
from zooter_core.ui.text import clipped
from zooter_core.ui.widgets import keep_problem

TITLE = 60  # characters
DEFAULT = Settings()
DELETED = "deleted-conversations"  # in a session's state: entries and their turns, the latest last


@dataclass(eq=False)
class Conversation:
    """Turns in order. A candidate sees the full conversation, the router only the user's side."""

    fleet: str = ""  # the folder of the fleet that answers
    id: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    turns: list[Turn] = field(default_factory=list)
    history: History = NOWHERE  # where the turns are saved
    name: str = ""  # the title that the visitor gave it
    tuning: Tuning = field(default_factory=Tuning)  # how its next queries are answered, by any model

    def ask(
        self,
        ensemble: Ensemble,
        query: str,
        settings: Settings = DEFAULT,
        attachments: Sequence[Attachment] = (),
        replacing: bool = False,
    ) -> None:
        """Route a query, given the conversation so far, and start the answer; `replacing` replaces the last query.

        Raises:
            ZooterError: the query is empty or too long. The conversation is unchanged.
        """
        message, number = Message("user", query, tuple(attachments)), len(self.turns) - replacing
        decision, plan = _choose(ensemble, self._messages(message, self.turns[:number]), settings)
        job = self._job(ensemble, number, message, settings, plan)
        self._put(number, Turn(query, decision, job, settings, attachments=message.attachments), job)

    def answer_with(self, ensemble: Ensemble, candidate: str, number: int = -1) -> None:
        """Add a version of an answer by the named candidate; later turns are unchanged.

        Raises:
            ZooterError: the fleet has no such candidate. The conversation is unchanged.
        """
        settings = self.tuning.applied(self.turns[number].settings)
        self._answer_again(ensemble, number % len(self.turns), AnswerPlan((candidate,)), settings)

    def hear(self, ensemble: Ensemble, number: int) -> None:
        """Add a version that holds an answer of every model between which the router is undecided. A complete existing
        answer is kept; the other models are asked."""
        turn = self.turns[number]
        names = [name for name in turn.decision.rivals if name in ensemble.fleet.pool]
        answered = turn.answer.response
        stays = [answered] if answered and not answered.error and turn.candidate in names else []
        plan = AnswerPlan([name for name in names if not stays or name != turn.candidate], previous=stays)
        self._answer_again(ensemble, number, plan, self.tuning.applied(turn.settings))

    def branch(
        self,
        ensemble: Ensemble,
        number: int,
        query: str,
        settings: Settings = DEFAULT,
        attachments: Sequence[Attachment] = (),
    ) -> Conversation:
        """Ask a query instead of an earlier one, in a new conversation that begins with the turns before it.

        Raises:
            ZooterError: the query is empty or too long.
        """
        copies = [Turn.from_json(turn.to_json()) for turn in self.turns[:number]]
        other = Conversation(self.fleet, turns=copies, history=self.history, tuning=self.tuning)
        if copies:
            other.name = clipped(f"{self.title} (branch)", TITLE)
        other.ask(ensemble, query, settings, attachments)
        for place in range(number):
            other._save(place)
        return other

    def retry(self, ensemble: Ensemble) -> None:
        """Ask the candidate whose answer broke off again, or all candidates if all failed or it has left the fleet."""
        turn, number = self.turns[-1], len(self.turns) - 1
        everybody = turn.job.all_failed and len(turn.job.candidates) > 1
        if everybody or turn.candidate not in ensemble.fleet.pool:
            _, plan = _choose(ensemble, self._messages(turn.message, self.turns[:number]), turn.settings)
        else:
            plan = AnswerPlan((turn.candidate,), turn.job.reserves, _failed_to_start(turn.job))
        self._answer_again(ensemble, number, plan, turn.settings, instead=True)

    def resume(self, ensemble: Ensemble, number: int) -> None:
        """Let a candidate continue its answer that was stopped, was cut off or broke off, in any turn.

        Raises:
            ZooterError: the fleet no longer has the candidate. The conversation is unchanged.
        """
        turn = self.turns[number]
        first = turn.answer.response or Response(turn.candidate, "")
        continued = replace(first, text=turn.text)
        plan = AnswerPlan((turn.candidate,), turn.job.reserves, _failed_to_start(turn.job), continued)
        self._answer_again(ensemble, number, plan, turn.settings, instead=True)

    def show_version(self, number: int, version: int) -> None:
        turn = self.turns[number]
        turn.job = turn.versions[version]
        self._save(number)

    def vote(self, number: int, value: int | None) -> None:
        self.turns[number].job.vote = value
        self._save(number)

    def rename(self, name: str) -> None:
        """Give the conversation a title; an empty one restores its first query."""
        self.name = " ".join(name.split())[:TITLE]
        self.history.rename(self.id, self.title)

    def _answer_again(
        self, ensemble: Ensemble, number: int, plan: AnswerPlan, settings: Settings, instead: bool = False
    ) -> None:
        """Start another version of an answer; `instead` drops the current version."""
        turn = self.turns[number]
        retry = turn.retry + 1
        job = self._job(ensemble, number, turn.message, settings, plan, retry)
        versions = [version for version in turn.versions if not (instead and version is turn.job)]
        self._put(number, replace(turn, job=job, settings=settings, retry=retry, versions=versions), job)

    def _job(
        self, ensemble: Ensemble, number: int, message: Message, settings: Settings, plan: AnswerPlan, retry: int = 0
    ) -> Job:
        """The job that answers a turn; `_put` starts it. Each retry has its own seed, so as not to repeat an answer."""
        base = ensemble.fleet.generation
        generation = replace(
            base,
            seed=base.seed + retry,
            temperature=base.temperature if settings.temperature is None else settings.temperature,
            max_new_tokens=settings.max_new_tokens or base.max_new_tokens,
        )

        def save(answers: Answers) -> None:
            if number < len(self.turns) and answers in self.turns[number].versions:
                self._save(number)

        def read_ahead() -> None:
            if answered := self._messages(Message("user", ""), self.turns, settings.system)[:-1]:
                ensemble.read_ahead(answered)

        return Job(
            ensemble,
            replace(plan, reserves=[name for name in plan.reserves if name in ensemble.fleet.pool]),
            self._messages(message, self.turns[:number], settings.system),
            rank=len(plan.candidates) + sum(not response.error for response in plan.previous) > 1 and ensemble.can_rank,
            generation=generation,
            save=save,
            ended=read_ahead,
        )

    def _put(self, number: int, turn: Turn, job: Job) -> None:
        """Store a turn at its place and start its answer. If it replaces a turn, stop that turn's answer."""
        replaced = self.turns[number : number + 1]
        self.turns[number : number + 1] = [turn]
        self._save(number)  # before the job saves its last state
        job.start()
        for old in replaced:
            old.job.stop()

    def _save(self, number: int) -> None:
        self.history.keep(self.id, self.title, self.fleet, number, self.turns[number].to_json())

    def _messages(self, message: Message, turns: Sequence[Turn], system: str = "") -> list[Message]:
        """The messages of some turns, and a query. Queries whose answers failed are left out: they may be the cause."""
        messages = [Message("system", system)] if system.strip() else []
        for turn in turns:
            answer = turn.text.strip()
            messages += [turn.message] if answer or not turn.job.incomplete else []
            messages += [Message("assistant", answer)] if answer else []
        return [*messages, message]

    @property
    def title(self) -> str:
        if self.name:
            return self.name
        return clipped(self.turns[0].query, TITLE) if self.turns else ""

    @property
    def running(self) -> bool:
        return any(turn.job.running for turn in self.turns)


def _choose(ensemble: Ensemble, messages: Sequence[Message], settings: Settings) -> tuple[Decision, AnswerPlan]:
    """The router's decision, and which candidates answer. A candidate that the visitor chose has no fallback."""
    if settings.mode == "select":
        selection = ensemble.select(messages, settings.k, settings.unsure_above)
        decision, count = selection.decision, len(selection.candidates)
    else:
        decision = ensemble.route(messages)
        count = len(decision.order) if settings.mode == "rmr" else 1
    if settings.mode == "fixed" and settings.candidate in decision.order:
        return decision, AnswerPlan((settings.candidate,))
    return decision, AnswerPlan(decision.order[:count], decision.order[count:])


def _failed_to_start(job: Answers) -> tuple[Response, ...]:
    """The responses that failed before their first token, except the one that is shown."""
    return tuple(r for r in job.failed if r.failed_before_first_token and r.candidate != job.shown)


@st.cache_resource(show_spinner=False)
def _live() -> dict[str, Conversation]:
    return {}


def _new() -> Conversation:
    return Conversation(resources.folder(), history=history())


def current() -> Conversation:
    """The conversation to show: the one in the address if the session is new or the visitor went back, else the
    session's own or a new one."""
    talk: Conversation = st.session_state.get("conversation") or _new()
    begun = links.follow("chat", talk if talk.turns else None, find)
    talk = begun or (_new() if talk.turns else talk)
    show(talk)
    if talk.turns:
        links.remember(_live(), talk)
        for turn in talk.turns:
            attach(turn.job)
    return talk


def find(id: str) -> Conversation | None:
    """A conversation in memory or in the history; None if there is none, or if one of its turns is damaged."""
    if (live := _live().get(id)) is not None:
        return live
    if (entry := history().entry(id)) is None:
        return None
    try:
        turns = [Turn.from_json(record) for record in history().turns(id)]
    except ValueError:
        keep_problem("conversation", f"The conversation “{entry.title}” in {history().path} cannot be read.")
        return None
    talk = Conversation(entry.fleet, id, turns, history(), tuning=Tuning.of(turns[-1].settings) if turns else Tuning())
    talk.name = entry.title if entry.title != talk.title else ""
    return talk


def show(talk: Conversation) -> None:
    """Show a conversation in this session, with its id in the address once it has begun."""
    st.session_state["conversation"] = talk
    links.write_id("chat", talk.id if talk.turns else None)


def open(id: str) -> None:
    """Show a conversation from memory or from the history in this session."""
    show(find(id) or _new())


def clear() -> None:
    """Stop the running answer and start a new conversation."""
    for turn in current().turns:
        turn.job.stop()
    show(_new())


def forget(id: str) -> None:
    """Delete a conversation from the history and from memory; `undo` brings it back."""
    if (entry := history().entry(id)) is None:  # a second click
        return
    records = history().turns(id)
    if current().id == id:
        clear()
    if talk := _live().pop(id, None):
        talk.history = NOWHERE  # a running answer would store it again
        for turn in talk.turns:
            turn.job.stop()
    history().forget(id)
    st.session_state.setdefault(DELETED, []).append((entry, records))


def deleted() -> Entry | None:
    """The conversation that `undo` brings back: the last one that was deleted in this session."""
    removed = st.session_state.get(DELETED)
    return removed[-1][0] if removed else None


def undo() -> None:
    """Bring back the conversation that was deleted last; the next call brings back the one before."""
    if removed := st.session_state.get(DELETED):
        entry, records = removed.pop()
        history().restore(entry, records)
        open(entry.id)


def settle() -> None:
    """Make deletions final. Called when the visitor does something else."""
    st.session_state.pop(DELETED, None)
