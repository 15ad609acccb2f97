"""Small things that several pages draw."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from mimetypes import guess_type
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from zooter_core.ui.markdown import message


def show_error(problem: object) -> None:
    """Show a message. What it quotes, such as a server's reply or the name of a file, is untrusted."""
    st.error(message(str(problem)), icon=":material/error:")


PROBLEM = "problem-"  # and the place, in a session's state


def keep_problem(place: str, problem: object) -> None:
    """Let `draw_problem` show a message in the next drawing: what a callback draws would stand at the page's top."""
    st.session_state[PROBLEM + place] = str(problem)


def draw_problem(place: str) -> None:
    """Show what went wrong at this place of the page, once."""
    if problem := st.session_state.pop(PROBLEM + place, None):
        show_error(problem)


def icon_button(label: str, icon: str, key: str, on_click: Callable[..., None], *args: Any, **more: Any) -> None:
    """A button of which the style sheet shows the icon alone: the tooltip has its label."""
    st.button(label, key, label, on_click, args, icon=f":material/{icon}:", type="tertiary", **more)


def persistent(key: str, help: str | None = None) -> dict[str, Any]:
    """The options of a widget whose value stays while a visitor looks at another page."""
    return {"key": key, "help": help, "persist_state": "session"}


def download(
    label: str,
    data: str | bytes | Callable[[], str | bytes],
    file: str,
    place: Any = st,
    help: str | None = None,
    type: Literal["secondary", "tertiary"] = "secondary",
) -> None:
    """A button, in `place`, that downloads a file without running the page again."""
    place.download_button(
        label, data, file, guess_type(file)[0], help=help, type=type, icon=":material/download:", on_click="ignore"
    )


EXAMPLES = (
    "Solve 3x - 4 = 11",
    "How can I sleep better?",
    "Write a Python function that reverses a string",
    "Write a poem about a lost kitten",
    "SQL query: all customers from Berlin",
    "Write a short email to thank Anna for her help with the move",
)


def pick_example(key: str) -> str | None:
    """Draw the examples as buttons; returns the one that was clicked."""
    st.caption("Try one of these:")
    with st.container(key="examples"):
        columns = st.columns(2)
    for number, example in enumerate(EXAMPLES):
        if columns[number % 2].button(example, key=f"{key}{number}", width="stretch"):
            return example
    return None


@cache
def page_script() -> str:
    """The script of every page, as HTML. The security policy names its hash: the browser runs no other in its place."""
    script = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")
    return f"<script>{script}</script>"


def focus_composer(state: str) -> None:
    """Focus the composer, unless somebody types elsewhere, or the query that is edited; again whenever the state
    changes."""
    st.html(f'<i data-state="{state}"></i>{page_script()}', unsafe_allow_javascript=True)
