"""What the Compare page draws of one query: the responses, their rewards, a vote, and their differences."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from zooter_core.records import Ranked, Response
from zooter_core.strict_json import dump_json
from zooter_core.ui import answer_view, charts, links, strip
from zooter_core.ui.background import BackgroundWork, draw_live, stop_button
from zooter_core.ui.compare import votes
from zooter_core.ui.compare.comparisons import Comparison, fleet_key, verdict
from zooter_core.ui.compare.diff_view import draw_differences
from zooter_core.ui.error_box import show_error
from zooter_core.ui.history import history
from zooter_core.ui.text import code, plain, safe

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble

PRICES = "Tokens of the answer times the model's price in fleet.toml; the tokens of the query are not counted."
BLIND_HELP = "Names, routing and rewards stay hidden, and the responses are shuffled, until you vote."
TOGETHER = "All models answer at the same time on this machine, so each is slower here than alone."


def link_notice() -> None:
    """Say that a link has filled in a query."""
    st.info(
        "A link filled in the query below. Nothing has run yet: check it and the models, then press **Compare**.",
        icon=":material/link:",
    )


def draw(engine: Ensemble, comparison: Comparison) -> None:
    """The query, its routing, and the responses: while they grow, or ranked."""
    with st.chat_message("user", avatar=":material/person:"):
        st.markdown(safe(comparison.query))
    routing(comparison)
    job = comparison.job
    if job.running and isinstance(job, BackgroundWork):
        draw_live(job, partial(progress, comparison, job), every=0.3)
    else:
        result(engine, comparison)


def progress(comparison: Comparison, job: BackgroundWork) -> None:
    """The progress, a button that stops the job, and the responses so far."""
    answers = comparison.job
    if not answer_view.draw_waiting(answers):
        ended, total = len(answers.responses), len(answers.candidates)
        st.caption(f"{total} models are answering: {'ranking' if ended == total else f'{ended} of {total} done'} ...")
    stop_button(job, "stop")
    cards(comparison)


def result(engine: Ensemble, comparison: Comparison) -> None:
    """A comparison that has ended; before a blind vote, only what reveals no names."""
    problem, hidden = comparison.job.problem, comparison.hidden
    if problem:
        show_error(
            "The responses could not be ranked. The reason appears together with the names." if hidden else problem
        )
    elif not hidden:
        st.info(verdict(comparison.decision, comparison.ranked()))
        _charts(comparison)
    cards(comparison, engine)
    _vote(comparison)
    if not hidden:
        with st.expander("Seconds, tokens and cost", icon=":material/timer:"):
            _costs(comparison)
    draw_differences(comparison)
    row = st.container(horizontal=True)
    if not hidden:
        row.download_button(
            "Download as JSON",
            dump_json(comparison.to_json(), ensure_ascii=False, indent=2),
            f"zooter-compare-{comparison.id}.json",
            on_click="ignore",
            icon=":material/download:",
        )
    with row.popover("Share", icon=":material/share:"):
        parameters: dict[str, str | list[str]] = {}
        if len(comparison.job.candidates) < len(comparison.pool):
            parameters["models"] = list(comparison.job.candidates)
        if comparison.blind:
            parameters["blind"] = "true"
        links.draw_link(links.link(comparison.query, **parameters))


def routing(comparison: Comparison) -> None:
    """The router's decision; nothing while names are hidden."""
    if comparison.hidden:
        st.caption(":material/visibility_off: Names, routing and rewards appear after your vote.")
        return
    decision = comparison.decision
    strip.draw(decision.probabilities, [tag.name for tag in decision.tags], "compare", comparison.pool)
    if len(comparison.job.candidates) < len(comparison.pool):
        st.caption("Probabilities among the models compared; the router chooses among all models of the fleet.")


def cards(comparison: Comparison, engine: Ensemble | None = None) -> None:
    """A card per candidate, in order of reward once they are ranked and the names are shown.

    Args:
        engine: asks a failed candidate again; without it there is no button to retry.
    """
    ranked = {item.response.candidate: item for item in comparison.job.ranked or []}
    names = list(ranked) if ranked and not comparison.hidden else list(comparison.order)
    failed = [response.candidate for response in comparison.job.failed]
    for first in range(0, len(names), 2):
        for column, name in zip(st.columns(2), names[first : first + 2], strict=False):
            with column.container(border=True):
                _card_head(comparison, name, ranked.get(name))
                _card_body(comparison, name)
                if engine is not None and name in failed:
                    key = f"retry-{comparison.id}-{comparison.order.index(name)}"  # without the name, which is hidden
                    st.button(
                        "Retry", key=key, icon=":material/replay:", on_click=comparison.retry, args=(engine, name)
                    )


def _card_head(comparison: Comparison, name: str, item: Ranked | None) -> None:
    if comparison.hidden:
        st.markdown(f"#### {comparison.letter(name)}")
        return
    rank = f"{item.rank}. " if item and item.rank else ""
    badges = [f"reward **{item.reward:.2f}**"] if item and item.reward is not None else []
    if name == comparison.decision.candidate:
        badges.append(f":blue-badge[router's choice, {comparison.decision.probabilities[name]:.0%}]")
    if item and item.rank == 1:
        badges.append(":green-badge[highest reward]")
    if comparison.vote and comparison.vote.best == name:
        badges.append(":violet-badge[:material/how_to_vote: your choice]")
    if comparison.blind:
        badges.append(f":gray-badge[was {comparison.letter(name)}]")
    st.markdown(f"#### {rank}{plain(name)}  \n{' '.join(badges)}")


