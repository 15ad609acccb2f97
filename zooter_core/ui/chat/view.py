"""What the Chat page draws: its sidebar, and a turn with its answer, its reasons and what can be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from zooter_core.errors import ZooterError
from zooter_core.ui import answers, links, problems
from zooter_core.ui.chat import conversation, export, why
from zooter_core.ui.chat.conversation import Conversation, Mode, Settings, Turn
from zooter_core.ui.history import Entry, history
from zooter_core.ui.text import code, plain, safe

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble

MODES: dict[str, Mode] = {"Router": "router", "Best of a few": "select", "All of them": "rmr", "One model": "fixed"}
MODE_HELP = (
    "**Router**: the model with the highest probability answers alone.  \n"
    "**Best of a few**: where the router is unsure, its first few answer, and the reward model keeps the best.  \n"
    "**All of them**: every model answers, and the reward model keeps the best (reward model ranking).  \n"
    "**One model**: the one that you name, whatever the router says."
)
RETRY_HELP = "Ask the same model again, from the start; where none could answer, all of them again."
CONTINUE_HELP = "Let the same model go on from where the answer breaks off."
LONGEST = 1024  # tokens of an answer that can be asked for


def linked() -> None:
    """Say that a link has filled in a query, and what else it has set."""
    mode = st.query_params.get("mode")
    also = f" It also set **Who answers** to **{mode}**." if mode in MODES else ""
    st.info(
        f"A link filled in the query below. Nothing has run yet: read it, then send it.{also}",
        icon=":material/link:",
    )


def settings(engine: Ensemble) -> Settings:
    """The sidebar's choices of how the next query is answered."""
    generation, router = engine.fleet.generation, engine.fleet.router
    mode = MODES[st.selectbox("Who answers", list(MODES), key="mode", bind="query-params", help=MODE_HELP)]
    candidate, k, unsure = None, 2, None
    if mode == "fixed":
        candidate = st.selectbox("Model", engine.fleet.pool, key="model", persist_state="session")
    if mode == "select":
        most = max(2, len(engine.fleet.pool))
        k = st.slider("How many answer", 2, most, 2, key="k", persist_state="session") if most > 2 else 2
        usual = router.unsure_above if router and router.unsure_above < 1 else 0.5
        unsure = st.slider(
            "Unsure above",
            0.0,
            1.0,
            usual,
            0.05,
            key="unsure",
            persist_state="session",
            help="One minus the lead of the likeliest model over the next: 0 is certain, 1 a tie. "
            "At 0 several answer every query, at 1 hardly any.",
        )
    with st.expander("Answer settings", icon=":material/tune:"):
        warm = st.slider(
            "Temperature",
            0.0,
            1.5,
            float(min(generation.temperature, 1.5)),
            0.05,
            key="temperature",
            persist_state="session",
            help="0 always takes the likeliest word; higher values vary more.",
        )
        longest = max(LONGEST, generation.max_new_tokens)
        length = st.slider(
            "Longest answer",
            16,
            longest,
            generation.max_new_tokens,
            16,
            key="length",
            persist_state="session",
            help="In tokens; a token is about three quarters of a word.",
        )
        system = st.text_area(
            "System text",
            key="system",
            persist_state="session",
            placeholder="Answer in one sentence.",
            help="Put before the conversation for whoever answers. The router never sees it.",
        )
    return Settings(mode, candidate, k, unsure, warm, int(length), system)


def conversations(talk: Conversation) -> None:
    """The list of earlier conversations, with what can be done with each."""
    if talk.turns:
        st.button("New conversation", icon=":material/add:", on_click=conversation.clear, width="stretch")
    kept = history()
    if kept.path is None:
        st.caption("Conversations are not kept (history is off).")
        return
    entries = kept.entries()
    with st.expander(f"Conversations ({len(entries)})", icon=":material/history:"):
        if kept.problem:
            st.warning(safe(kept.problem))
        for entry in entries:
            _entry(entry, entry.id == talk.id)
        st.caption(f"Kept on this machine alone, in {code(str(kept.path))}. `zooter demo --history off` keeps none.")


def _entry(entry: Entry, here: bool) -> None:
    title, more = st.columns([0.78, 0.22], gap="xsmall", vertical_alignment="center")
    title.button(
        plain(entry.title) or "…",
        key=f"open-{entry.id}",
        on_click=conversation.open,
        args=(entry.id,),
        type="secondary" if here else "tertiary",
        width="stretch",
    )
    with more.popover(
        "", icon=":material/more_vert:", type="tertiary", key=f"more-{entry.id}", on_change="rerun"
    ) as box:
        if box.open and (found := conversation.find(entry.id)) is not None:
            st.download_button("Markdown", export.markdown(found), f"zooter-{entry.id}.md", key=f"md-{entry.id}")
            st.download_button("JSON", export.as_json(found), f"zooter-{entry.id}.json", key=f"json-{entry.id}")
            st.button("Delete", key=f"delete-{entry.id}", on_click=conversation.forget, args=(entry.id,))


