"""A session's conversation: turns that know who was chosen, who answered and what came."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st

from zooter_core.records import Decision, Message
from zooter_core.ui.jobs import Job

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble


@dataclass
class Turn:
    """One query with its decision and the job that answers it; `job.candidates[0]` is who answers."""

    query: str
    decision: Decision
    job: Job
    retry: int = 0

    @property
    def candidate(self) -> str:
        return self.job.candidates[0]


@dataclass
class Conversation:
    """Turns in order. A candidate sees the whole conversation, the router the user's side of it."""

    turns: list[Turn] = field(default_factory=list)

    def ask(self, ensemble: Ensemble, query: str, candidate: str | None = None) -> None:
        """Route a query on the conversation so far and start the answer, of `candidate` where one is given.

        Raises:
            ZooterError: the query is empty or too long.
        """
        messages = [*self.messages(), Message("user", query)]
        decision = ensemble.route(messages)
        self.turns.append(Turn(query, decision, Job(ensemble, [candidate or decision.candidate], messages)))

    def again(self, ensemble: Ensemble, candidate: str) -> None:
        """Answer the last query anew with a candidate; the earlier answer is dropped."""
        turn = self.turns.pop()
        turn.job.stop()
        messages = [*self.messages(), Message("user", turn.query)]
        retry = turn.retry + 1
        self.turns.append(Turn(turn.query, turn.decision, Job(ensemble, [candidate], messages, retry=retry), retry))

    def messages(self) -> list[Message]:
        """What has been said so far; a query without an answer is left out."""
        said: list[Message] = []
        for turn in self.turns:
            if answer := turn.job.texts[turn.candidate].strip():
                said += [Message("user", turn.query), Message("assistant", answer)]
        return said

    @property
    def running(self) -> bool:
        return bool(self.turns) and self.turns[-1].job.running


def current() -> Conversation:
    """This session's conversation."""
    found: Conversation = st.session_state.setdefault("conversation", Conversation())
    return found


def clear() -> None:
    """Stop what runs and begin anew."""
    for turn in current().turns:
        turn.job.stop()
    st.session_state["conversation"] = Conversation()