def _card_body(comparison: Comparison, name: str) -> None:
    """A candidate's response so far or its error, with its facts unless names are hidden."""
    answer_view.draw_text(comparison.job, name)
    response = comparison.job.responses.get(name)
    if response is None:
        return
    if response.error:
        show_error("This response failed." if comparison.hidden else response.error)
        return
    if not comparison.hidden:
        st.caption(answer_view.facts(response))
    answer_view.draw_ending(response)


def _charts(comparison: Comparison) -> None:
    scored = [item for item in comparison.ranked() if item.reward is not None]
    if not scored:
        return
    left, right = st.columns(2)
    with left:
        st.caption("Reward of each response (higher is better):")
        st.plotly_chart(charts.rewards(scored, comparison.pool), key="rewards", config=charts.PLAIN)
    with right:
        st.caption("Router's probability that each is the best:")
        st.plotly_chart(charts.probabilities(comparison.decision, comparison.pool), key="shares", config=charts.PLAIN)
    shares = comparison.decision.probabilities
    text = ", ".join(
        f"{plain(item.response.candidate)} {item.reward:.2f} ({shares[item.response.candidate]:.0%})" for item in scored
    )
    st.caption(
        f"Reward, and the router's probability in brackets: {text}.",
        help="A reward is the reward model's score of a response to this query. It has no unit and no fixed range: "
        "only differences between responses to the same query are meaningful.",
    )


def _vote(comparison: Comparison) -> None:
    """The buttons of a vote, or the vote."""
    vote = comparison.vote
    if comparison.votable:
        st.markdown("**Which response is best?**" + (" Voting again replaces your vote." if vote else ""))
        row = st.container(horizontal=True)

        def button(label: str, key: object, selected: bool, *choice: str) -> None:
            icon = ":material/check:" if selected else None
            row.button(label, key=f"vote-{comparison.id}-{key}", icon=icon, on_click=comparison.cast, args=choice)

        for name in comparison.answered:  # no key holds a name: the page's source would reveal it
            number, selected = comparison.order.index(name), bool(vote and vote.best == name)
            button(plain(comparison.label(name)), number, selected, "best", name)
        for outcome, label in (("tie", "Tie"), ("none", "None is good")):
            button(label, outcome, bool(vote and vote.outcome == outcome), outcome)
    elif vote:
        other = {"tie": "a tie", "none": "none of them is good"}
        choice = f"**{plain(vote.best)}**, {comparison.letter(vote.best)}" if vote.best else other[vote.outcome]
        st.success(f"You voted without seeing the names: {choice}.", icon=":material/how_to_vote:")
    if comparison.hidden:
        label = "Show the names without voting" if comparison.votable else "Show the names"
        st.button(label, key="reveal", type="tertiary", icon=":material/visibility:", on_click=comparison.reveal)


def _costs(comparison: Comparison) -> None:
    rows = [_cost(comparison, item.response) for item in comparison.ranked()]
    number = st.column_config.NumberColumn
    columns: dict[str, Any] = {
        "model": st.column_config.TextColumn("Model"),
        "first": number("First token (s)", format="%.2f", help="Seconds until the first token"),
        "seconds": number("Seconds", format="%.1f", help="From the start of the answer to its end. " + TOGETHER),
        "tokens": number("Tokens", help="Tokens of the answer; a token is about three quarters of a word"),
        "speed": number("Tokens per second", format="%.0f", help="After the first token. " + TOGETHER),
        "usd": number("Cost (US dollars)", format="%.6f", help=PRICES),
    }
    if not comparison.prices:
        columns.pop("usd")
        rows = [{name: value for name, value in row.items() if name != "usd"} for row in rows]
    st.dataframe(rows, column_config=columns, hide_index=True, width="stretch")
    if not comparison.prices:
        st.caption("No costs: fleet.toml has no price (usd_per_million_tokens) for these models.")
    st.caption(TOGETHER)


def _cost(comparison: Comparison, response: Response) -> dict[str, Any]:
    return {
        "model": response.candidate,
        "first": response.first_token_seconds,
        "seconds": response.seconds,
        "tokens": response.tokens,
        "speed": response.tokens_per_second,
        "usd": comparison.usd(response),
    }


def tally(engine: Ensemble) -> None:
    """The votes on this fleet, and how often router and reward model agreed with them."""
    store = history()
    with st.expander("Votes on this fleet", icon=":material/how_to_vote:", key="tally", on_change="rerun") as box:
        if not box.open:
            return
        if store.path is None:
            st.caption("Votes are not saved (history is off).")
            return
        counts = votes.tally(votes.read(store.votes(fleet_key(engine.fleet))))
        if store.problem:
            st.warning(safe(store.problem))
        st.markdown("  \n".join(votes.summary_lines(counts)))
        if counts.votes:
            rows = [{"model": name, "won": counts.won.get(name, 0), "shown": n} for name, n in counts.shown.items()]
            columns: dict[str, Any] = {
                "model": st.column_config.TextColumn("Model"),
                "won": st.column_config.NumberColumn("Best", help="Votes for its response"),
                "shown": st.column_config.NumberColumn("Votes", help="Votes on comparisons that it took part in"),
            }
            st.dataframe(rows, column_config=columns, hide_index=True, width="stretch")
        st.markdown(f"Saved on this machine only, in {code(str(store.path))}.")
