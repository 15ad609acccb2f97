"""How an error is told on a page."""

from __future__ import annotations

import streamlit as st

from zooter_core.ui.text import safe


def tell(problem: object) -> None:
    """One clear message; what it quotes (a server's words, the name of a file) is untrusted."""
    st.error(safe(str(problem)), icon=":material/error:")
