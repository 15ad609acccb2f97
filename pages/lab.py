"""Lab: the method by hand, from scores over labels to a router."""

import streamlit as st

from zooter_core.ui import resources
from zooter_core.ui.lab import distill, labels, settings, state, sweep

LABELS, SWEEP, DISTILL = (
    ":material/balance: Labels",
    ":material/stacked_line_chart: Sweep beta",
    ":material/science: Distill",
)

st.title("The method by hand", anchor=False)
st.markdown(
    "Scores say how good each model's response to each query was. Here they become labels, the labels a router, and "
    "the router a fleet that you can chat with. Nothing leaves this machine."
)
engine = resources.ensemble()
mine = state.current()
material = state.source(mine, engine)
if material is None:
    st.stop()
if material.note:
    st.caption(material.note)
subject = settings.settings(mine, material, engine)
if subject is None:
    st.stop()

first, second, third = st.tabs([LABELS, SWEEP, DISTILL], key="lab-part", on_change="rerun")
if first.open:
    with first:
        labels.draw(mine, subject)
if second.open:
    with second:
        sweep.draw(mine, subject, engine)
if third.open:
    with third:
        distill.draw(mine, subject, engine)
