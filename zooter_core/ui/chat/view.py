"""What the Chat page draws: the sidebar, and each turn with its routing, its answer and its buttons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from zooter_core.errors import ZooterError
from zooter_core.ui import answer_view, links
from zooter_core.ui.background import BackgroundWork, draw_live, stop_button
from zooter_core.ui.chat import conversations, export, why
from zooter_core.ui.chat.conversations import Conversation
from zooter_core.ui.chat.turns import Mode, Settings, Turn
from zooter_core.ui.error_box import show_error
from zooter_core.ui.history import Entry, history
from zooter_core.ui.text import code, plain, safe

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble

MODES: dict[str, Mode] = {"Router": "router", "Best of a few": "select", "All of them": "rmr", "One model": "fixed"}
MODE_HELP = (
    "**Router**: the model with the highest probability answers alone.  \n"
    "**Best of a few**: if the router is unsure, its top few models answer and the reward model picks the best.  \n"
    "**All of them**: every model answers and the reward model picks the best (reward model ranking).  \n"
    "**One model**: the model that you choose, whatever the router predicts."
)
RETRY_HELP = "Ask the same model again from the start. If no model could answer, ask all of them again."
CONTINUE_HELP = "Let the same model continue the answer."
LONGEST = 1024  # tokens; the slider's upper end, unless the fleet's own limit is higher


def link_notice() -> None:
    """Say that a link has filled in a query, and what else it has set."""
    mode = st.query_params.get("mode")
    also = f" It also set **Who answers** to **{mode}**." if mode in MODES else ""
    st.info(
        f"A link filled in the query below. Nothing has run yet: read it, then send it.{also}", icon=":material/link:"
    )


def sidebar(engine: Ensemble, talk: Conversation) -> Settings:
    """How the next query is answered, earlier conversations, and the fleet's models."""
    with st.sidebar:
        settings = _settings(engine)
        _conversations(talk)
        with st.expander(f"The {len(engine.fleet.pool)} models", icon=":material/groups:"):
            for candidate in engine.fleet.candidates:
                st.caption(f"**{plain(candidate.name)}**: {plain(candidate.description)}")
    return settings


def _settings(engine: Ensemble) -> Settings:
    router = engine.fleet.router
    mode = MODES[st.selectbox("Who answers", list(MODES), key="mode", bind="query-params", help=MODE_HELP)]
    candidate, k, unsure = None, 2, None
    if mode == "fixed":
        candidate = st.selectbox("Model", engine.fleet.pool, key="model", persist_state="session")
    if mode == "select":
        most = max(2, len(engine.fleet.pool))
        k = st.slider("How many answer", 2, most, 2, key="k", persist_state="session") if most > 2 else 2
        default = router.unsure_above if router and router.unsure_above < 1 else 0.5
        unsure = st.slider(
            "Unsure above",
            0.0,
            1.0,
            default,
            0.05,
            key="unsure",
            persist_state="session",
            help="One minus the lead of the most probable model over the next: 0 is certain, 1 a tie. "
            "At 0, several models answer every query; at 1, hardly any.",
        )
    return Settings(mode, candidate, k, unsure, *_answer_settings(engine))


def _answer_settings(engine: Ensemble) -> tuple[float, int, str]:
    """Temperature, most new tokens and system prompt."""
    generation = engine.fleet.generation
    with st.expander("Answer settings", icon=":material/tune:"):
        temperature = st.slider(
            "Temperature",
            0.0,
            1.5,
            float(min(generation.temperature, 1.5)),
            0.05,
            key="temperature",
            persist_state="session",
            help="0 always takes the most probable word; higher values vary more.",
        )
        length = st.slider(
            "Longest answer",
            16,
            max(LONGEST, generation.max_new_tokens),
            generation.max_new_tokens,
            16,
            key="length",
            persist_state="session",
            help="In tokens; a token is about three quarters of a word.",
        )
        system = st.text_area(
            "System prompt",
            key="system",
            persist_state="session",
            placeholder="Answer in one sentence.",
            help="Instructions for the model that answers. The router does not see them.",
        )
    return temperature, int(length), system


