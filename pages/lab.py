"""Lab: the method by hand, from scores over labels to a router."""

import streamlit as st

from zooter_core.ui import lab, lab_distill, lab_labels, lab_settings, lab_sweep, resources

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
state = lab.current()
material = lab.source(state, engine)
if material is None:
    st.stop()
if material.note:
    st.caption(material.note)
subject = lab_settings.settings(state, material, engine)
if subject is None:
    st.stop()

labels, sweep, distill = st.tabs([LABELS, SWEEP, DISTILL], key="lab-part", on_change="rerun")
if labels.open:
    with labels:
        lab_labels.draw(state, subject)
if sweep.open:
    with sweep:
        lab_sweep.draw(state, subject, engine)
if distill.open:
    with distill:
        lab_distill.draw(state, subject, engine)
