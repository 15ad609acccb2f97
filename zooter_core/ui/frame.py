"""What surrounds every page: the logo, the style sheet, and the navigation of narrow screens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import Page

HERE = Path(__file__).parent
MARK, LOGO, STYLE = HERE / "mark.svg", HERE / "logo.svg", HERE / "style.css"


def draw(pages: Sequence[Page]) -> None:
    """Draw the frame. Streamlit hides its navigation in a sidebar on narrow screens; a row of links replaces it."""
    st.logo(str(LOGO), size="large")
    st.html(STYLE)
    with st.container(horizontal=True, key="narrow-navigation", gap="xxsmall", wrap=False):
        for page in pages:
            st.page_link(page)
