"""Small things that many pages draw."""

from __future__ import annotations

from collections.abc import Callable
from mimetypes import guess_type
from typing import Any, Literal

import streamlit as st

from zooter_core.ui.text import safe


def show_error(problem: object) -> None:
    """Show a message. What it quotes, such as a server's reply or the name of a file, is untrusted."""
    st.error(safe(str(problem)), icon=":material/error:")


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
