"""Benchmark: how the fleet's router compares with its models, with running all, and with the oracle."""

import streamlit as st

from zooter_core.base.errors import ZooterError
from zooter_core.ui import resources
from zooter_core.ui.benchmark import sections, view
from zooter_core.ui.widgets import download

st.title("How good is the router?", anchor=False)
resources.require_folder("The benchmark of a router")
try:
    quality = view.read_quality(resources.folder())
except ZooterError as problem:
    resources.fail(str(problem))
if quality.report is None or quality.path is None:
    view.draw_missing(quality)
    st.stop()

view.draw_verdict(quality.report)
held_back = quality.report.held_back
if held_back is None:
    st.info(
        "This run held back no queries, so the router has trained on all of them and there are no tables of how it "
        "does on others. A run holds back a fifth by default (`--holdout 0.2`):",
        icon=":material/info:",
    )
    st.code(view.report_command(view.relative_path(quality.folder)), language="sh")
else:
    view.draw_headline(quality, held_back)
    st.caption("Figures are rewards, the reward model's scores of responses: only their differences are meaningful.")
    st.subheader("Methods by data set", anchor=False)
    sections.draw_methods(held_back)
    st.subheader("Cost and quality", anchor=False)
    sections.cost_quality(held_back, quality.pool)

st.subheader("How much beta matters", anchor=False)
st.markdown(
    "A query's training label mixes its own rewards (beta = 1) with the mean of the queries that share its tags "
    "(beta = 0)."
)
sections.beta(quality, view.sweep_command(quality.path))
st.divider()
download("Full report (JSON)", quality.path.read_bytes(), quality.path.name)
