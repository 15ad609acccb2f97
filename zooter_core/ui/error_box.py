"""The box in which every page shows an error."""

from __future__ import annotations

import streamlit as st

from zooter_core.ui.text import safe


def show_error(problem: object) -> None:
    """Show a message. What it quotes, such as a server's reply or the name of a file, is untrusted."""
    st.error(safe(str(problem)), icon=":material/error:")