def _conversations(talk: Conversation) -> None:
    if talk.turns:
        st.button("New conversation", icon=":material/add:", on_click=conversations.clear, width="stretch")
    store = history()
    if store.path is None:
        st.caption("Conversations are not saved (history is off).")
        return
    entries = store.entries()
    with st.expander(f"Conversations ({len(entries)})", icon=":material/history:"):
        if store.problem:
            st.warning(safe(store.problem))
        for entry in entries:
            _entry(entry, entry.id == talk.id)
        st.caption(f"Saved on this machine only, in {code(str(store.path))}. Turn off: `zooter demo --history off`.")


def _entry(entry: Entry, is_current: bool) -> None:
    title, more = st.columns([0.78, 0.22], gap="xsmall", vertical_alignment="center")
    title.button(
        plain(entry.title) or "…",
        key=f"open-{entry.id}",
        on_click=conversations.open,
        args=(entry.id,),
        type="secondary" if is_current else "tertiary",
        width="stretch",
    )
    with more.popover(
        "", icon=":material/more_vert:", type="tertiary", key=f"more-{entry.id}", on_change="rerun"
    ) as box:
        if box.open and (talk := conversations.find(entry.id)) is not None:
            st.download_button("Markdown", export.markdown(talk), f"zooter-{entry.id}.md", key=f"md-{entry.id}")
            st.download_button("JSON", export.as_json(talk), f"zooter-{entry.id}.json", key=f"json-{entry.id}")
            st.button("Delete", key=f"delete-{entry.id}", on_click=conversations.forget, args=(entry.id,))


def draw_turn(engine: Ensemble, talk: Conversation, number: int, settings: Settings, live: bool) -> None:
    """A query and its answer, with what can be done next; `live`: the answer is drawn while it grows."""
    turn, last = talk.turns[number], number == len(talk.turns) - 1
    with st.chat_message("user", avatar=":material/person:"):
        st.markdown(safe(turn.query))
    with st.chat_message("assistant", avatar=":material/forum:"):
        routing(engine, talk, number, last)
        if live and isinstance(turn.job, BackgroundWork):
            _draw_live(turn, turn.job)
            return
        draw_answer(turn)
        if last and editing(talk):
            edit_form(engine, talk, settings)
        else:
            actions(engine, talk, number)


def _draw_live(turn: Turn, job: BackgroundWork) -> None:
    candidate = turn.candidate

    def draw() -> None:
        if turn.candidate != candidate:  # a reserve steps in: the routing above names it too
            st.rerun()
        draw_answer(turn)
        stop_button(job, "stop")

    draw_live(job, draw, every=0.3)


def draw_answer(turn: Turn) -> None:
    """Who could not answer, the answer so far, and the other responses where several were ranked."""
    job = turn.job
    answer_view.draw_fallback(job)
    if answer_view.draw_waiting(job):
        return
    answer_view.draw_answer(job, turn.candidate)
    if job.running and len(job.candidates) > 1:
        st.caption(f"{len(job.responses)} of {len(job.candidates)} models have answered; the best answer stays.")
    elif job.ranked:
        with st.expander(f"Best of {_scored(turn)} by reward", icon=":material/leaderboard:"):
            for item in job.ranked:
                reward = "no reward" if item.reward is None else f"reward {item.reward:.2f}"
                st.markdown(f"**{plain(item.response.candidate)}** · {reward}")
                answer_view.draw_answer(job, item.response.candidate)


def _scored(turn: Turn) -> int:
    """How many responses have a reward."""
    return sum(item.rank is not None for item in turn.job.ranked or [])


