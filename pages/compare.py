"""Compare: every candidate answers one query, and a reward model ranks the responses."""

import streamlit as st

from zooter_core.errors import ZooterError
from zooter_core.ui import answers, charts, comparison, examples, resources
from zooter_core.ui.text import safe

st.title("All models on one query", anchor=False)
st.markdown(
    "Every model answers, and a reward model ranks the responses: the expensive way to find the best one.  \n"
    "See whether the router, which runs one model only, would have chosen the same."
)
found: comparison.Comparison | None = st.session_state.get("comparison")
with st.form("query", border=False):
    typed = st.text_area("Query", key="compare-query", placeholder="Ask anything", height=90)
    asked = st.form_submit_button("Compare", type="primary", icon=":material/compare_arrows:")
example = examples.pick("compare") if found is None else None
engine = resources.ensemble()

if asked or example:
    try:
        st.session_state["comparison"] = comparison.start(engine, example or typed, found)
        st.rerun()
    except ZooterError as problem:
        st.error(str(problem), icon=":material/error:")


@st.fragment(run_every=0.3)
def live(running: comparison.Comparison) -> None:
    """The cards as they fill in; when all have ended, the whole page is drawn once more."""
    if not running.job.running:
        st.rerun()
    ended = len(running.job.responses)
    waiting = (
        "ranking them" if ended == len(running.job.candidates) else f"{ended} of {len(running.job.candidates)} done"
    )
    st.caption(f"All models are answering: {waiting} ...")
    st.button(
        "Stop", icon=":material/stop_circle:", key="stop", on_click=running.job.stop, disabled=running.job.stopping
    )
    comparison.cards(running)


if found is not None:
    with st.chat_message("user"):
        st.markdown(safe(found.query))
    with st.expander("Routing", icon=":material/alt_route:"):
        answers.routing(found.decision, found.decision.candidate, "compare", alone=False)
    if found.job.running:
        live(found)
    else:
        if found.job.problem:
            st.error(found.job.problem, icon=":material/error:")
        elif found.job.ranked is not None:
            st.info(comparison.verdict(found.decision, found.job.ranked))
            st.caption("Reward of each response (higher is better):")
            st.plotly_chart(
                charts.rewards(found.job.ranked, engine.fleet.pool), key="rewards", config={"displayModeBar": False}
            )
        comparison.cards(found)
