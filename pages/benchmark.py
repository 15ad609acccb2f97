"""Benchmark: how the fleet's router compares with its models, with running all, and with a perfect choice."""

import streamlit as st

from zooter_core.base.errors import ZooterError
from zooter_core.ui import resources
from zooter_core.ui.benchmark import sections, view
from zooter_core.ui.widgets import download

st.title("How good is the router?", anchor=False)
folder = resources.folder()
try:
    quality = view.read_quality(folder)
    if quality is None:
        view.draw_missing(folder)
        st.stop()
except ZooterError as problem:
    resources.fail(str(problem))

view.draw_verdict(quality.report)
held_back = quality.report.held_back
if held_back is None:
    st.info(
        "This run held back no queries, so the router has trained on all of them and there are no tables of how it "
        "does on others. A run holds back a fifth by default (`--holdout 0.2`):",
        icon=":material/info:",
    )
    st.code(view.report_command(view.relative_path(folder)), language="sh", wrap_lines=True)
with st.container(key="beside-report"):
    if held_back is not None:
        with st.container():
            view.draw_headline(quality, held_back)
        with st.container():
            st.header("Mean reward by data set", anchor=False)
            sections.draw_methods(held_back)
        with st.container():
            st.header("Does it pay to ask more models?", anchor=False)
            sections.draw_cost_quality(held_back, quality.pool)
    with st.container():
        st.header("Do similar queries help the training?", anchor=False)
        st.markdown(
            "The router learns from each query's own rewards, mixed with the mean of the queries that share its tags. "
            "*beta* is the share of its own: 1 uses nothing else, 0 only the mean."
        )
        sections.draw_beta(quality, view.sweep_command(quality.path))
st.divider()
download("Full report (JSON)", quality.path.read_bytes(), quality.path.name)
