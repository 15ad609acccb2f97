"""What the Compare page draws of one query: the responses, what they were worth, a vote, and what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from zooter_core.records import Ranked, Response
from zooter_core.strict_json import dump_json
from zooter_core.ui import answers, charts, links, problems
from zooter_core.ui.compare import comparison, diff, votes
from zooter_core.ui.compare.comparison import Comparison
from zooter_core.ui.history import history
from zooter_core.ui.text import code, plain, safe

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble

PRICES = "Tokens of the answer times the model's price in fleet.toml; the query's own tokens are left out."
BLIND_HELP = "Names, routing and rewards are hidden, and the responses shuffled, until you have said which is best."
TOGETHER = "All models answer at the same time on this machine, so each is slower here than alone."


def linked() -> None:
    """Say that a link has filled in a query."""
    st.info(
        "A link filled in the query below. Nothing has run yet: check it and the models, then press **Compare**.",
        icon=":material/link:",
    )


def progress(found: Comparison) -> None:
    """How far it is, a button that stops it, and the responses as they come."""
    job = found.job
    if job.ahead:
        others = f"{job.ahead} other queries are" if job.ahead > 1 else "another query is"
        st.caption(f":material/hourglass: Waiting: {others} answered first.")
    else:
        ended, of = len(job.responses), len(job.candidates)
        st.caption(f"{of} models are answering: {'ranking them' if ended == of else f'{ended} of {of} done'} ...")
    st.button("Stop", icon=":material/stop_circle:", key="stop", on_click=job.stop, disabled=job.stopping)
    cards(found)


def result(engine: Ensemble, found: Comparison) -> None:
    """All of a comparison that has ended; of a blind one before its vote only what gives no name away."""
    if found.job.problem and not found.hidden:
        problems.tell(found.job.problem)
    elif found.job.problem:
        problems.tell("The responses could not be ranked; why is told when the names are.")
    elif not found.hidden:
        st.info(comparison.verdict(found.decision, found.ranked()))
        _charts(found)
    cards(found, engine)
    _vote(found)
    if not found.hidden:
        with st.expander("Seconds, tokens and cost", icon=":material/timer:"):
            _costs(found)
    _differences(found)
    row = st.container(horizontal=True)
    if not found.hidden:
        row.download_button(
            "Download as JSON",
            dump_json(found.to_json(), ensure_ascii=False, indent=2),
            f"zooter-compare-{found.id}.json",
            on_click="ignore",
            icon=":material/download:",
        )
    with row.popover("Share", icon=":material/share:"):
        more: dict[str, str | list[str]] = {}
        if len(found.job.candidates) < len(found.pool):
            more["models"] = list(found.job.candidates)
        if found.blind:
            more["blind"] = "true"
        links.share(links.link(found.query, **more))


def routing(found: Comparison) -> None:
    """What the router thinks of the query; nothing while names are hidden."""
    if found.hidden:
        st.caption(":material/visibility_off: Names, routing and rewards are shown after your vote.")
        return
    with st.expander("Routing", icon=":material/alt_route:"):
        answers.routing(found.decision, answers.lead(found.decision, "would answer"), "compare", found.pool)
        if len(found.job.candidates) < len(found.pool):
            st.caption("Probabilities among the models compared; the router itself knows all of the fleet.")


def cards(found: Comparison, engine: Ensemble | None = None) -> None:
    """A card a candidate: in order of reward once they are ranked and the names are shown.

    `engine`: with which a candidate that failed can be asked again.
    """
    ranked = {item.response.candidate: item for item in found.job.ranked or []}
    names = list(ranked) if ranked and not found.hidden else list(found.order)
    failed = [response.candidate for response in found.job.failed]
    for first in range(0, len(names), 2):
        for column, name in zip(st.columns(2), names[first : first + 2], strict=False):
            with column.container(border=True):
                _head(found, name, ranked.get(name))
                _said(found, name)
                if engine is not None and name in failed:
                    key = f"retry-{found.id}-{found.order.index(name)}"  # a name would give it away
                    st.button("Retry", key=key, icon=":material/replay:", on_click=found.retry, args=(engine, name))


def _head(found: Comparison, name: str, item: Ranked | None) -> None:
    if found.hidden:
        st.markdown(f"#### {found.letter(name)}")
        return
    rank = f"{item.rank}. " if item and item.rank else ""
    badges = [f"reward **{item.reward:.2f}**"] if item and item.reward is not None else []
    if name == found.decision.candidate:
        badges.append(f":blue-badge[router's choice, {found.decision.probabilities[name]:.0%}]")
    if item and item.rank == 1:
        badges.append(":green-badge[highest reward]")
    if found.vote and found.vote.best == name:
        badges.append(":violet-badge[:material/how_to_vote: your choice]")
    if found.blind:
        badges.append(f":gray-badge[was {found.letter(name)}]")
    st.markdown(f"#### {rank}{plain(name)}  \n{' '.join(badges)}")


def _said(found: Comparison, name: str) -> None:
    """What a candidate has said so far, or its error; with its facts where they may be known."""
    job = found.job
    response = job.responses.get(name)
    text = response.text if response else job.texts[name]
    if text:
        st.markdown(safe(text))  # what came before an error, too
    if response and response.error:
        problems.tell("This response failed." if found.hidden else response.error)
    elif job.running and not text:
        st.markdown("*thinking ...*")
    elif not text:
        st.caption("The answer is empty.")
    if response and not response.error:
        if not found.hidden:
            st.caption(answers.facts(response))
        answers.ending(response)


def _charts(found: Comparison) -> None:
    ranked = [item for item in found.ranked() if item.reward is not None]
    if not ranked:
        return
    left, right = st.columns(2)
    with left:
        st.caption("Reward of each response (higher is better):")
        st.plotly_chart(charts.rewards(ranked, found.pool), key="rewards", config=charts.PLAIN)
    with right:
        st.caption("How likely the router held each to be the best:")
        st.plotly_chart(charts.probabilities(found.decision, found.pool), key="shares", config=charts.PLAIN)
    shares = found.decision.probabilities
    spoken = ", ".join(
        f"{plain(item.response.candidate)} {item.reward:.2f} ({shares[item.response.candidate]:.0%})" for item in ranked
    )
    st.caption(
        f"Reward, and the router's probability in brackets: {spoken}.",
        help="A reward is the reward model's score of a response to this query. It has no unit and no fixed range: "
        "only the differences between responses to one query mean something.",
    )


def _vote(found: Comparison) -> None:
    """The buttons of a vote, and what was voted."""
    vote = found.vote
    if found.votable:
        st.markdown("**Which response is best?**" + (" Voting again replaces your vote." if vote else ""))
        row = st.container(horizontal=True)

        def button(label: str, end: object, chosen: bool, *choice: str) -> None:
            icon = ":material/check:" if chosen else None
            row.button(label, key=f"vote-{found.id}-{end}", icon=icon, on_click=found.cast, args=choice)

        for name in found.answered:  # a key with a name would give it away to who looks at the page's source
            button(plain(found.label(name)), found.order.index(name), bool(vote and vote.best == name), "best", name)
        for outcome, label in (("tie", "Tie"), ("none", "None is good")):
            button(label, outcome, bool(vote and vote.outcome == outcome), outcome)
    elif vote:
        said = {"tie": "a tie", "none": "none of them is good"}
        choice = f"**{plain(vote.best)}**, {found.letter(vote.best)}" if vote.best else said[vote.outcome]
        st.success(f"You voted without knowing the names: {choice}.", icon=":material/how_to_vote:")
    if found.hidden:
        label = "Show the names without a vote" if found.votable else "Show the names"
        st.button(label, key="reveal", type="tertiary", icon=":material/visibility:", on_click=found.reveal)


def _costs(found: Comparison) -> None:
    rows = [_cost(found, item.response) for item in found.ranked()]
    number = st.column_config.NumberColumn
    columns: dict[str, Any] = {
        "model": st.column_config.TextColumn("Model"),
        "first": number("First token (s)", format="%.2f", help="Seconds until the first token came"),
        "seconds": number("Seconds", format="%.1f", help="From the start of the answer to its end. " + TOGETHER),
        "tokens": number("Tokens", help="Tokens of the answer; a token is about three quarters of a word"),
        "speed": number("Tokens a second", format="%.0f", help="After the first token. " + TOGETHER),
        "usd": number("Cost (US dollars)", format="%.6f", help=PRICES),
    }
    if not found.prices:
        columns.pop("usd")
        rows = [{name: value for name, value in row.items() if name != "usd"} for row in rows]
    st.dataframe(rows, column_config=columns, hide_index=True, width="stretch")
    if not found.prices:
        st.caption("No costs: fleet.toml gives no price (usd_per_million_tokens) of any of these models.")
    st.caption(TOGETHER)


def _cost(found: Comparison, response: Response) -> dict[str, Any]:
    return {
        "model": response.candidate,
        "first": response.first_token_seconds,
        "seconds": response.seconds,
        "tokens": response.tokens,
        "speed": response.tokens_per_second,
        "usd": found.usd(response),
    }


@st.cache_data(show_spinner=False, max_entries=64)
def _words(left: str, right: str) -> diff.Difference:
    return diff.words(left, right)


def _differences(found: Comparison) -> None:
    """Any two responses side by side."""
    names = found.answered
    if len(names) < 2:
        return
    with st.expander(
        "Differences between two responses", icon=":material/difference:", key=f"diff-{found.id}", on_change="rerun"
    ) as box:
        if not box.open:
            return
        # While names are hidden the choices are letters; they keep their places, which the names take later.
        state = f"{found.id}-{found.hidden}"
        columns = st.columns(2)
        picked = [
            column.selectbox(side, names, place, format_func=found.label, key=f"{side}-{state}")
            for place, (column, side) in enumerate(zip(columns, ("Left", "Right"), strict=True))
        ]
        by = st.segmented_control("Compare by", ["Words", "Lines"], default="Words", required=True, key=f"by-{state}")
        left, right = (found.job.responses[name].text for name in picked)
        _two(left, right, by == "Lines")


def _two(left: str, right: str, by_line: bool) -> None:
    columns = st.columns(2)
    if by_line:
        for column, text in zip(columns, diff.lines(left, right), strict=True):
            column.code(text, language="diff")
        st.caption("A line only on the left begins with a minus, one only on the right with a plus.")
        return
    found = _words(left, right)
    columns[0].markdown(diff.markdown(found.left, right=False))
    columns[1].markdown(diff.markdown(found.right, right=True))
    cut = f" Only the first {diff.MOST_WORDS:,} words of each are compared." if found.cut else ""
    st.caption(
        f"{found.shared} words in both; {found.only_left} only on the left (struck out, after a minus), "
        f"{found.only_right} only on the right (bold, after a plus).{cut}"
    )


def tally(engine: Ensemble) -> None:
    """The votes on this fleet, and how often router and reward model agreed with them."""
    kept = history()
    with st.expander("Votes on this fleet", icon=":material/how_to_vote:", key="tally", on_change="rerun") as box:
        if not box.open:
            return
        if kept.path is None:
            st.caption("Votes are not kept (history is off).")
            return
        found = votes.tally(votes.read(kept.votes(comparison.key(engine.fleet))))
        if kept.problem:
            st.warning(safe(kept.problem))
        st.markdown("  \n".join(votes.spoken(found)))
        if found.votes:
            rows = [{"model": name, "won": found.won.get(name, 0), "shown": n} for name, n in found.shown.items()]
            columns: dict[str, Any] = {
                "model": st.column_config.TextColumn("Model"),
                "won": st.column_config.NumberColumn("Best", help="Votes that named its response the best"),
                "shown": st.column_config.NumberColumn("Votes", help="Votes on comparisons that it took part in"),
            }
            st.dataframe(rows, column_config=columns, hide_index=True, width="stretch")
        st.markdown(f"Kept on this machine alone, in {code(str(kept.path))}.")
