"""The frame of the demo: page set-up, logo, style sheet and navigation, nothing else.

Streamlit runs this file for each drawing of a page. `streamlit run app.py` also imports it, once, for its server.
"""

from pathlib import Path
from typing import Literal

import streamlit as st

from zooter_core.ui import resources
from zooter_core.ui.widgets import page_script

NO_SIDEBAR = ':is([data-testid="stExpandSidebarButton"], [data-testid="stSidebar"]) { display: none; }'


def draw() -> None:
    looks = Path(resources.__file__).parent
    traffic: Literal["visible", "hidden"] = "visible" if resources.has_traffic() else "hidden"  # at its address, always
    pages = [
        st.Page("pages/chat.py", title="Chat", default=True),
        st.Page("pages/compare.py", title="Compare"),
        st.Page("pages/models.py", title="Models"),
        st.Page("pages/traffic.py", title="Traffic", visibility=traffic),
        st.Page("pages/explorer.py", title="Explorer"),
        st.Page("pages/train.py", title="Train"),
        st.Page("pages/benchmark.py", title="Benchmark"),
    ]
    page = st.navigation(pages, position="top")
    layout: Literal["wide", "centered"] = "wide" if page.title in ("Compare", "Explorer", "Models") else "centered"
    sidebar: Literal["auto", "collapsed"] = "auto" if page.title == "Chat" else "collapsed"  # closed on a phone
    st.set_page_config(f"{page.title} · Zooter", str(looks / "mark.svg"), layout=layout, initial_sidebar_state=sidebar)
    st.logo(str(looks / "logo.svg"), size="large")
    # Not alone: Streamlit puts styles that are alone where dialogs go, and takes them away while one opens.
    style = (looks / "style.css").read_text(encoding="utf-8")
    st.html(f"<style>{style}</style>{page_script()}", unsafe_allow_javascript=True)
    # Streamlit hides its navigation in a sidebar on narrow screens; a row of links replaces it.
    if page.title != "Chat":  # whose sidebar has the conversations
        st.html(f"<style>@media (max-width: 768px) {{ {NO_SIDEBAR} }}</style>")
    with st.container(horizontal=True, key="narrow-navigation", gap="xxsmall", wrap=False):
        for entry in pages:
            if entry.visibility == "visible":
                st.page_link(entry)
    resources.draw_picker()
    resources.confirm_link()
    page.run()


if __name__ == "__main__":
    draw()
else:  # `streamlit run` looks for this assignment and serves the app, behind the guard of `zooter demo`
    from zooter_core.ui import server

    app = st.App(__file__, **server.guarded())
