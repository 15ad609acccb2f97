"""Addresses that open a page with a query filled in."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from zooter_core.ui import resources

HOME = "http://localhost:8501/"  # if the page does not know its address


def link(query: str, **more: str | list[str]) -> str:
    """An address that opens this page with a query, this session's fleet and other parameters; lists repeat a name."""
    base = (st.context.url or HOME).split("?")[0]
    name = next((name for name, folder in resources.fleets().items() if folder == resources.folder()), "")
    return f"{base}?{urlencode({'q': query, 'fleet': name, **more}, doseq=True)}"


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


def draw_link(address: str) -> None:
    """An address to copy."""
    st.caption("This link opens the page with the same query, models and mode. Nothing runs until the query is sent.")
    st.code(address, language=None, wrap_lines=True)
