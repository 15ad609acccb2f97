"""Lab: the method step by step, from scores to labels to a router."""

import streamlit as st

from zooter_core.ui import resources
from zooter_core.ui.lab import distill, labels, settings, state, sweep

LABELS, SWEEP, DISTILL = (
    ":material/balance: Labels",
    ":material/stacked_line_chart: Sweep beta",
    ":material/science: Distill",
)

st.title("The method step by step", anchor=False)
st.markdown(
    "Scores say how good each model's response to each query was. Here you turn scores into labels, labels into a "
    "router, and the router into a fleet that you can chat with. Nothing leaves this machine."
)
resources.require_folder("Training a router")
engine = resources.ensemble()
lab = state.current()
scores = state.scores_from_source(lab, engine)
if scores is None:
    st.stop()
if scores.note:
    st.caption(scores.note)
data = settings.training_data(lab, scores, engine)
if data is None:
    st.stop()

first, second, third = st.tabs([LABELS, SWEEP, DISTILL], key="lab-part", on_change="rerun")
if first.open:
    with first:
        labels.draw(lab, data)
if second.open:
    with second:
        sweep.draw(lab, data, engine)
if third.open:
    with third:
        distill.draw(lab, data, engine)
