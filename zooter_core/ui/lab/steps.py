"""The steps of the Train page: which of them is open, and the button that leads to the next one."""

from __future__ import annotations

from typing import Any

import streamlit as st

from zooter_core.ui.lab.state import USE, Lab


def head(lab: Lab, number: int, name: str, summary: str) -> bool:
    """A step's line, with its result once it is done; True if the step is open."""
    is_open = number == lab.step or (number == USE and lab.step == USE - 1 and lab.router is not None)
    title = f"{number} · {name}"
    if is_open:
        st.subheader(title, anchor=False)
        return True
    if number > lab.reached:
        st.markdown(f":gray[**{title}**]")
        return False
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False, key=f"done-{number}"):
        st.markdown(f":material/check_circle: **{title}** {summary}", width="stretch")
        st.button("Change", key=f"lab-step-{number}", type="tertiary", on_click=go_to, args=(lab, number))
    return False


def go_to(lab: Lab, number: int) -> None:
    """Open a step."""
    lab.step, lab.reached = number, max(lab.reached, number)


def next_button(lab: Lab, number: int, label: str) -> None:
    """The button that opens the next step."""
    primary(label, f"lab-next-{number}", icon=":material/arrow_forward:", on_click=go_to, args=(lab, number))


def primary(label: str, key: str, **more: Any) -> bool:
    """The one button of a step that a visitor needs. The style sheet colours it: Streamlit's own is illegible here."""
    with st.container(key=f"primary-{key}"):
        return st.button(label, key=key, **more)
