"""One query answered by every candidate: the cards, and what they say of the router."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from zooter_core.records import Decision, Message, Ranked
from zooter_core.ui import answers
from zooter_core.ui.jobs import Job

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble


@dataclass
class Comparison:
    """A query, the router's decision on it and the job in which all candidates answer."""

    query: str
    decision: Decision
    job: Job


def start(ensemble: Ensemble, query: str, earlier: Comparison | None) -> Comparison:
    """Route a query and let every candidate answer it; an earlier comparison that still runs is stopped.

    Raises:
        ZooterError: the query is empty or too long.
    """
    messages = [Message("user", query)]
    decision = ensemble.route(messages)
    if earlier is not None:
        earlier.job.stop()
    return Comparison(query, decision, Job(ensemble, ensemble.fleet.pool, messages, rank=True))


def cards(comparison: Comparison) -> None:
    """A card a candidate: in pool order while they fill in, in order of reward when they are ranked."""
    job = comparison.job
    ranked = {item.response.candidate: item for item in job.ranked or []}
    names = list(ranked) or list(job.candidates)
    for first in range(0, len(names), 2):
        for column, name in zip(st.columns(2), names[first : first + 2], strict=False):
            with column.container(border=True):
                _head(name, ranked.get(name), comparison.decision)
                answers.answer(job, name)


def _head(name: str, item: Ranked | None, decision: Decision) -> None:
    rank = f"{item.rank}. " if item and item.rank else ""
    badges = [f":blue-badge[router's choice, {decision.probabilities[name]:.0%}]"] if name == decision.candidate else []
    if item and item.rank == 1:
        badges.append(":green-badge[highest reward]")
    reward = f"reward **{item.reward:.2f}**" if item and item.reward is not None else ""
    st.markdown(f"#### {rank}{name}  \n{reward} {' '.join(badges)}")


def verdict(decision: Decision, ranked: Sequence[Ranked]) -> str:
    """Whether router and reward model agree, and what asking one candidate alone would have saved."""
    placed = [item for item in ranked if item.rank is not None]
    if not placed:
        return ":material/error: No candidate answered, so there is nothing to rank."
    best = placed[0].response.candidate
    chosen = next((item for item in placed if item.response.candidate == decision.candidate), None)
    if best == decision.candidate:
        agreement = f":material/check_circle: Router and reward model agree on **{best}**."
    else:
        place = f"in place {chosen.rank}" if chosen else "without a rank"
        agreement = (
            f":material/compare_arrows: They differ: the reward model puts **{best}** first; "
            f"the router chose **{decision.candidate}**, which ended {place}."
        )
    total = sum(item.response.tokens for item in ranked)
    if chosen is None or not total:
        return agreement
    saved = 1 - chosen.response.tokens / total
    return (
        f"{agreement} Asking {decision.candidate} alone takes {chosen.response.tokens} tokens in place of {total}: "
        f"{saved:.0%} saved."
    )
