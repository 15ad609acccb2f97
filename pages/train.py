"""Train your own router: scores, labels, training and use, in four steps."""

import streamlit as st

from zooter_core.ui import resources
from zooter_core.ui.train import labels, scores, steps, train, use

st.title("Train your own router", anchor=False)
st.markdown(
    "From scores to a router that Chat uses, in four steps. The defaults work: press the coloured button of each step. "
    "Nothing leaves this machine."
)
ensemble = resources.ensemble()
session = steps.current()
with st.container(key="beside-steps"):
    for number, (name, step) in enumerate({"Scores": scores, "Labels": labels, "Train": train, "Use": use}.items(), 1):
        with st.container():
            if steps.head(session, number, name, step.summary(session)):
                step.draw(session, ensemble)
