"""Comparisons: one query answered by several candidates, the ranking of their responses, and a visitor's vote.

A comparison lives as long as the server; a tab that reloads finds it by its id.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal

import numpy as np
import streamlit as st

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.records import Decision, Message, Ranked, Response
from zooter_core.base.strict_json import of_type
from zooter_core.config.fleet import Fleet
from zooter_core.data.answer_keys import read_key
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.bradley_terry import Strengths, fit
from zooter_core.method.metrics import wilson_interval
from zooter_core.ui import resources
from zooter_core.ui.history import history
from zooter_core.ui.jobs import Answers, Job, Plan
from zooter_core.ui.links import Registry
from zooter_core.ui.text import plain

Outcome = Literal["best", "tie", "none"]
KIND = "comparison"  # marks these records among the history's votes


@dataclass(frozen=True)
class Vote:
    """One visitor's vote on one comparison.

    Attributes:
        outcome: `best` (one response), `tie` (several are equally good), `none` (no response is good).
        best: the candidate of the best response, if there is one.
        choice: the router's choice among all candidates of the fleet, compared or not; "" in older votes.
        reward: the candidate whose response has the highest reward; None if nothing was ranked.
        blind: whether the names were hidden during the vote.
        tag: what the query is about, in the tagger's words; "" if it has no tag.
        longest: the candidate of the longest response; "" in older votes.
    """

    query: str
    candidates: tuple[str, ...]
    outcome: Outcome
    best: str | None
    reward: str | None
    blind: bool
    tag: str = ""
    longest: str = ""
    choice: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"kind": KIND, **asdict(self), "candidates": list(self.candidates)}


def read_votes(records: Iterable[Mapping[str, Any]]) -> list[Vote]:
    """The votes on comparisons among the history's records; damaged ones are left out."""
    votes = []
    for record in records:
        with suppress(ValueError):
            vote = of_type(Vote, record)
            if record.get("kind") == KIND and (vote.best is None or vote.best in vote.candidates):
                votes.append(vote)
    return votes


def vote_lines(votes: Sequence[Vote]) -> list[str]:
    """How many votes there are, and how often they agree with router and reward model, as sentences in Markdown."""
    if not votes:
        return ["No votes on this fleet yet. Compare a query and choose the best response."]
    decided = [vote for vote in votes if vote.outcome == "best"]
    n, blind, ties = len(decided), sum(vote.blind for vote in votes), sum(vote.outcome == "tie" for vote in votes)
    outcomes = {"for one response": n, "tie" if ties == 1 else "ties": ties, "for none": len(votes) - n - ties}
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items() if count)
    hidden = f", {blind} of them blind" if blind else ""
    lines = [f"{len(votes)} {'vote' if len(votes) == 1 else 'votes'}{hidden}: {counts}."]
    if n:
        lines.append(f"Voters chose the **highest reward** in {_share(sum(v.best == v.reward for v in decided), n)}.")
    if judging := [vote for vote in decided if vote.choice in vote.candidates]:  # the others do not judge the router
        router, chance = sum(vote.best == vote.choice for vote in judging), sum(1 / len(v.candidates) for v in judging)
        lines.append(
            f"They chose the **router's choice**, where it was compared, in {_share(router, len(judging))}; a random "
            f"choice would match {chance / len(judging):.0%}."
        )
    if measured := [vote for vote in decided if vote.longest]:
        longest = sum(vote.best == vote.longest for vote in measured)
        lines.append(f"They chose the **longest response** in {_share(longest, len(measured))}.")
    return lines


def _share(count: int, n: int) -> str:
    low, high = wilson_interval(count / n, n)
    return f"**{count} of {n}** ({count / n:.0%}, 95% interval {low:.0%} to {high:.0%})"


NEARLY = 0.9  # of what the best pair tells
ROUTED_ROUNDS = 0.8  # the share of rounds that judge the router; the others place the models among each other


@dataclass(frozen=True)
class Standing:
    """A model's place.

    Attributes:
        strength: the share of votes that it would win if all models competed (`method/bradley_terry.py`).
        low, high: the ends of its 95% interval.
        won, votes: votes for it, and votes for one response in which it took part.
    """

    name: str
    strength: float
    low: float
    high: float
    won: int
    votes: int


def leaderboard(votes: Sequence[Vote]) -> list[Standing]:
    """The models of the votes for one response, the strongest first; ties and votes for none do not count."""
    decided = [vote for vote in votes if vote.best is not None]
    names = sorted({name for vote in decided for name in vote.candidates})
    if not decided:
        return []
    rows = []
    for name, (strength, low, high) in zip(names, strengths(decided, names).shares().tolist(), strict=True):
        won, cast = sum(vote.best == name for vote in decided), sum(name in vote.candidates for vote in decided)
        rows.append(Standing(name, strength, low, high, won, cast))
    return sorted(rows, key=lambda row: -row.strength)


