"""What the Compare page draws of one query: the responses, their rewards, and a vote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import streamlit as st

from zooter_core.base.money import in_dollars
from zooter_core.base.records import Ranked, VoteOutcome
from zooter_core.base.strict_json import dump_json
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui import answer_view, charts, links, tables
from zooter_core.ui.background import draw_live, stop_button
from zooter_core.ui.compare import comparisons, votes
from zooter_core.ui.compare.comparisons import Comparison, describe_agreement, fleet_key
from zooter_core.ui.history import history
from zooter_core.ui.markdown import safe
from zooter_core.ui.text import code, plain, visible
from zooter_core.ui.widgets import download, show_error

PRICES = "Tokens of the answer times the model's price in fleet.toml; the tokens of the query are not counted."
NO_PRICES = "No costs: fleet.toml has no price (usd_per_million_tokens) for these models."
BLIND_HELP = "Names, routing and rewards stay hidden, and the responses are shuffled, until you vote."
ANSWER_HELP = (
    "If you know the right answer, each response gets a tick or a cross, and the right ones are ranked first. A number "
    "is compared with the final number of the response, a letter from A to J with the choice that it makes, and any "
    "other text with its final answer."
)
NO_REWARDS = "There is no reward model, so the responses are not ranked."
NEXT_KEY = "Right"
ALL_TAGS = "all queries"
THOUGHTS = "Thoughts: how many of the tokens were thoughts; they count, also in costs."
TOGETHER = "All models answer at the same time on this machine, so each is slower here than alone."


class Options(NamedTuple):
    """Which models answer a query, how its responses are verified, and whether names are hidden."""

    models: list[str]
    answer: str = ""
    blind: bool = False


def draw_options(pool: Sequence[str], comparison: Comparison | None = None, single: bool = True) -> Options:
    """The options, behind a button that says which models answer.

    Args:
        comparison: the one on the page; a right answer that is typed counts for the next one.
        single: whether one query is compared; otherwise only the models can be chosen.
    """
    chosen = st.session_state.get("models") or st.query_params.get_all("models")
    count = sum(name in chosen for name in pool) or len(pool)
    blind = bool(st.session_state.get("blind")) or st.query_params.get("blind") == "true"
    label = f"{'All ' * (count == len(pool))}{count} models{', blind' * (single and blind)}"
    with st.popover(label, icon=":material/tune:", type="tertiary", key="options"):
        models = st.pills(
            "Models", pool, selection_mode="multi", default=pool, format_func=plain, key="models", bind="query-params",
            help="At least two.",
        )  # fmt: skip
        if not single:
            return Options(models)
        blind = st.toggle("Blind", key="blind", bind="query-params", help=BLIND_HELP)
        key = f"answer-{comparison.id}" if comparison else "answer"
        answer = st.text_input("Right answer", key=key, placeholder="If you know it", help=ANSWER_HELP)
    return Options(models, answer, blind)


def draw(ensemble: Ensemble, comparison: Comparison, next_round: Callable[[], None] | None = None) -> None:
    """Draw a comparison; `next_round` is called after a blind vote, and shows an empty field by default."""
    answer_view.draw_query(comparison.query)
    draw_routing(comparison)
    job = comparison.job
    if job.running:
        stop_button(job, "stop")
        draw_live(job, partial(draw_progress, comparison))
    else:
        draw_result(ensemble, comparison, next_round)


def draw_progress(comparison: Comparison) -> None:
    job = comparison.job
    ended, total = len(job.responses), len(job.candidates)
    st.caption(f"{total} models are answering: {'ranking' if ended == total else f'{ended} of {total} done'} ...")
    draw_cards(comparison)


def draw_result(ensemble: Ensemble, comparison: Comparison, next_round: Callable[[], None] | None = None) -> None:
    """Draw a comparison that has ended; before a blind vote, only what does not reveal the names."""
    problem, hidden = comparison.job.problem, comparison.hidden
    if problem:
        show_error(
            "The responses could not be ranked. The reason appears together with the names." if hidden else problem
        )
    if not ensemble.can_rank:
        st.caption(NO_REWARDS)
    elif not comparison.blind:  # after a blind vote, the cards stay where they were
        _draw_verdict(comparison)
    draw_cards(comparison, ensemble)
    _draw_vote(comparison, next_round or partial(comparisons.show, None))
    if comparison.blind and not hidden and ensemble.can_rank:
        _draw_verdict(comparison)
    if not hidden and not problem:
        draw_rewards(comparison)
    if not hidden:
        with st.expander("Seconds, tokens and cost", icon=":material/timer:"):
            _draw_costs(comparison)
    with st.container(horizontal=True):
        _draw_downloads(comparison)


def _draw_verdict(comparison: Comparison) -> None:
    if not comparison.job.problem:
        st.markdown(describe_agreement(comparison.decision, comparison.ranked()))


def draw_rewards(comparison: Comparison) -> None:
    scored = [item for item in comparison.ranked() if item.reward is not None]
    if not scored:
        return
    text = ", ".join(f"{item.response.candidate} {item.reward or 0:z.2f}" for item in scored)
    height = 30 + 30 * len(scored)
    charts.draw(charts.rewards(scored, comparison.fleet.pool), "rewards", f"Rewards on one axis: {text}", height)
    st.caption(
        "Reward of each response, further right is better.",
        help="A reward is the reward model's score of a response to this query. It has no unit and no fixed range: "
        "only differences between responses to the same query are meaningful.",
    )


def _draw_downloads(comparison: Comparison) -> None:
    if not comparison.hidden:
        text = dump_json(comparison.to_json(), ensure_ascii=False, indent=2)
        download("Download as JSON", text, f"zooter-compare-{comparison.id}.json")
    with st.popover("Share", icon=":material/share:"):
        parameters: dict[str, str | list[str]] = {}
        if len(comparison.job.candidates) < len(comparison.fleet.pool):
            parameters["models"] = list(comparison.job.candidates)
        if comparison.blind:
            parameters["blind"] = "true"
        links.draw_link("the same query, models and mode", comparison.query, **parameters)


def draw_routing(comparison: Comparison) -> None:
    """Draw the router's decision, unless names are hidden."""
    if comparison.hidden:
        st.caption(":material/visibility_off: Names, routing and rewards appear after your vote.")
        return
    decision = comparison.decision
    charts.draw_strip(decision, "compare", comparison.fleet.pool)
    if decision.candidate not in comparison.job.candidates:
        st.caption(comparisons.describe_absent_choice(decision))


