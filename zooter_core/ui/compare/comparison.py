"""One query answered by several candidates: who says what, what it was worth, and what a visitor thinks of it.

It lives as long as the server; a tab that is loaded again finds it by its id.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import streamlit as st

from zooter_core.config.fleet import Fleet
from zooter_core.errors import ZooterError, listed
from zooter_core.records import Decision, Message, Ranked, Response
from zooter_core.ui import watch
from zooter_core.ui.compare.votes import Outcome, Vote
from zooter_core.ui.history import history
from zooter_core.ui.jobs import Answers, Job, Plan
from zooter_core.ui.registry import Registry
from zooter_core.ui.text import plain

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble


@dataclass(eq=False)
class Comparison:
    """A query, the router's decision among the candidates compared, and the job in which they answer.

    Attributes:
        pool: all candidates of the fleet, for their colours.
        prices: candidate -> dollars a million tokens, where fleet.toml says.
        order: the candidates as they are drawn until they are ranked: shuffled where the comparison is blind.
        hidden: whether the names are not to be shown yet.
    """

    query: str
    decision: Decision
    job: Answers
    fleet: str = ""
    pool: tuple[str, ...] = ()
    prices: Mapping[str, float] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    blind: bool = False
    hidden: bool = False
    vote: Vote | None = None
    id: str = field(default_factory=lambda: secrets.token_urlsafe(9))

    def label(self, name: str) -> str:
        """What a candidate is called on the page: "Response B" while names are hidden."""
        return self.letter(name) if self.hidden else name

    def letter(self, name: str) -> str:
        number = self.order.index(name)
        return f"Response {ascii_uppercase[number] if number < len(ascii_uppercase) else number + 1}"

    @property
    def answered(self) -> list[str]:
        """The candidates who said something, in the order in which they are drawn."""
        found = self.job.responses
        return [name for name in self.order if name in found and found[name].text and not found[name].error]

    @property
    def votable(self) -> bool:
        """Whether there is something to choose from; a blind vote is not to be changed once the names are known."""
        settled = self.vote is not None and self.vote.blind
        return not self.job.running and len(self.answered) > 1 and not settled

    def cast(self, outcome: Outcome, best: str | None = None) -> None:
        """Note a vote, in place of an earlier one, and show the names."""
        self.vote = Vote(
            query=self.query,
            candidates=self.job.candidates,
            outcome=outcome,
            best=best,
            router=self.decision.candidate,
            reward=self.best,
            blind=self.hidden,
        )
        self.hidden = False
        history().vote(self.id, self.fleet, self.vote.to_json())

    def retry(self, ensemble: Ensemble, name: str) -> None:
        """Ask one candidate again; the others' responses stay, and all are ranked anew."""
        said = {other: response for other, response in self.job.responses.items() if other != name}
        asked = tuple(other for other in self.job.candidates if other not in said)
        plan = Plan(asked, earlier=tuple(said.values()))
        self.job = Job(ensemble, plan, [Message("user", self.query)], rank=True)

    def reveal(self) -> None:
        """Show the names without a vote; a vote after that is not blind."""
        self.hidden = False

    def usd(self, response: Response) -> float | None:
        """What a response cost in dollars, its prompt left out; None where the candidate has no price."""
        price = self.prices.get(response.candidate)
        return None if price is None else price * response.tokens / 1e6

    def ranked(self) -> list[Ranked]:
        """The responses by reward, or as they came where they were not ranked."""
        if self.job.ranked is not None:
            return self.job.ranked
        return [Ranked(self.job.responses[name]) for name in self.order if name in self.job.responses]

    @property
    def best(self) -> str | None:
        """Whose response has the highest reward."""
        return next((item.response.candidate for item in self.ranked() if item.rank == 1), None)

    def to_json(self) -> dict[str, Any]:
        """Everything that is known of it; `query`, `responses` and `route` as `zooter compare --json` has them."""
        return {
            "id": self.id,
            "fleet": self.fleet,
            "query": self.query,
            "candidates": list(self.job.candidates),
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
    earlier: Comparison | None = None,
) -> Comparison:
    """Route a query and let candidates answer it, all where none is named; an earlier comparison is stopped.

    Raises:
        ZooterError: the query is empty or too long, or there are fewer than two candidates.
    """
    pool = ensemble.fleet.pool
    named = chosen(pool, candidates)
    messages = [Message("user", query)]
    decision = among(ensemble.route(messages), named)
    if earlier is not None:
        earlier.job.stop()
    return Comparison(
        query,
        decision,
        Job(ensemble, Plan(named), messages, rank=True),
        fleet=key(ensemble.fleet),
        pool=pool,
        prices={
            c.name: c.usd_per_million_tokens for c in ensemble.fleet.candidates if c.usd_per_million_tokens is not None
        },
        order=tuple(random.sample(named, len(named))) if blind else named,
        blind=blind,
        hidden=blind,
    )


