"""The frame of the demo: page set-up and navigation, nothing else."""

import streamlit as st

from zooter_core.ui import frame, resources

st.set_page_config("Zooter", frame.MARK, layout="centered", initial_sidebar_state="collapsed")
pages = [
    st.Page("pages/chat.py", title="Chat", default=True),
    st.Page("pages/compare.py", title="Compare"),
    st.Page("pages/explorer.py", title="Explorer"),
    st.Page("pages/lab.py", title="Train"),
    st.Page("pages/benchmark.py", title="Benchmark"),
]
page = st.navigation(pages, position="top")
frame.draw(pages)
resources.picker()
resources.confirm()
page.run()
