"""Train your own router: scores, how they become labels, training, the verdict, and use."""

import streamlit as st

from zooter_core.ui import resources
from zooter_core.ui.train import labels, scores, train, use
from zooter_core.ui.train.session import current

st.title("Train your own router", anchor=False)
st.markdown(
    "A score says how good one model's response to one query was. From scores, a router learns whom to ask. The "
    "defaults work: press **Train**. Nothing leaves this machine."
)
ensemble = resources.ensemble()
session = current()
loaded = scores.draw(session, ensemble)
if loaded is not None:
    train.draw_button(session, loaded, labels.draw(session, loaded, ensemble), ensemble)
train.draw_result(session)
if session.router is not None:
    use.draw(session, session.router, ensemble)
