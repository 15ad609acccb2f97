"""Addresses that open a page with a query, and what an address asks for."""

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


def asked() -> str | None:
    """The query that the address names, once."""
    query: str | None = st.query_params.get("q")
    if query is not None:
        st.query_params.pop("q")
    return query


def share(address: str) -> None:
    """The address to copy."""
    st.caption("Opens this page with the same query, models and mode:")
    st.code(address, language=None, wrap_lines=True)
