"""Addresses that open a page with a query filled in."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from zooter_core.ui import resources

HOME = "http://localhost:8501/"  # where the page does not know its own address


def link(query: str, **more: str | list[str]) -> str:
    """An address that opens this page with a query, this session's fleet, and what `more` sets; lists repeat a name."""
    base = (st.context.url or HOME).split("?")[0]
    name = next((name for name, folder in resources.fleets().items() if folder == resources.folder()), "")
    return f"{base}?{urlencode({'q': query, 'fleet': name, **more}, doseq=True)}"


def prefill(key: str) -> None:
    """Put the query that the address names into the widget of that key, once a session; call it before the widget.

    Nothing is run: anybody can make a link, and an answer may cost money.
    """
    query = st.query_params.get("q")
    if query and st.session_state.get(f"{key}-linked") != query:
        st.session_state[f"{key}-linked"] = st.session_state[key] = query


def waiting() -> bool:
    """Whether the address names a query that has not been sent."""
    return bool(st.query_params.get("q"))


def sent() -> None:
    """Take the query out of the address: loaded again, the page shows what was answered."""
    st.query_params.pop("q", None)


def share(address: str) -> None:
    """The address to copy."""
    st.caption("Opens this page with the same query, models and mode; whoever opens it decides whether to send it:")
    st.code(address, language=None, wrap_lines=True)
