"""The frame of the demo: page set-up and navigation, nothing else."""

from typing import Literal

import streamlit as st

from zooter_core.ui import frame, resources

pages = [
    st.Page("pages/chat.py", title="Chat", default=True),
    st.Page("pages/compare.py", title="Compare"),
    st.Page("pages/explorer.py", title="Explorer"),
    st.Page("pages/lab.py", title="Train"),
    st.Page("pages/benchmark.py", title="Benchmark"),
]
page = st.navigation(pages, position="top")
layout: Literal["wide", "centered"] = "wide" if page.title in ("Compare", "Explorer") else "centered"
st.set_page_config("Zooter", str(frame.MARK), layout=layout, initial_sidebar_state="collapsed")
frame.draw(pages)
resources.picker()
resources.confirm()
page.run()
