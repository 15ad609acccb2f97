"""Benchmark: the fleet against itself and the oracle, from its report.json."""

import streamlit as st

from zooter_core.errors import ZooterError
from zooter_core.ui import resources
from zooter_core.ui.benchmark import sections, view

st.title("How good is the router?", anchor=False)
st.markdown(
    "The fleet against itself: the router, which runs one model, beside each model alone, beside running all, "
    "and beside the best that could have been chosen. All figures are rewards, the reward model's marks for a "
    "response: higher is better, and only differences between them mean something."
)
try:
    found = view.opened(resources.folder())
except ZooterError as problem:
    resources.fail(str(problem))
if found.report is None or found.path is None:
    view.missing(found)
    st.stop()

make = view.make_it(view.shown_path(found.folder))
held_back = found.report.held_back
if held_back is None:
    st.info(
        "This run held no query back, so nothing here is fair to its router, which has seen all of them. A run with "
        "`--holdout 0.2`, as it is by default, can be judged:",
        icon=":material/info:",
    )
    st.code(make, language="sh")
else:
    view.headline(held_back)
    st.subheader("Every method on every kind of query", anchor=False)
    sections.table(held_back, found.version)
    st.subheader("What more calls would buy", anchor=False)
    sections.cost_quality(held_back, view.pool(found, held_back), make, found.version)

st.subheader("How much beta matters", anchor=False)
st.markdown(
    "Beta mixes what the reward model said of a query itself (beta = 1) with what it said of all queries with the same "
    "tags (beta = 0), before the router learns from it."
)
sections.beta(found, view.sweep_command(found))
st.divider()
view.whole(found)
