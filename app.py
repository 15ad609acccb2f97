"""The frame of the demo: page set-up and navigation, nothing else."""

import streamlit as st

from zooter_core.ui import resources

st.set_page_config(page_title="Zooter", page_icon=str(resources.ICON), layout="centered")
page = st.navigation(
    [
        st.Page("pages/chat.py", title="Chat", icon=":material/chat:", default=True),
        st.Page("pages/compare.py", title="Compare", icon=":material/compare_arrows:"),
        st.Page("pages/explorer.py", title="Explorer", icon=":material/explore:"),
        st.Page("pages/lab.py", title="Lab", icon=":material/science:"),
        st.Page("pages/benchmark.py", title="Benchmark", icon=":material/leaderboard:"),
    ]
)
resources.picker()
resources.confirm()
page.run()
