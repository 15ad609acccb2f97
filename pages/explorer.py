"""Explorer: what the router has learned, and how it routes a query while you type."""

import streamlit as st

from zooter_core.base.errors import ZooterError
from zooter_core.ui import resources
from zooter_core.ui.explorer import view
from zooter_core.ui.explorer.live import draw_live_routing
from zooter_core.ui.widgets import show_error

st.title("What the router has learned", anchor=False)
ensemble = resources.ensemble()
starting = bool(ensemble.router.note) and ensemble.fleet.router is None
if not starting:
    st.markdown(
        "The router trained on queries with a reward for each model's answer, from a reward model or a score file.  \n"
        "See what it learned from them, and how it routes your query while you type."
    )
problem, learned = None, None
try:
    learned = view.read_learned(ensemble)
except ZooterError as error:
    problem = str(error)

draw_live_routing(ensemble, learned)
if starting:
    view.draw_starting(ensemble)
    st.stop()
if problem:
    show_error(problem)
elif learned is None:
    view.draw_missing()
else:
    st.header("Tags and models", anchor=False)
    st.caption(
        f"From the {learned.queries:,} training queries, where the router does a little better than on new ones. A tag "
        "names what a query is about or asks for."
    )
    view.draw_tags(learned)

left, right = st.columns(2, gap="large")
with left:
    if learned is not None:
        st.header("How much the choice matters", anchor=False)
        view.draw_entropies(learned)
with right if learned is not None else left:
    st.header("Are the probabilities reliable?", anchor=False)
    view.draw_reliability(view.read_reliability(ensemble))