def answer(turn: Turn) -> None:
    """What has come of a turn, whose job may still run; first who could not answer, where there is any."""
    answers.passed_over(turn.job)
    if turn.job.running and turn.job.ahead:
        others = f"{turn.job.ahead} other queries are" if turn.job.ahead > 1 else "another query is"
        st.caption(f":material/hourglass: Waiting: {others} answered first.")
        return
    answers.answer(turn.job, turn.candidate)
    if turn.job.running and len(turn.job.candidates) > 1:
        st.caption(f"{len(turn.job.responses)} of {len(turn.job.candidates)} models have answered; the best stays.")
    elif turn.job.ranked:
        with st.expander(f"Best of {_placed(turn)} by reward", icon=":material/leaderboard:"):
            for item in turn.job.ranked:
                reward = "no reward" if item.reward is None else f"reward {item.reward:.2f}"
                st.markdown(f"**{plain(item.response.candidate)}** · {reward}")
                answers.answer(turn.job, item.response.candidate)


def _placed(turn: Turn) -> int:
    """How many responses have a reward."""
    return sum(item.rank is not None for item in turn.job.ranked or [])


def actions(engine: Ensemble, talk: Conversation, number: int) -> None:
    """What is left to do where an answer broke off, a thumb, the text to copy, and for the last turn another try."""
    turn = talk.turns[number]
    key = f"{talk.id}-{number}-{turn.retry}"
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    last, begun = number == len(talk.turns) - 1, bool(turn.text.strip())
    if last and turn.job.cut:
        row.button("Retry", icon=":material/replay:", help=RETRY_HELP, on_click=talk.retry, args=(engine,))
        if begun:
            row.button(
                "Continue", icon=":material/play_arrow:", help=CONTINUE_HELP, on_click=talk.go_on, args=(engine,)
            )
    if begun:
        row.feedback(
            "thumbs",
            key=f"thumb-{key}",
            default=turn.vote,
            on_change=lambda: talk.vote(number, st.session_state[f"thumb-{key}"]),
        )
        with row.popover("Copy", icon=":material/content_copy:", key=f"copy-{key}"):
            st.caption("The button at the corner copies the text.")
            st.code(turn.text, language=None, wrap_lines=True)
    with row.popover("Share", icon=":material/share:", key=f"share-{key}"):
        mode = next(label for label, mode in MODES.items() if mode == turn.settings.mode)
        links.share(links.link(turn.query, mode=mode))
    if not last:
        return
    row.button("Edit", icon=":material/edit:", on_click=_edit, args=(_place(talk),))
    again = row.menu_button(
        "Again with",
        engine.fleet.pool,
        format_func=plain,
        key=f"again-{key}",
        icon=":material/refresh:",
        type="secondary",
    )
    if again:
        talk.again(engine, again)
        st.rerun()


def _edit(place: str | None) -> None:
    st.session_state["editing"] = place


def _place(talk: Conversation) -> str:
    """The last turn, as it is now: another query or conversation is not what is edited."""
    return f"{talk.id}-{len(talk.turns) - 1}-{talk.turns[-1].retry}"


def editing(talk: Conversation) -> bool:
    """Whether the last query is being edited."""
    return bool(st.session_state.get("editing") == _place(talk))


def edit(engine: Ensemble, talk: Conversation, chosen: Settings) -> None:
    """The last query as a field, where the button was: the query itself may have scrolled out of sight."""
    with st.form("edit", border=False):
        query = st.text_area("Your query", talk.turns[-1].query)
        row = st.container(horizontal=True)
        sent = row.form_submit_button("Send")
        left = row.form_submit_button("Cancel")
    if sent:
        try:
            talk.edit(engine, query, chosen)
        except ZooterError as problem:
            problems.tell(problem)
            return
    if sent or left:
        _edit(None)
        st.rerun()


def routing(engine: Ensemble, talk: Conversation, number: int, last: bool) -> None:
    """Who was chosen, and on demand why."""
    turn = talk.turns[number]
    key = f"{talk.id}-{number}-{turn.retry}"
    with st.expander(
        "Routing", expanded=last, icon=":material/alt_route:", key=f"routing-{key}", on_change="rerun"
    ) as box:
        if box.open:
            answers.routing(turn.decision, _who(turn), f"turn-{key}")
            if st.toggle("Why?", key=f"why-{key}", help="What words, tags and like queries have to do with it."):
                why.panel(engine, turn, key)


def _who(turn: Turn) -> str:
    """In words who answers, and why that one, as Markdown."""
    job, first = turn.job, turn.decision.candidate
    if turn.candidate == first:
        verb = "was chosen" if job.nobody else "answers" if len(job.candidates) == 1 else "would answer"
        return answers.lead(turn.decision, verb)
    who, chosen = plain(turn.candidate), plain(first)
    if job.ranked:
        return f"**{who}** has the highest reward of {_placed(turn)}; the router's first was **{chosen}**"
    if job.failed_to_start(first):
        return f"**{who}** answers in place of **{chosen}**, which the router chose"
    verb = "was asked" if job.nobody else "answers"
    return f"**{who}** {verb} because you chose it; the router chose **{chosen}**"
