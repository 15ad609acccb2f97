"""Addresses that open a page with a query filled in."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from zooter_core.ui import resources

HOME = "http://localhost:8501/"  # if the page does not know its address


def link(query: str, **more: str | list[str]) -> str:
    """An address that opens this page with a query, this session's fleet and other parameters; lists repeat a name."""
    base = (st.context.url or HOME).split("?")[0]
    fleet = resources.name_of(resources.folder()) or ""
    return f"{base}?{urlencode({'q': query, 'fleet': fleet, **more}, doseq=True)}"


def prefill(key: str) -> bool:
    """Put the query of the address into the widget of that key, once a session; returns whether it did.

    Call it before the widget. Nothing runs: anybody can make a link, and an answer may cost money.
    """
    query = st.query_params.get("q")
    if not query or st.session_state.get(f"{key}-linked") == query:
        return False
    st.session_state[f"{key}-linked"] = st.session_state[key] = query
    return True


def pending() -> bool:
    """Whether the address holds a query that has not been sent."""
    return bool(st.query_params.get("q"))


def clear() -> None:
    """Remove the query from the address: a reload then shows the answer."""
    st.query_params.pop("q", None)


def notice(next_step: str) -> None:
    st.info(f"A link filled in the query below. Nothing has run yet: {next_step}", icon=":material/link:")
