"""Small elements that several pages draw."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from mimetypes import guess_type
from pathlib import Path
from typing import Any, Literal, NoReturn

import streamlit as st

from zooter_core.ui.markdown import message


def show_error(problem: object) -> None:
    """Show a message. What it quotes, such as a server's reply or the name of a file, is untrusted."""
    st.error(message(str(problem)), icon=":material/error:")


PROBLEM = "problem-"  # followed by the place: a key of a session's state


def keep_problem(place: str, problem: object) -> None:
    """Keep a message for `draw_problem` in the page's next run: a callback would draw it at the top of the page."""
    st.session_state[PROBLEM + place] = str(problem)


def draw_problem(place: str) -> None:
    """Show what went wrong at this place of the page, once."""
    if problem := st.session_state.pop(PROBLEM + place, None):
        show_error(problem)


def icon_button(label: str, icon: str, key: str, on_click: Callable[..., None], *args: Any, **more: Any) -> None:
    """Draw a button that the style sheet reduces to its icon; the tooltip has the label."""
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
    """Draw a button, in `place`, that downloads a file without running the page again."""
    place.download_button(
        label, data, file, guess_type(file)[0], help=help, type=type, icon=":material/download:", on_click="ignore"
    )


def draw_page_button(label: str, page: str, icon: str, type: Literal["secondary", "tertiary"] = "secondary") -> None:
    if st.button(label, key=f"to-{page}", icon=f":material/{icon}:", type=type):
        go_to(page)


def draw_way_to_exam(reason: str) -> None:
    """Draw the reason why there is nothing to show yet, and a link to the exam."""
    st.info(reason, icon=":material/info:")
    draw_page_button("Models", "models", "arrow_forward")


def go_to(page: str, **parameters: str) -> NoReturn:
    """Open another page in this session, with only these parameters in its address. Unless `query_params` is given,
    even if empty, Streamlit keeps the parameter to which the fleet picker is bound."""
    st.switch_page(f"pages/{page}.py", query_params=parameters)


EXAMPLES = (
    "Solve 3x - 4 = 11",
    "How can I sleep better?",
    "Write a Python function that reverses a string",
    "Write a poem about a lost kitten",
    "SQL query: all customers from Berlin",
    "Write a short email to thank Anna for her help with the move",
)


def pick_example(key: str) -> str | None:
    """Draw the examples as buttons. Return the one that was clicked, if any."""
    st.caption("Try one of these:")
    with st.container(key="examples"):
        columns = [column for _ in EXAMPLES[::2] for column in st.columns(2)]
    for number, (column, example) in enumerate(zip(columns, EXAMPLES, strict=True)):
        if column.button(example, key=f"{key}{number}", width="stretch"):
            return example
    return None


@cache
def page_script() -> str:
    """The script of every page, as HTML. The security policy has its hash, so the browser runs no changed script."""
    script = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")
    return f"<script>{script}</script>"


def focus_composer(state: str) -> None:
    """Focus the query that is being edited, else the composer, unless the visitor types elsewhere. This is repeated
    whenever the state changes."""
    st.html(f'<i data-state="{state}"></i>{page_script()}', unsafe_allow_javascript=True)
