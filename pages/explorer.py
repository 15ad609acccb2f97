"""Explorer: what the router has learned, and what it makes of a query while it is typed."""

import streamlit as st

from zooter_core.errors import ZooterError
from zooter_core.ui import problems, resources
from zooter_core.ui.explorer import view
from zooter_core.ui.explorer.typed import watch

st.set_page_config(layout="wide")
st.title("What the router has learned", anchor=False)
st.markdown(
    "The router learned from queries that every model answered and a reward model judged.  \n"
    "See what it took from them, and what it makes of a query of yours while you type it."
)
engine = resources.ensemble()
problem, found = None, None
try:
    found = view.seen(engine)
except ZooterError as broken:
    problem = str(broken)

watch(engine, found)
if problem:
    problems.tell(problem)
elif found is None:
    view.missing(
        "the queries that it learned from, so there is no map and nothing to show by tag; routers made by "
        "`zooter extend` never do"
    )
else:
    st.subheader("Which tags go to whom", anchor=False)
    st.caption(
        f"From the {found.queries} queries that the router learned from, so it does a little better here than on new "
        "ones. A tag is what a query is about or asks for."
    )
    view.tags(found)

left, right = st.columns(2, gap="large")
with left:
    if found is not None:
        st.subheader("How far apart the answers were", anchor=False)
        view.entropies(found)
with right if found is not None else left:
    st.subheader("Whether its probabilities can be believed", anchor=False)
    view.believed(view.reliability(engine))
