"""A conversation: turns that know who was chosen, who answered and what came.

It lives as long as the server, and longer in the history; a tab that is loaded again finds it by its id.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from zooter_core.records import Decision, Message, Ranked, Response, Tag
from zooter_core.ui import resources, watch
from zooter_core.ui.history import Entry, History, history
from zooter_core.ui.jobs import Answers, Job, Plan

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble
    from zooter_core.router.explain import Explanation

Mode = Literal["router", "select", "rmr", "fixed"]
MOST_LIVE = 200  # conversations in memory; the oldest leave first
TITLE = 60  # characters


@dataclass(frozen=True)
class Settings:
    """How a query is answered.

    Attributes:
        mode: `router` (one candidate runs), `select` (the k most probable where the router is unsure), `rmr` (all run),
            `fixed` (the candidate named).
        unsure_above: for `select`: the trigger's value above which a query is unsure; None for the fleet's own.
        temperature, max_new_tokens: None for the fleet's own.
        system: text before the conversation; never part of what is routed.
    """

    mode: Mode = "router"
    candidate: str | None = None
    k: int = 2
    unsure_above: float | None = None
    temperature: float | None = None
    max_new_tokens: int | None = None
    system: str = ""


@dataclass(eq=False)
class Turn:
    """One query with its decision and the answers to it; `candidate` is whose answer counts."""

    query: str
    decision: Decision
    job: Answers
    settings: Settings = Settings()
    retry: int = 0
    vote: int | None = None  # 1 thumb up, 0 thumb down
    why: Explanation | None = None  # worked out when first looked at

    @property
    def candidate(self) -> str:
        return self.job.shown

    @property
    def text(self) -> str:
        return self.job.texts[self.candidate]

    def to_json(self) -> dict[str, Any]:
        """What the history keeps and an export shows."""
        answer = self.job.responses.get(self.candidate)
        ended = not self.job.running or len(self.job.responses) == len(self.job.texts)
        return {
            "query": self.query,
            "decision": self.decision.to_json() | {"probabilities": dict(self.decision.probabilities)},  # not rounded
            "settings": asdict(self.settings),
            "candidate": self.candidate,
            "text": self.text,
            "texts": self.job.texts,
            "responses": {name: response.to_json() for name, response in dict(self.job.responses).items()},
            "failed": {response.candidate: str(response.error) for response in self.job.failed},
            "reserves": list(self.job.reserves),
            "rewards": {item.response.candidate: item.reward for item in self.job.ranked or []},
            "problem": self.job.problem,
            "complete": ended and answer is not None and answer.error is None,
            "retry": self.retry,
            "vote": self.vote,
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Turn:
        made = record["decision"]
        tags = tuple(Tag(**tag) for tag in made["tags"])
        decision = Decision(
            made["query"], made["probabilities"], tags, made["candidate"], made["margin"], made.get("utilities")
        )
        responses = {name: Response.from_json(values) for name, values in record["responses"].items()}
        ranked = [
            Ranked(responses[name], reward, place if reward is not None else None)
            for place, (name, reward) in enumerate(record["rewards"].items(), 1)
        ]
        said = tuple(record["texts"]), record["texts"], responses, ranked or None, record["problem"]
        job = Answers(*said, reserves=tuple(record.get("reserves", ())))
        settings = Settings(**record["settings"])
        return cls(record["query"], decision, job, settings, record["retry"], record["vote"])


@dataclass(eq=False)
class Conversation:
    """Turns in order. A candidate sees the whole conversation, the router the user's side of it."""

    fleet: str = ""
    id: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    turns: list[Turn] = field(default_factory=list)
    kept: History | None = None

    def ask(self, ensemble: Ensemble, query: str, settings: Settings = Settings()) -> None:
        """Route a query on the conversation so far and start the answer.

        Raises:
            ZooterError: the query is empty or too long.
        """
        decision, plan = _choose(ensemble, self._messages(query), settings)
        self._start(ensemble, query, decision, settings, plan)

    def again(self, ensemble: Ensemble, candidate: str) -> None:
        """Answer the last query anew with a candidate; the earlier answer is dropped."""
        turn = self._drop()
        self._start(ensemble, turn.query, turn.decision, turn.settings, Plan((candidate,)), turn.retry + 1)

    def retry(self, ensemble: Ensemble) -> None:
        """Ask anew the candidate whose answer broke off; where none of several could begin, all as at first."""
        turn = self._drop()
        if turn.job.nobody and len(turn.job.candidates) > 1:
            _, plan = _choose(ensemble, self._messages(turn.query), turn.settings)
        else:
            plan = Plan((turn.candidate,), turn.job.reserves, _unable(turn.job))
        self._start(ensemble, turn.query, turn.decision, turn.settings, plan, turn.retry + 1)

    def edit(self, ensemble: Ensemble, query: str, settings: Settings = Settings()) -> None:
        """Put another query in the place of the last one.

        Raises:
            ZooterError: the query is empty or too long; the last turn stays then.
        """
        decision, plan = _choose(ensemble, self._messages(query, self.turns[:-1]), settings)
        self._drop()
        self._start(ensemble, query, decision, settings, plan)

    def go_on(self, ensemble: Ensemble) -> None:
        """Let the candidate whose answer was broken off finish it."""
        turn = self._drop()
        plan = Plan((turn.candidate,), turn.job.reserves, _unable(turn.job), turn.text)
        self._start(ensemble, turn.query, turn.decision, turn.settings, plan, turn.retry)

    def vote(self, number: int, value: int | None) -> None:
        """A thumb for an answer, or none."""
        self.turns[number].vote = value
        self._keep(number)

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
            seed=base.seed + retry,  # else an answer made again would be the same
            temperature=base.temperature if settings.temperature is None else settings.temperature,
            max_new_tokens=settings.max_new_tokens or base.max_new_tokens,
        )
        number = len(self.turns)
        started = threading.Event()  # the job may end before its turn is there to be kept

        def keep(answers: Answers) -> None:
            started.wait(5)
            if number < len(self.turns) and self.turns[number].job is answers:
                self._keep(number)

        job = Job(
            ensemble,
            plan,
            self._messages(query, system=settings.system),
            rank=len(plan.candidates) > 1,
            generation=generation,
            keep=keep,
        )
        self.turns.append(Turn(query, decision, job, settings, retry))
        self._keep(number)
        started.set()

    def _keep(self, number: int) -> None:
        if self.kept is not None:
            entry = Entry(self.id, self.title, self.fleet, 0.0)
            self.kept.keep(entry, number, self.turns[number].to_json())

    def _messages(self, query: str, turns: Sequence[Turn] | None = None, system: str = "") -> list[Message]:
        """What has been said so far and a query; a query without an answer is left out."""
        said = [Message("system", system)] if system.strip() else []
        for turn in self.turns if turns is None else turns:
            if answer := turn.text.strip():
                said += [Message("user", turn.query), Message("assistant", answer)]
        return [*said, Message("user", query)]

    @property
    def title(self) -> str:
        words = " ".join(self.turns[0].query.split()) if self.turns else ""
        return words if len(words) <= TITLE else words[: TITLE - 1] + "…"

    @property
    def running(self) -> bool:
        return bool(self.turns) and self.turns[-1].job.running