def strengths(decided: Sequence[Vote], names: Sequence[str]) -> Strengths:
    """The models' strengths by votes for one response."""
    races = [[name in vote.candidates for name in names] for vote in decided]
    winners = [names.index(vote.best or "") for vote in decided]
    return fit(np.array(races, dtype=bool).reshape(len(decided), len(names)), winners)


def telling_pair(votes: Sequence[Vote], pool: Sequence[str]) -> tuple[str, ...]:
    """The pair of candidates whose next vote is expected to tell most, drawn at random from the best few pairs.

    Args:
        pool: at least two candidates.
    """
    gains = strengths([vote for vote in votes if vote.best in pool and set(vote.candidates) <= set(pool)], pool).gains()
    pairs = list(combinations(range(len(pool)), 2))
    most = max(gains[pair] for pair in pairs)
    return tuple(pool[number] for number in random.choice([pair for pair in pairs if gains[pair] >= NEARLY * most]))


def judging_pair(decision: Decision, votes: Sequence[Vote], pool: Sequence[str]) -> tuple[str, ...]:
    """The pair of a round, in pool order: mostly the router's choice and another candidate, which is the more often
    drawn the closer it comes to the choice; else the pair that `telling_pair` draws.

    Args:
        pool: at least two candidates; without the router's choice, no pair judges it.
    """
    others = [name for name in pool if name != decision.candidate]
    if len(others) == len(pool) or random.random() >= ROUTED_ROUNDS:
        return telling_pair(votes, pool)
    (other,) = random.choices(others, [max(decision.probabilities[name], 1e-9) for name in others])
    return tuple(name for name in pool if name in (decision.candidate, other))


