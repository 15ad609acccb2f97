"""What a tab's address holds: a query to be sent, and the id of what the tab shows, for a reload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar
from urllib.parse import urlencode, urlsplit

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from zooter_core.base.hosts import is_loopback
from zooter_core.ui import resources

MOST = 200  # conversations, or comparisons, in memory


class HasId(Protocol):
    id: str


Item = TypeVar("Item", bound=HasId)


def draw_link(content: str, query: str, **more: str | list[str]) -> None:
    """A link to copy, which opens this page with a query, this session's fleet and other parameters, and what it does.

    Args:
        more: the other parameters; a list repeats its name.
    """
    page, fleet = st.context.url or "", resources.find_name(resources.folder()) or ""
    local = is_loopback(urlsplit(page).hostname or "")
    note = " It works on this machine only: you opened the page at its local address." if local else ""
    st.caption(f"This link opens the page with {content}. Nothing runs until the query is sent.{note}")
    parameters = urlencode({"q": query, "fleet": fleet, **more}, doseq=True)
    st.code(f"{page.split('?')[0]}?{parameters}", language=None, wrap_lines=True)


def prefill(key: str) -> None:
    """Put the query of the address into the widget of that key, once a session. Call it before the widget.

    Nothing runs: anybody can make a link, and an answer may cost money.
    """
    query = st.query_params.get("q")
    if query and st.session_state.get(f"{key}-linked") != query:
        st.session_state[f"{key}-linked"] = st.session_state[key] = query


def pending() -> bool:
    """Whether the address holds a query that has not been sent."""
    return bool(st.query_params.get("q"))


def clear() -> None:
    """Remove the query from the address: a reload then shows the answer."""
    st.query_params.pop("q", None)


def write_id(parameter: str, id: str | None) -> None:
    """Let a parameter of the address name what this tab shows, or nothing, so that a reload shows it again."""
    if id is None:
        st.query_params.pop(parameter, None)
    elif id != st.query_params.get(parameter):
        st.query_params[parameter] = id


def follow(parameter: str, shown: Item | None, find: Callable[[str], Item | None]) -> Item | None:
    """What the tab is to show: what its address names, if it is new or its visitor went back or forward; else what it
    shows already. None if neither is there, or the visitor went back to an address that names nothing.

    A click that shows something else writes its id in its callback (`write_id`): the address that comes with the click
    may still be the one before.
    """
    id = st.query_params.get(parameter)
    if id is None:
        context = get_script_run_ctx(suppress_warning=True)
        return None if context is not None and context.is_history_navigation else shown
    return shown if shown is not None and shown.id == id else find(id) or shown


def draw_notice(next_step: str) -> None:
    st.info(f"A link filled in the query below. Nothing has run yet: {next_step}", icon=":material/link:")


def remember(items: dict[str, Item], item: Item) -> None:
    """Put an item among the server's items by id, for tabs that reload, or make it the latest; the oldest leave."""
    items.pop(item.id, None)
    items[item.id] = item
    for id in list(items)[:-MOST]:
        items.pop(id, None)
