"""The frame of the demo: page set-up and navigation, nothing else."""

import streamlit as st

st.set_page_config(page_title="Zooter", page_icon="zooter_core/ui/icon.png", layout="centered")
st.navigation(
    [
        st.Page("pages/chat.py", title="Chat", icon=":material/chat:", default=True),
        st.Page("pages/compare.py", title="Compare", icon=":material/compare_arrows:"),
    ]
).run()