def draw_cards(comparison: Comparison, ensemble: Ensemble | None = None) -> None:
    """Draw a card per candidate, by reward once they are ranked and the names are shown.

    Args:
        ensemble: lets a visitor retry a failed candidate; None draws no button.
    """
    ranked = {item.response.candidate: item for item in comparison.job.ranked or []}
    names = list(ranked) if ranked and not comparison.blind else list(comparison.order)
    failed = [response.candidate for response in comparison.job.failed]
    with st.container(horizontal=True, key=f"cards-{comparison.id}", wrap=False, gap="small"):
        for place, name in enumerate(names, 1):
            key = f"{comparison.id}-{comparison.order.index(name)}"  # without the name, which may be hidden
            with st.container(border=True, key=f"card-{key}"):
                _draw_card_head(comparison, name, ranked.get(name))
                _draw_card_body(comparison, name, key)
                if not comparison.hidden and name in ranked and ranked[name].reason:
                    st.caption(plain(ranked[name].reason))
                if ensemble is not None and name in failed:
                    again = partial(comparison.retry, ensemble, name)
                    st.button("Retry", key=f"retry-{key}", icon=":material/replay:", on_click=again)
                if ensemble is not None and comparison.votable and name in comparison.answered:
                    label, shortcut = f"{plain(comparison.label(name))} is best", str(place) if place < 10 else None
                    _vote_button(comparison, label, key, "best", name, shortcut)


def _draw_card_head(comparison: Comparison, name: str, item: Ranked | None) -> None:
    if comparison.hidden:
        st.markdown(f"## {comparison.letter(name)}")
        return
    rank = f"{item.rank}. " if item and item.rank else ""
    ticks = []
    if item and item.reward is not None:
        ticks.append(f"reward **{item.reward:z.2f}**")
    if item and item.outcome:
        style = ":green-badge[:material/check: " if item.right else ":red-badge[:material/close: "
        ticks.append(f"{style}{item.outcome}]")
    if name == comparison.decision.candidate:
        ticks.append(f":primary-badge[:material/check: router's choice, {comparison.decision.probabilities[name]:.0%}]")
    if item and item.rank == 1:
        ticks.append(f":gray-badge[:material/check: {'ranked first' if item.reason else 'highest reward'}]")
    if comparison.vote and comparison.vote.best == name:
        ticks.append(":gray-badge[:material/check: your choice]")
    if comparison.blind:
        ticks.append(f":gray-badge[was {comparison.letter(name)}]")
    st.markdown(f"## {rank}{charts.badge(comparison.fleet.pool, name)}  \n{' '.join(ticks)}")


def _draw_card_body(comparison: Comparison, name: str, key: str) -> None:
    answer_view.draw_text(comparison.job, name, key, blind=comparison.hidden)
    response = comparison.job.answers[name].response
    if response is None:
        return
    if response.error:
        show_error("This response failed." if comparison.hidden else response.error)
        return
    if not comparison.hidden and (facts := answer_view.facts(response, alone=False)):
        st.caption(facts)
    answer_view.draw_ending(response)