@dataclass(eq=False)
class Comparison:
    """A query, the router's decision among all candidates, and the job in which some of them answer it.

    Attributes:
        fleet: the key under which votes are stored.
        pool: all candidates of the fleet, for their colours.
        prices: candidate -> dollars a million tokens, where fleet.toml gives them.
        order: the candidates as they are drawn before they are ranked; shuffled in a blind comparison.
        hidden: whether the names are still hidden.
        key: what the responses are verified by (`data/answer_keys.py`), if anything.
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
    key: Mapping[str, Any] | None = None
    vote: Vote | None = None
    id: str = field(default_factory=lambda: secrets.token_urlsafe(9))

    def label(self, name: str) -> str:
        """A candidate's name on the page: "Response B" while names are hidden."""
        return self.letter(name) if self.hidden else name

    def letter(self, name: str) -> str:
        number = self.order.index(name)
        return f"Response {ascii_uppercase[number] if number < len(ascii_uppercase) else number + 1}"

    @property
    def answered(self) -> list[str]:
        """The candidates with a complete, non-empty response, in the order in which they are drawn."""
        responses = self.job.responses
        return [n for n in self.order if n in responses and responses[n].text and not responses[n].error]

    @property
    def votable(self) -> bool:
        """Whether a vote is possible. A blind vote is final once the names are shown."""
        final = self.vote is not None and self.vote.blind
        return not self.job.running and len(self.answered) > 1 and not final

    def cast(self, outcome: Outcome, best: str | None = None) -> None:
        """Store a vote in place of another one, and show the names, unless it is there or no vote is possible."""
        if not self.votable or (self.vote and (self.vote.outcome, self.vote.best) == (outcome, best)):
            return  # the second of two quick ones
        self.vote = Vote(
            query=self.query,
            candidates=self.job.candidates,
            outcome=outcome,
            best=best,
            reward=self.best,
            blind=self.hidden,
            tag=self.decision.tags[0].name if self.decision.tags else "",
            longest=max(self.answered, key=lambda name: len(self.job.responses[name].text)),
            choice=self.decision.candidate,
        )
        self.hidden = False
        history().vote(self.id, self.fleet, self.vote.to_json())

    def retry(self, ensemble: Ensemble, name: str) -> None:
        """Ask one candidate again; the other responses stay, and all are ranked anew."""
        previous = {other: response for other, response in self.job.responses.items() if other != name}
        candidates = tuple(other for other in self.job.candidates if other not in previous)
        plan = Plan(candidates, previous=tuple(previous.values()))
        self.job = Job(ensemble, plan, [Message("user", self.query)], rank=ensemble.can_rank, key=self.key)

    def reveal(self) -> None:
        """Show the names without a vote; a later vote is not blind."""
        self.hidden = False

    def usd(self, response: Response) -> float | None:
        """The cost of a response in dollars, without its prompt; None if the candidate has no price."""
        price = self.prices.get(response.candidate)
        return None if price is None else price * response.tokens / 1e6

    def ranked(self) -> list[Ranked]:
        """The responses by reward; unranked ones in the order in which they are drawn."""
        if self.job.ranked is not None:
            return self.job.ranked
        return [Ranked(self.job.responses[name]) for name in self.order if name in self.job.responses]

    @property
    def best(self) -> str | None:
        """The candidate whose response has the highest reward."""
        rewarded = [item for item in self.ranked() if item.reward is not None]
        return max(rewarded, key=lambda item: item.reward or 0.0).response.candidate if rewarded else None

    def to_json(self) -> dict[str, Any]:
        """The comparison for a download; `query`, `responses` and `route` are those of `zooter compare --json`."""
        return {
            "id": self.id,
            "fleet": self.fleet,
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
    """Route a query and let candidates answer it, all if none is named; a previous comparison is stopped.

    Args:
        answer: the right answer, by which the responses are verified; "" if it is unknown.

    Raises:
        ZooterError: the query is empty or too long, or there are fewer than two candidates.
    """
    key = read_key("Right answer", {"answer": answer.strip() or None})
    pool = ensemble.fleet.pool
    names = pick(pool, candidates)
    messages = [Message("user", query)]
    decision = ensemble.route(messages)
    if previous is not None:
        previous.job.stop()
    return Comparison(
        query,
        decision,
        Job(ensemble, Plan(names), messages, rank=ensemble.can_rank, key=key),
        fleet=fleet_key(ensemble.fleet),
        pool=pool,
        prices={
            c.name: c.usd_per_million_tokens for c in ensemble.fleet.candidates if c.usd_per_million_tokens is not None
        },
        order=tuple(random.sample(names, len(names))) if blind else names,
        blind=blind,
        hidden=blind,
        key=key,
    )


def current() -> Comparison | None:
    """This tab's comparison; one of another fleet waits until the visitor picks that fleet again."""
    comparison = registry().current()
    if comparison is None or comparison.fleet == str(Path(resources.folder()).resolve()):
        return comparison
    return None


def fleet_key(fleet: Fleet) -> str:
    """The key under which votes on a fleet are stored: its folder."""
    return str(fleet.folder.resolve())


def pick(pool: Sequence[str], candidates: Sequence[str]) -> tuple[str, ...]:
    """The candidates to compare, in pool order: those named, else all.

    Raises:
        ZooterError: fewer than two.
    """
    names = tuple(name for name in pool if name in candidates or not candidates)
    if len(names) < 2:
        raise ZooterError(
            "at least two models to compare",
            listed(names) or "none",
            "Pick another one above.",
            "A comparison needs at least two models.",
        )
    return names


@st.cache_resource(show_spinner=False)
def registry() -> Registry[Comparison]:
    return Registry("comparison", "compare", job_of=lambda comparison: comparison.job)


def verdict(decision: Decision, ranked: Sequence[Ranked]) -> str:
    """Whether router and reward model agree, and what asking one model alone would have saved, as Markdown."""
    placed = [item for item in ranked if item.rank is not None]
    if not placed:
        return ":material/error: No model answered, so there is nothing to rank."
    best, who = placed[0].response.candidate, "reward model"
    right = [item for item in ranked if item.right]
    if any(item.right is not None for item in ranked):
        who = "ranking"
    choice = next((item for item in placed if item.response.candidate == decision.candidate), None)
    if decision.candidate not in {item.response.candidate for item in ranked}:
        agreement = f":material/compare_arrows: The {who} puts **{plain(best)}** first. {elsewhere(decision)}"
    elif best == decision.candidate:
        agreement = f":material/check_circle: Router and {who} agree on **{plain(best)}**."
    else:
        place = f"ranks {_ordinal(choice.rank)}" if choice and choice.rank else "gave no answer"
        agreement = (
            f":material/compare_arrows: They differ: the {who} puts **{plain(best)}** first; "
            f"the router chose **{plain(decision.candidate)}**, which {place}."
        )
    if who == "ranking":
        agreement = f"{len(right)} of {len(ranked)} responses {'is' if len(right) == 1 else 'are'} right. {agreement}"
    total = sum(item.response.tokens for item in ranked)
    if choice is None or not total:
        return agreement
    saved = 1 - choice.response.tokens / total
    return (
        f"{agreement} Asking {plain(decision.candidate)} alone takes {choice.response.tokens} tokens instead of "
        f"{total}: {saved:.0%} saved."
    )


def elsewhere(decision: Decision) -> str:
    """That the router's choice is not among the models compared, as Markdown."""
    name, share = plain(decision.candidate), decision.probabilities[decision.candidate]
    return f"The router would have asked **{name}** ({share:.0%}), which does not take part here."


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
