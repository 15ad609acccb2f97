"""The steps of the Train page: which of them is open, and the button that leads to the next one."""

from __future__ import annotations

from typing import Any

import streamlit as st

from zooter_core.ui.train.code import LoadedScores
from zooter_core.ui.train.state import USE, Session


def head(session: Session, number: int, name: str, summary: str) -> bool:
    """A step's line, with its result once it is done; True if the step is open."""
    is_open = number == session.step or (number == USE and session.step == USE - 1 and session.router is not None)
    title = f"{number} · {name}"
    if is_open:
        st.subheader(title, anchor=False)
        return True
    if number > session.reached:
        st.markdown(f":gray[**{title}**]")
        return False
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False, key=f"done-{number}"):
        st.markdown(f":material/check_circle: **{title}** {summary}", width="stretch")
        st.button("Change", key=f"train-step-{number}", type="tertiary", on_click=go_to, args=(session, number))
    return False


def go_to(session: Session, number: int) -> None:
    session.step, session.reached = number, max(session.reached, number)


def next_button(session: Session, number: int, label: str) -> None:
    primary(label, f"train-next-{number}", icon=":material/arrow_forward:", on_click=go_to, args=(session, number))


def command(text: str, loaded: LoadedScores) -> None:
    st.code(text, language="bash", wrap_lines=True)
    if not loaded.is_complete:
        st.caption("The command uses all queries and models of the file; this page uses those chosen in step 1.")


def primary(label: str, key: str, **more: Any) -> bool:
    """The one button of a step that a visitor needs. The style sheet colours it: Streamlit's own is illegible here."""
    with st.container(key=f"primary-{key}"):
        return st.button(label, key=key, **more)
