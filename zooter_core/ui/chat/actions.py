"""What can be done with an answer: its versions, copy, share, edit, again with another model, a thumb."""

from __future__ import annotations

import streamlit as st

from zooter_core.ensemble import Ensemble
from zooter_core.errors import ZooterError
from zooter_core.ui import answer_view, links
from zooter_core.ui.chat import export, share
from zooter_core.ui.chat.controls import MODES
from zooter_core.ui.chat.conversations import Conversation
from zooter_core.ui.chat.turns import Settings, Turn
from zooter_core.ui.text import plain
from zooter_core.ui.widgets import download, icon_button, show_error

RETRY_HELP = "Ask the same model again from the start. If no model could answer, ask all of them again."
CONTINUE_HELP = "Let the same model continue the answer."


def draw(engine: Ensemble, talk: Conversation, number: int) -> None:
    """The row of buttons under an answer; the last one can also be asked again, edited and given by another model."""
    turn = talk.turns[number]
    key = f"{talk.id}-{number}-{turn.retry}"
    last, has_text = number == len(talk.turns) - 1, bool(turn.text.strip())
    with st.container(horizontal=True, key=f"actions-{key}", vertical_alignment="center", gap="xsmall"):
        if last and turn.job.incomplete:
            st.button("Retry", icon=":material/replay:", help=RETRY_HELP, on_click=talk.retry, args=(engine,))
        if turn.job.unfinished:
            st.button("Continue", icon=":material/play_arrow:", help=CONTINUE_HELP, key=f"continue-{key}",
                      on_click=talk.resume, args=(engine, number))  # fmt: skip
        _versions(talk, number, key)
        if has_text:
            with st.container(key=f"copy-{key}", width="content"):
                st.code(turn.text, language=None)  # the style sheet leaves its copy button alone
            st.feedback(
                "thumbs",
                key=f"thumb-{key}-{turn.version}",
                default=turn.job.vote,
                on_change=lambda: _vote(engine, talk, number, st.session_state[f"thumb-{key}-{turn.version}"]),
            )
        with st.popover(
            "Share", icon=":material/share:", key=f"share-{key}", help="Share", type="tertiary", on_change="rerun"
        ) as box:
            if box.open:
                _share(talk, turn, number)
        if last:
            icon_button("Edit", "edit", f"edit-{key}", _set_editing, _last_turn(talk))
            _again(engine, talk, key)
        if facts := answer_view.facts(turn.job.responses.get(turn.candidate)):
            st.caption(facts)


def _vote(engine: Ensemble, talk: Conversation, number: int, value: int | None) -> None:
    talk.vote(number, value)
    turn = talk.turns[number]
    response = turn.job.responses.get(turn.candidate)
    if value is not None and response is not None:
        answer_view.send_feedback(engine, [(response, value == 1)])


def _versions(talk: Conversation, number: int, key: str) -> None:
    turn = talk.turns[number]
    place, count = turn.version, len(turn.versions)
    if count < 2:
        return
    show, first, last = talk.show_version, place == 0, place == count - 1
    icon_button("Previous version", "chevron_left", f"previous-{key}", show, number, place - 1, disabled=first)
    st.markdown(f"{place + 1}/{count}", width="content")
    icon_button("Next version", "chevron_right", f"next-{key}", show, number, place + 1, disabled=last)


def _share(talk: Conversation, turn: Turn, number: int) -> None:
    address = share.address(turn) if turn.text.strip() else None
    if address:
        st.caption("This link carries the query and the answer. Opening it runs nothing.")
        st.code(address, language=None)
    elif turn.text.strip():
        st.caption("The answer is too long for a link. Send it as a file.")
        text = export.markdown_of([turn])
        download("Download the answer", text, f"zooter-{talk.id}-{number + 1}.md")
    mode = next(label for label, mode in MODES.items() if mode == turn.settings.mode)
    st.caption("This one carries the query alone, to be asked again.")
    st.code(links.link(turn.query, mode=mode), language=None)


def _again(engine: Ensemble, talk: Conversation, key: str) -> None:
    name = st.menu_button(
        "Answer again with",
        engine.fleet.pool,
        format_func=plain,
        key=f"again-{key}",
        icon=":material/refresh:",
        help="Answer again with",
        type="tertiary",
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