def _choose(ensemble: Ensemble, messages: Sequence[Message], settings: Settings) -> tuple[Decision, Plan]:
    """The router's decision, and who answers; whom the visitor has named nobody replaces."""
    if settings.mode == "select":
        found = ensemble.select(messages, settings.k, settings.unsure_above)
        decision, several = found.decision, len(found.candidates)
    else:
        decision = ensemble.route(messages)
        several = len(decision.order) if settings.mode == "rmr" else 1
    if settings.mode == "fixed" and settings.candidate in decision.order:
        return decision, Plan((settings.candidate,))
    return decision, Plan(decision.order[:several], decision.order[several:])


def _unable(job: Answers) -> tuple[Response, ...]:
    """The responses that failed before their first token, beside the one that counts."""
    return tuple(r for r in job.failed if r.failed_before_first_token and r.candidate != job.shown)


@st.cache_resource(show_spinner=False)
def _live() -> dict[str, Conversation]:
    return {}


def _new() -> Conversation:
    return Conversation(resources.folder(), kept=history())


def current() -> Conversation:
    """This session's conversation: the one it has, the one that the address names, or a new one."""
    found: Conversation | None = st.session_state.get("conversation")
    if found is None:
        named = st.query_params.get("chat")
        found = st.session_state["conversation"] = (find(named) if named else None) or _new()
    if found.turns and st.query_params.get("chat") != found.id:
        st.query_params["chat"] = found.id
    if found.turns:
        live = _live()
        live[found.id] = found
        while len(live) > MOST_LIVE:
            live.pop(next(iter(live)))
        watch.look_after(found.turns[-1].job)
    return found


def find(id: str) -> Conversation | None:
    """A conversation that is still in memory, or in the history."""
    if id in _live():
        return _live()[id]
    entry = history().entry(id)
    if entry is None:
        return None
    return Conversation(entry.fleet, id, [Turn.from_json(record) for record in history().turns(id)], history())


def open(id: str) -> None:
    """Let this session look at a conversation of the list."""
    st.session_state["conversation"] = find(id) or _new()


def clear() -> None:
    """Stop what runs and begin anew."""
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