def actions(engine: Ensemble, talk: Conversation, number: int) -> None:
    """Retry and continue where an answer broke off, a thumb, copy and share; for the last turn edit and try another."""
    turn = talk.turns[number]
    key = f"{talk.id}-{number}-{turn.retry}"
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    last, has_text = number == len(talk.turns) - 1, bool(turn.text.strip())
    if last and turn.job.incomplete:
        row.button("Retry", icon=":material/replay:", help=RETRY_HELP, on_click=talk.retry, args=(engine,))
        if has_text:
            row.button(
                "Continue", icon=":material/play_arrow:", help=CONTINUE_HELP, on_click=talk.resume, args=(engine,)
            )
    if has_text:
        row.feedback(
            "thumbs",
            key=f"thumb-{key}",
            default=turn.vote,
            on_change=lambda: talk.vote(number, st.session_state[f"thumb-{key}"]),
        )
        with row.popover("Copy", icon=":material/content_copy:", key=f"copy-{key}"):
            st.caption("Use the button in the corner to copy the text.")
            st.code(turn.text, language=None, wrap_lines=True)
    with row.popover("Share", icon=":material/share:", key=f"share-{key}"):
        mode = next(label for label, mode in MODES.items() if mode == turn.settings.mode)
        links.draw_link(links.link(turn.query, mode=mode))
    if not last:
        return
    row.button("Edit", icon=":material/edit:", on_click=_set_editing, args=(_last_turn(talk),))
    name = row.menu_button(
        "Answer with",
        engine.fleet.pool,
        format_func=plain,
        key=f"again-{key}",
        icon=":material/refresh:",
        type="secondary",
    )
    if name:
        talk.answer_with(engine, name)
        st.rerun()


def _set_editing(turn: str | None) -> None:
    st.session_state["editing"] = turn


def _last_turn(talk: Conversation) -> str:
    """Identifies the last turn as it is now; another query, retry or conversation has another value."""
    return f"{talk.id}-{len(talk.turns) - 1}-{talk.turns[-1].retry}"


def editing(talk: Conversation) -> bool:
    """Whether the last query is being edited."""
    return bool(st.session_state.get("editing") == _last_turn(talk))


def edit_form(engine: Ensemble, talk: Conversation, settings: Settings) -> None:
    """The last query as a field, where the Edit button was: the query itself may have scrolled out of sight."""
    with st.form("edit", border=False):
        query = st.text_area("Your query", talk.turns[-1].query)
        row = st.container(horizontal=True)
        send = row.form_submit_button("Send")
        cancel = row.form_submit_button("Cancel")
    if send:
        try:
            talk.edit(engine, query, settings)
        except ZooterError as problem:
            show_error(problem)
            return
    if send or cancel:
        _set_editing(None)
        st.rerun()


def routing(engine: Ensemble, talk: Conversation, number: int, last: bool) -> None:
    """The router's decision, and on request the reasons."""
    turn = talk.turns[number]
    key = f"{talk.id}-{number}-{turn.retry}"
    with st.expander(
        "Routing", expanded=last, icon=":material/alt_route:", key=f"routing-{key}", on_change="rerun"
    ) as box:
        if box.open:
            answer_view.draw_routing(turn.decision, _who_answers(turn), f"turn-{key}")
            if st.toggle("Why?", key=f"why-{key}", help="How words, tags and similar queries led to this choice."):
                why.panel(engine, turn, key)


def _who_answers(turn: Turn) -> str:
    """Who answers and why, as Markdown."""
    job, choice = turn.job, turn.decision.candidate
    if turn.candidate == choice:
        verb = "was chosen" if job.all_failed else "answers" if len(job.candidates) == 1 else "would answer"
        return answer_view.lead_text(turn.decision, verb)
    who, chosen = plain(turn.candidate), plain(choice)
    if job.ranked:
        return f"**{who}** has the highest reward of {_scored(turn)}; the router's choice was **{chosen}**"
    if job.failed_to_start(choice):
        return f"**{who}** answers instead of **{chosen}**, the router's choice"
    verb = "was asked" if job.all_failed else "answers"
    return f"**{who}** {verb} because you chose it; the router chose **{chosen}**"