def _vote_button(
    comparison: Comparison,
    label: str,
    key: str,
    outcome: VoteOutcome,
    best: str | None = None,
    shortcut: str | None = None,
) -> None:
    vote = comparison.vote
    selected = vote is not None and (vote.outcome, vote.best) == (outcome, best)
    icon = ":material/check:" if selected else ":material/how_to_vote:"
    st.button(label, key=f"vote-{key}", icon=icon, on_click=comparison.cast, args=(outcome, best), shortcut=shortcut)


def _draw_vote(comparison: Comparison, next_round: Callable[[], None]) -> None:
    """Draw the votes other than for one card; after the vote, what it was and the next round."""
    vote = comparison.vote
    with st.container(horizontal=True, vertical_alignment="center"):
        if comparison.votable:
            again = " Voting again replaces your vote." if vote else ""
            st.markdown(f"**Which response is best?**{again}", width="content")
            _vote_button(comparison, "Tie", f"{comparison.id}-tie", "tie", shortcut="T")
            _vote_button(comparison, "None is good", f"{comparison.id}-none", "none", shortcut="N")
        elif vote:
            other = {"tie": "a tie", "none": "none of them is good"}
            choice = f"**{plain(vote.best)}**, {comparison.letter(vote.best)}" if vote.best else other[vote.outcome]
            st.markdown(f":material/how_to_vote: You voted without seeing the names: {choice}.", width="content")
        if comparison.hidden:
            label = "Show the names without voting" if comparison.votable else "Show the names"
            st.button(label, key="reveal", type="tertiary", icon=":material/visibility:", on_click=comparison.reveal)
        elif comparison.blind:
            st.button("Next round", shortcut=NEXT_KEY, on_click=next_round)


def _draw_costs(comparison: Comparison) -> None:
    responses = [item.response for item in comparison.ranked()]
    thought = any(response.thought_tokens for response in responses)
    priced = any(comparison.usd(response) for response in responses)
    head = ["Model", "Seconds to first token", "Seconds", "Tokens", *["Thoughts"] * thought, "Tokens per second"]
    rows = []
    for response in responses:
        rate, first = response.tokens_per_second, response.first_token_seconds
        cells = [plain(response.candidate), "–" if first is None else f"{first:.2f}", f"{response.seconds:.1f}"]
        cells += [f"{response.tokens:,}", *[f"{response.thought_tokens:,}"] * thought]
        cells += [f"{rate:.0f}" if rate and rate >= answer_view.SLOWEST else "–"]
        if priced:
            dollars = comparison.usd(response)
            cells += ["–" if dollars is None else in_dollars(dollars)]
        rows.append(cells)
    tables.draw(f"costs-{comparison.id}", [*head, *["US dollars"] * priced], rows)
    note = f"{THOUGHTS} " if thought else ""
    st.caption(f"{note}{TOGETHER} {PRICES if priced else NO_PRICES}")


def draw_votes(ensemble: Ensemble) -> None:
    """Draw the votes on this fleet, and how often router and reward model agreed with them."""
    store = history()
    with st.expander("Votes on this fleet", icon=":material/how_to_vote:", key="tally", on_change="rerun") as box:
        if not box.open:
            return
        if store.path is None:
            st.caption("Votes are not saved (history is off).")
            return
        cast = votes.read_votes(store.votes(fleet_key(ensemble.fleet)))
        if store.problem:
            st.warning(safe(store.problem))
        tags = sorted({vote.tag for vote in cast if vote.tag})
        if tags:
            tag = st.selectbox("Votes on", [ALL_TAGS, *tags], format_func=visible, key="votes-on")
            cast = [vote for vote in cast if tag in (ALL_TAGS, vote.tag)]
        st.markdown("  \n".join(votes.describe_votes(cast)))
        if rows := votes.leaderboard(cast):
            _draw_leaderboard(rows, ensemble.fleet.pool)
        st.markdown(f"Saved on this machine only, in {code(str(store.path))}.")


def _draw_leaderboard(rows: Sequence[votes.Standing], pool: Sequence[str]) -> None:
    cells = []
    for row in rows:
        interval = f"{row.low:.0%} to {row.high:.0%}"
        cells.append([charts.badge(pool, row.name), f"{row.strength:.0%}", interval, str(row.won), str(row.votes)])
    tables.draw("leaderboard", ["Model", "Wins against all others", "95% interval", "Best in", "Votes"], cells)
    st.caption(
        "The share of votes that a model would win if all competed, by the Bradley-Terry model. Each begins with half "
        "a vote, so that a single vote leaves a wide interval."
    )
