"""Comparisons: one query answered by several candidates, the ranking of their responses, and a visitor's vote.

A comparison stays in memory until the server stops. A reloaded tab finds it by its id.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Decision, Message, Ranked, Response, Vote, VoteOutcome
from zooter_core.config.fleet import Fleet
from zooter_core.data import prices
from zooter_core.data.answer_keys import read_key
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui import links, resources
from zooter_core.ui.background import attach
from zooter_core.ui.history import history
from zooter_core.ui.jobs import AnswerPlan, Job
from zooter_core.ui.text import plain


@dataclass(eq=False)
class Comparison:
    """A query, the router's decision among all candidates, and the job in which some of them answer it."""

    query: str
    decision: Decision
    job: Job
    fleet: Fleet
    order: tuple[str, ...]  # the order in which candidates are drawn before they are ranked; shuffled if blind
    blind: bool = False
    hidden: bool = False  # whether the names are still hidden
    key: Mapping[str, Any] | None = None  # verifies the responses (`data/answer_keys.py`); None if nothing does
    vote: Vote | None = None
    id: str = field(default_factory=lambda: secrets.token_urlsafe(9))

    def label(self, name: str) -> str:
        """A candidate's title on the page: its name, or "Response B" while names are hidden."""
        return self.letter(name) if self.hidden else name

    def letter(self, name: str) -> str:
        return f"Response {chr(ord('A') + self.order.index(name))}"

    @property
    def answered(self) -> list[str]:
        """The candidates with a complete, non-empty response, in the order in which they are drawn."""
        complete = {response.candidate for response in self.job.responses if response.text and not response.error}
        return [name for name in self.order if name in complete]

    @property
    def votable(self) -> bool:
        """Whether a vote is possible. A blind vote is final once the names are shown."""
        final = self.vote is not None and self.vote.blind
        return not self.job.running and len(self.answered) > 1 and not final

    def cast(self, outcome: VoteOutcome, best: str | None = None) -> None:
        """Store a vote, which replaces an earlier one, and show the names. Does nothing if no vote is possible."""
        if not self.votable:
            return  # the second of two quick clicks
        self.vote = Vote(
            query=self.query,
            candidates=tuple(name for name in self.job.candidates if name in self.answered),
            outcome=outcome,
            best=best,
            reward=self.best,
            blind=self.hidden,
            tag=self.decision.tags[0].name if self.decision.tags else "",
            longest=max(self.answered, key=lambda name: len(self.job.answers[name].text)),
            choice=self.decision.candidate,
        )
        self.hidden = False
        history().vote(self.id, fleet_key(self.fleet), self.vote.to_json())

    def retry(self, ensemble: Ensemble, name: str) -> None:
        """Ask one candidate again, keep the other responses, and rank all of them again."""
        previous = [response for response in self.job.responses if response.candidate != name]
        candidates = [other for other in self.job.candidates if not self.job.answers[other].response or other == name]
        plan = AnswerPlan(candidates, previous=previous)
        self.job = Job(ensemble, plan, [Message("user", self.query)], rank=ensemble.can_rank, key=self.key).start()

    def reveal(self) -> None:
        """Show the names without a vote; a later vote is not blind."""
        self.hidden = False

    def usd(self, response: Response) -> float | None:
        """The cost of a response in dollars, without its prompt; None if a remote candidate has no price."""
        return prices.cost(self.fleet.candidate(response.candidate), 0, response.tokens)

    def ranked(self) -> list[Ranked]:
        """The responses by reward; unranked ones in the order in which they are drawn."""
        if self.job.ranked is not None:
            return self.job.ranked
        responses = [self.job.answers[name].response for name in self.order]
        return [Ranked(response) for response in responses if response is not None]

    @property
    def best(self) -> str | None:
        """The candidate with the highest reward; None if several share it."""
        rewarded = {item.response.candidate: item.reward for item in self.ranked() if item.reward is not None}
        highest = [name for name, reward in rewarded.items() if reward == max(rewarded.values())]
        return highest[0] if len(highest) == 1 else None

    def to_json(self) -> dict[str, Any]:
        """The comparison for a download; `query`, `responses` and `route` as in `zooter compare --json`."""
        return {
            "id": self.id,
            "fleet": fleet_key(self.fleet),
            "query": self.query,
            "candidates": list(self.job.candidates),
            **(self.key or {}),
            "responses": [
                item.response.to_json() | item.to_json() | {"usd": self.usd(item.response)} for item in self.ranked()
            ],
            "route": self.decision.to_json(),
            "blind": self.blind,
            "vote": self.vote.to_json() if self.vote else None,
            "problem": self.job.problem,
        }


