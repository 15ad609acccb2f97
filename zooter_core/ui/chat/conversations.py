"""Conversations: their turns, each with the router's decision and the answers.

A conversation lives as long as the server, and longer in the history; a tab that reloads finds it by its id.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import streamlit as st

from zooter_core.records import Decision, Message, Response
from zooter_core.ui import resources
from zooter_core.ui.background import attach
from zooter_core.ui.chat.turns import Settings, Turn
from zooter_core.ui.history import Entry, History, history
from zooter_core.ui.jobs import Answers, Job, Plan

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble

MOST_LIVE = 200  # conversations in memory; the oldest are dropped first
TITLE = 60  # characters
DEFAULT = Settings()


@dataclass(eq=False)
class Conversation:
    """Turns in order. A candidate sees the full conversation, the router only the user's side.

    Attributes:
        fleet: the folder of the fleet that answers.
        history: where the turns are saved; None if nowhere.
    """

    fleet: str = ""
    id: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    turns: list[Turn] = field(default_factory=list)
    history: History | None = None

    def ask(self, ensemble: Ensemble, query: str, settings: Settings = DEFAULT) -> None:
        """Route a query on the conversation so far and start the answer.

        Raises:
            ZooterError: the query is empty or too long.
        """
        decision, plan = _choose(ensemble, self._messages(query), settings)
        self._start(ensemble, query, decision, settings, plan)

    def answer_with(self, ensemble: Ensemble, candidate: str) -> None:
        """Replace the last answer with one of the candidate named."""
        turn = self._drop()
        self._start(ensemble, turn.query, turn.decision, turn.settings, Plan((candidate,)), turn.retry + 1)

    def retry(self, ensemble: Ensemble) -> None:
        """Ask the candidate whose answer broke off again; if all candidates failed, ask all of them again."""
        turn = self._drop()
        if turn.job.all_failed and len(turn.job.candidates) > 1:
            _, plan = _choose(ensemble, self._messages(turn.query), turn.settings)
        else:
            plan = Plan((turn.candidate,), turn.job.reserves, _failed_to_start(turn.job))
        self._start(ensemble, turn.query, turn.decision, turn.settings, plan, turn.retry + 1)

    def edit(self, ensemble: Ensemble, query: str, settings: Settings = DEFAULT) -> None:
        """Replace the last query.

        Raises:
            ZooterError: the query is empty or too long. The last turn then stays.
        """
        decision, plan = _choose(ensemble, self._messages(query, self.turns[:-1]), settings)
        self._drop()
        self._start(ensemble, query, decision, settings, plan)

    def resume(self, ensemble: Ensemble) -> None:
        """Let the candidate whose answer broke off continue it."""
        turn = self._drop()
        plan = Plan((turn.candidate,), turn.job.reserves, _failed_to_start(turn.job), turn.text)
        self._start(ensemble, turn.query, turn.decision, turn.settings, plan, turn.retry)

    def vote(self, number: int, value: int | None) -> None:
        """Store a thumb for an answer, or remove it."""
        self.turns[number].vote = value
        self._save(number)

    def _drop(self) -> Turn:
        turn = self.turns.pop()
        turn.job.stop()
        return turn

    def _start(
        self,
        ensemble: Ensemble,
        query: str,
        decision: Decision,
        settings: Settings,
        plan: Plan,
        retry: int = 0,
    ) -> None:
        base = ensemble.fleet.generation
        generation = replace(
            base,
            seed=base.seed + retry,  # or a new answer would repeat the old one
            temperature=base.temperature if settings.temperature is None else settings.temperature,
            max_new_tokens=settings.max_new_tokens or base.max_new_tokens,
        )
        number = len(self.turns)
        started = threading.Event()  # the job may end before its turn exists

        def save(answers: Answers) -> None:
            started.wait(5)
            if number < len(self.turns) and self.turns[number].job is answers:
                self._save(number)

        job = Job(
            ensemble,
            plan,
            self._messages(query, system=settings.system),
            rank=len(plan.candidates) > 1,
            generation=generation,
            save=save,
        )
        self.turns.append(Turn(query, decision, job, settings, retry))
        self._save(number)
        started.set()

    def _save(self, number: int) -> None:
        if self.history is not None:
            entry = Entry(self.id, self.title, self.fleet, 0.0)
            self.history.keep(entry, number, self.turns[number].to_json())

    def _messages(self, query: str, turns: Sequence[Turn] | None = None, system: str = "") -> list[Message]:
        """The conversation so far and a query. Earlier queries without an answer are left out."""
        messages = [Message("system", system)] if system.strip() else []
        for turn in self.turns if turns is None else turns:
            if answer := turn.text.strip():
                messages += [Message("user", turn.query), Message("assistant", answer)]
        return [*messages, Message("user", query)]

    @property
    def title(self) -> str:
        words = " ".join(self.turns[0].query.split()) if self.turns else ""
        return words if len(words) <= TITLE else words[: TITLE - 1] + "…"

    @property
    def running(self) -> bool:
        return bool(self.turns) and self.turns[-1].job.running


def _choose(ensemble: Ensemble, messages: Sequence[Message], settings: Settings) -> tuple[Decision, Plan]:
    """The router's decision, and who answers. A candidate that the visitor has named has no reserves."""
    if settings.mode == "select":
        selection = ensemble.select(messages, settings.k, settings.unsure_above)
        decision, count = selection.decision, len(selection.candidates)
    else:
        decision = ensemble.route(messages)
        count = len(decision.order) if settings.mode == "rmr" else 1
    if settings.mode == "fixed" and settings.candidate in decision.order:
        return decision, Plan((settings.candidate,))
    return decision, Plan(decision.order[:count], decision.order[count:])


def _failed_to_start(job: Answers) -> tuple[Response, ...]:
    """The responses that failed before their first token, except the one that counts."""
    return tuple(r for r in job.failed if r.failed_before_first_token and r.candidate != job.shown)


@st.cache_resource(show_spinner=False)
def _live() -> dict[str, Conversation]:
    return {}


def _new() -> Conversation:
    return Conversation(resources.folder(), history=history())


def current() -> Conversation:
    """This session's conversation: its own, the one that the address names, or a new one."""
    talk: Conversation | None = st.session_state.get("conversation")
    if talk is None:
        id = st.query_params.get("chat")
        talk = st.session_state["conversation"] = (find(id) if id else None) or _new()
    if talk.turns and st.query_params.get("chat") != talk.id:
        st.query_params["chat"] = talk.id
    if talk.turns:
        live = _live()
        live[talk.id] = talk
        while len(live) > MOST_LIVE:
            live.pop(next(iter(live)))
        attach(talk.turns[-1].job)
    return talk


def find(id: str) -> Conversation | None:
    """A conversation in memory, or in the history."""
    if id in _live():
        return _live()[id]
    entry = history().entry(id)
    if entry is None:
        return None
    return Conversation(entry.fleet, id, [Turn.from_json(record) for record in history().turns(id)], history())


def open(id: str) -> None:
    """Let this session look at a conversation."""
    st.session_state["conversation"] = find(id) or _new()


def clear() -> None:
    """Stop what runs and start a new conversation."""
    for turn in current().turns:
        turn.job.stop()
    st.session_state["conversation"] = _new()
    st.query_params.pop("chat", None)


def forget(id: str) -> None:
    """Delete a conversation from the history and from memory."""
    if current().id == id:
        clear()
    _live().pop(id, None)
    history().forget(id)