def key(fleet: Fleet) -> str:
    """What votes on a fleet are kept under."""
    return str(fleet.folder.resolve())


def chosen(pool: Sequence[str], candidates: Sequence[str]) -> tuple[str, ...]:
    """The candidates to compare, in pool order: those named, else all.

    Raises:
        ZooterError: fewer than two.
    """
    named = tuple(name for name in pool if name in candidates or not candidates)
    if len(named) < 2:
        raise ZooterError("at least two models to compare", listed(named) or "none", "Pick another one above.")
    return named


def among(decision: Decision, candidates: Sequence[str]) -> Decision:
    """The decision, had only these candidates been there: their probabilities, scaled to sum to one."""
    if set(candidates) == set(decision.probabilities):
        return decision
    total = sum(decision.probabilities[name] for name in candidates)
    shares = {name: decision.probabilities[name] / total if total else 1 / len(candidates) for name in candidates}
    return Decision.of(decision.query, shares, decision.tags)


@st.cache_resource(show_spinner=False)
def registry() -> Registry[Comparison]:
    """The comparisons of this server."""
    return Registry()


def current() -> Comparison | None:
    """This session's comparison: the one it has, or the one that the address names."""
    found: Comparison | None = st.session_state.get("comparison")
    if found is None and (named := st.query_params.get("compare")):
        found = st.session_state["comparison"] = registry().find(named)
        if found is None:
            lost("comparison", "compare")
    if found is None:
        return None
    st.query_params["compare"] = found.id
    registry().add(found)
    watch.look_after(found.job)
    return found


def lost(what: str, name: str) -> None:
    """Say that what the address names is gone, once."""
    st.query_params.pop(name)
    st.info(f"This address led to a {what} that the server no longer has; it keeps them until it is started again.")


def show(found: Comparison | None) -> None:
    """Let this session look at a comparison, or at none."""
    st.session_state["comparison"] = found
    if found is None:
        st.query_params.pop("compare", None)


def verdict(decision: Decision, ranked: Sequence[Ranked]) -> str:
    """Whether router and reward model agree, and what asking one candidate alone would have saved, as Markdown."""
    placed = [item for item in ranked if item.rank is not None]
    if not placed:
        return ":material/error: No model answered, so there is nothing to rank."
    best = placed[0].response.candidate
    chosen = next((item for item in placed if item.response.candidate == decision.candidate), None)
    if best == decision.candidate:
        agreement = f":material/check_circle: Router and reward model agree on **{plain(best)}**."
    else:
        place = f"in place {chosen.rank}" if chosen else "without a rank"
        agreement = (
            f":material/compare_arrows: They differ: the reward model puts **{plain(best)}** first; "
            f"the router chose **{plain(decision.candidate)}**, which ended {place}."
        )
    total = sum(item.response.tokens for item in ranked)
    if chosen is None or not total:
        return agreement
    saved = 1 - chosen.response.tokens / total
    return (
        f"{agreement} Asking {plain(decision.candidate)} alone takes {chosen.response.tokens} tokens in place of "
        f"{total}: {saved:.0%} saved."
    )