def start(
    ensemble: Ensemble,
    query: str,
    candidates: Sequence[str] = (),
    *,
    blind: bool = False,
    answer: str = "",
    previous: Comparison | None = None,
) -> Comparison:
    """Route a query and let the named candidates, or all, answer it. A previous comparison is stopped.

    Args:
        answer: the right answer, by which the responses are verified; "" if it is unknown.

    Raises:
        ZooterError: the query is empty or too long, or there are fewer than two candidates.
    """
    key = read_key("Right answer", {"answer": answer.strip() or None})
    names = pick_candidates(ensemble.fleet.pool, candidates)
    messages = [Message("user", query)]
    decision = ensemble.route(messages)
    if previous is not None:
        previous.job.stop()
    return Comparison(
        query,
        decision,
        Job(ensemble, AnswerPlan(names), messages, rank=ensemble.can_rank, key=key).start(),
        ensemble.fleet,
        tuple(random.sample(names, len(names))) if blind else names,
        blind=blind,
        hidden=blind,
        key=key,
    )


@st.cache_resource(show_spinner=False)
def _live() -> dict[str, Comparison]:
    return {}


def current() -> Comparison | None:
    """This tab's comparison: the one in the address if the tab is new or went back, else its own. A comparison of
    another fleet is not shown until the visitor picks that fleet again."""
    comparison = links.follow("compare", st.session_state.get("comparison"), _live().get)
    if comparison is None and "compare" in st.query_params:
        st.info("The server no longer has the comparison of this address. A restart of the server clears them.")
    show(comparison)
    if comparison is None:
        return None
    links.remember(_live(), comparison)
    attach(comparison.job)
    return comparison if fleet_key(comparison.fleet) == str(Path(resources.folder()).resolve()) else None


def show(comparison: Comparison | None) -> None:
    """Show a comparison, or an empty field, in this session, with its id in the address."""
    st.session_state["comparison"] = comparison
    links.write_id("compare", comparison.id if comparison else None)


def fleet_key(fleet: Fleet) -> str:
    """The key for stored votes on a fleet: its folder."""
    return str(fleet.folder.resolve())


def pick_candidates(pool: Sequence[str], candidates: Sequence[str]) -> tuple[str, ...]:
    """The candidates to compare, in pool order: the named ones, or all.

    Raises:
        ZooterError: fewer than two.
    """
    names = tuple(name for name in pool if name in candidates or not candidates)
    if len(names) < 2:
        raise ZooterError.saying("A comparison needs at least two models.", "Pick another one above.")
    return names


def describe_agreement(decision: Decision, ranked: Sequence[Ranked]) -> str:
    """Whether router and reward model agree, and what asking only the router's choice would have saved, as Markdown."""
    placed = [item for item in ranked if item.rank is not None]
    if not placed:
        return ":material/error: No model answered, so there is nothing to rank."
    outcomes = [item.right for item in ranked if item.reason]
    sentences = []
    if None in outcomes or any(item.lacking for item in ranked):
        lacking = outcomes.count(False)
        lack = f"{lacking} of {len(ranked)} responses {'lacks' if lacking == 1 else 'lack'}"
        sentences.append(f"{lack if lacking else 'No response lacks'} the form that was asked for.")
    elif outcomes:
        right = outcomes.count(True)
        sentences.append(f"{right} of {len(ranked)} responses {'is' if right == 1 else 'are'} right.")

    who = "ranking" if outcomes else "reward model"
    first = [item.response.candidate for item in placed if item.rank == 1]
    others = f"{len(first) - 1} {'other' if len(first) == 2 else 'others'}" if len(first) > 1 else ""
    best = f"**{plain(first[0])}**" + (f" and {others}" if others else "")
    choice = next((item for item in placed if item.response.candidate == decision.candidate), None)
    if decision.candidate in first:
        shared = f", which shares the first place with {others}" if others else ""
        sentences.append(f":material/check_circle: Router and {who} agree on **{plain(decision.candidate)}**{shared}.")
    elif decision.candidate in {item.response.candidate for item in ranked}:
        place = f"ranks {_ordinal(choice.rank)}" if choice and choice.rank else "gave no answer"
        chosen = f"the router chose **{plain(decision.candidate)}**, which {place}."
        sentences.append(f":material/compare_arrows: They differ: the {who} puts {best} first; {chosen}")
    else:
        sentences.append(f":material/compare_arrows: The {who} puts {best} first. {describe_absent_choice(decision)}")

    total = sum(item.response.tokens for item in ranked)
    if choice and total:
        sentences.append(
            f"Asking {plain(decision.candidate)} alone takes {choice.response.tokens} of the {total} tokens: "
            f"{1 - choice.response.tokens / total:.0%} saved."
        )
    return " ".join(sentences)


def describe_absent_choice(decision: Decision) -> str:
    name, share = plain(decision.candidate), decision.probabilities[decision.candidate]
    return f"The router would have asked **{name}** ({share:.0%}), which does not take part here."


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
