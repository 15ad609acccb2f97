"""Conversations: their turns, each with the router's decision and the answers.

A conversation lives as long as the server, and longer in the history; a tab that reloads finds it by its id.
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
    tuning: Tuning = field(default_factory=Tuning)  # how its next queries are answered, whoever does

    def ask(
        self,
        ensemble: Ensemble,
        query: str,
        settings: Settings = DEFAULT,
        attachments: Sequence[Attachment] = (),
        replacing: bool = False,
    ) -> None:
        """Route a query on the conversation so far and start the answer; `replacing`: in place of the last query.

        Raises:
            ZooterError: the query is empty or too long. Nothing has changed then.
        """
        message, number = Message("user", query, tuple(attachments)), len(self.turns) - replacing
        decision, plan = _choose(ensemble, self._messages(message, self.turns[:number]), settings)
        job = self._job(ensemble, number, message, settings, plan)
        self._put(number, Turn(query, decision, job, settings, attachments=message.attachments), job)

    def answer_with(self, ensemble: Ensemble, candidate: str, number: int = -1) -> None:
        """Add a version of an answer, by the candidate named; later turns stay as they are.

        Raises:
            ZooterError: the fleet has no such candidate. Nothing has changed then.
        """
        settings = self.tuning.applied(self.turns[number].settings)
        self._answer_again(ensemble, number % len(self.turns), AnswerPlan((candidate,)), settings)

    def hear(self, ensemble: Ensemble, number: int) -> None:
        """Add a version of an answer with those of all models that the router is undecided between: the answer that is
        there, if it is whole, and those of the others."""
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
        """Ask another query in place of an earlier one, in a new conversation that begins with the turns before it.

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
        """Ask the candidate whose answer broke off again; ask all of them again if all failed, or it has left."""
        turn, number = self.turns[-1], len(self.turns) - 1
        everybody = turn.job.all_failed and len(turn.job.candidates) > 1
        if everybody or turn.candidate not in ensemble.fleet.pool:
            _, plan = _choose(ensemble, self._messages(turn.message, self.turns[:number]), turn.settings)
        else:
            plan = AnswerPlan((turn.candidate,), turn.job.reserves, _failed_to_start(turn.job))
        self._answer_again(ensemble, number, plan, turn.settings, instead=True)

    def resume(self, ensemble: Ensemble, number: int) -> None:
        """Let the candidate whose answer was stopped, cut off or broke off continue it, also in an earlier turn.

        Raises:
            ZooterError: the fleet no longer has it. Nothing has changed then.
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
        """Start another version of an answer; `instead`: drop the version that counted so far."""
        turn = self.turns[number]
        retry = turn.retry + 1
        job = self._job(ensemble, number, turn.message, settings, plan, retry)
        versions = [version for version in turn.versions if not (instead and version is turn.job)]
        self._put(number, replace(turn, job=job, settings=settings, retry=retry, versions=versions), job)

    def _job(
        self, ensemble: Ensemble, number: int, message: Message, settings: Settings, plan: AnswerPlan, retry: int = 0
    ) -> Job:
        """The answer of a turn, which `_put` starts. Each retry has its own seed, or it would repeat an old answer."""
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
        """Put a turn into its place and start its answer; that of a turn that was there is stopped."""
        replaced = self.turns[number : number + 1]
        self.turns[number : number + 1] = [turn]
        self._save(number)  # before the job saves its end
        job.start()
        for old in replaced:
            old.job.stop()

    def _save(self, number: int) -> None:
        self.history.keep(self.id, self.title, self.fleet, number, self.turns[number].to_json())

    def _messages(self, message: Message, turns: Sequence[Turn], system: str = "") -> list[Message]:
        """Some turns and a query. A query whose answer failed is left out: it may be why."""
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
    """The router's decision, and who answers. Nobody steps in for a candidate that the visitor has named."""
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
    """The responses that failed before their first token, except the one that counts."""
    return tuple(r for r in job.failed if r.failed_before_first_token and r.candidate != job.shown)


@st.cache_resource(show_spinner=False)
def _live() -> dict[str, Conversation]:
    return {}


def _new() -> Conversation:
    return Conversation(resources.folder(), history=history())


def current() -> Conversation:
    """This session's conversation: the one that its address names when new or after Back, its own, or a new one."""
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
    """A conversation in memory, or in the history; None if there is none, or a turn of it is damaged."""
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
    """Let this session look at a conversation, and its address name it once it has begun."""
    st.session_state["conversation"] = talk
    links.write_id("chat", talk.id if talk.turns else None)


def open(id: str) -> None:
    """Let this session look at a conversation in memory or in the history."""
    show(find(id) or _new())


def clear() -> None:
    """Stop what runs and start a new conversation."""
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
        talk.history = NOWHERE  # an answer that runs would bring it back
        for turn in talk.turns:
            turn.job.stop()
    history().forget(id)
    st.session_state.setdefault(DELETED, []).append((entry, records))


def deleted() -> Entry | None:
    """The conversation that `undo` brings back: of those deleted in this session, the last one."""
    removed = st.session_state.get(DELETED)
    return removed[-1][0] if removed else None


def undo() -> None:
    """Bring back the conversation that was deleted last; then the one before is next."""
    if removed := st.session_state.get(DELETED):
        entry, records = removed.pop()
        history().restore(entry, records)
        open(entry.id)


def settle() -> None:
    """What was deleted stays deleted: the visitor has gone on."""
    st.session_state.pop(DELETED, None)
