"""A tab's address: it can hold a query that has not been sent, and the id of what the tab shows, for a reload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar
from urllib.parse import urlencode, urlsplit

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from zooter_core.base.hosts import is_loopback
from zooter_core.ui import resources

MOST = 200  # conversations (or comparisons) in memory


class HasId(Protocol):
    id: str


Item = TypeVar("Item", bound=HasId)


def draw_link(content: str, query: str, **more: str | list[str]) -> None:
    """Draw a link to copy, which opens this page with a query, this session's fleet and other parameters.

    Args:
        content: what the link fills in, in words.
        more: the other parameters; a list repeats its parameter.
    """
    page, fleet = st.context.url or "", resources.find_name(resources.folder()) or ""
    local = is_loopback(urlsplit(page).hostname or "")
    note = " It works on this machine only: you opened the page at its local address." if local else ""
    st.caption(f"This link opens the page with {content}. Nothing runs until the query is sent.{note}")
    parameters = urlencode({"q": query, "fleet": fleet, **more}, doseq=True)
    st.code(f"{page.split('?')[0]}?{parameters}", language=None, wrap_lines=True)


def prefill(key: str) -> None:
    """Put the address's query into the widget with this key, once per session. Call it before the widget is drawn.

    The query is not sent: anybody can make a link, and an answer may cost money.
    """
    query = st.query_params.get("q")
    if query and st.session_state.get(f"{key}-linked") != query:
        st.session_state[f"{key}-linked"] = st.session_state[key] = query


def pending() -> bool:
    """Whether the address holds a query that has not been sent."""
    return bool(st.query_params.get("q"))


def clear() -> None:
    """Remove the query from the address, so that a reload shows the answer."""
    st.query_params.pop("q", None)


def write_id(parameter: str, id: str | None) -> None:
    """Set a parameter of the address to the id of what this tab shows, for a reload; None removes it."""
    if id is None:
        st.query_params.pop(parameter, None)
    elif id != st.query_params.get(parameter):
        st.query_params[parameter] = id


def follow(parameter: str, shown: Item | None, find: Callable[[str], Item | None]) -> Item | None:
    """The item to show: the one in the address if the tab is new or the visitor went back or forward, else the one that
    the tab already shows. None if there is neither, or if the visitor went back to an address without an id.

    A click that shows something else must write its id in its callback (`write_id`): the address that arrives with the
    click may still be the previous one.
    """
    id = st.query_params.get(parameter)
    if id is None:
        context = get_script_run_ctx(suppress_warning=True)
        return None if context is not None and context.is_history_navigation else shown
    return shown if shown is not None and shown.id == id else find(id) or shown


def draw_notice(next_step: str) -> None:
    st.info(f"A link filled in the query below. Nothing has run yet: {next_step}", icon=":material/link:")


def remember(items: dict[str, Item], item: Item) -> None:
    """Keep an item by its id as the latest one, for tabs that reload. The oldest items are dropped."""
    items.pop(item.id, None)
    items[item.id] = item
    for id in list(items)[:-MOST]:
        items.pop(id, None)
