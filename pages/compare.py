"""Compare: several candidates answer one query or a list of them, and a reward model ranks the responses."""

import streamlit as st

from zooter_core.errors import ZooterError
from zooter_core.ui import examples, links, problems, resources
from zooter_core.ui.compare import batch, batch_view, comparison, view
from zooter_core.ui.text import plain, safe

st.title("All models on one query", anchor=False)
st.markdown(
    "Every model answers, and a reward model ranks the responses: the expensive way to find the best one.  \n"
    "See whether the router, which runs one model only, would have chosen the same."
)
found, several = comparison.current(), batch.current()
pool = resources.pool()
models = st.pills(
    "Models",
    pool,
    selection_mode="multi",
    default=pool,
    format_func=plain,
    key="models",
    bind="query-params",
    help="At least two.",
)
one, many = st.tabs(["One at a time", "A whole list"], key="view", bind="query-params")


@st.fragment(run_every=0.3)
def live(running: comparison.Comparison) -> None:
    """The cards as they fill in; when all have ended, the whole page is drawn once more."""
    if not running.job.running:
        st.rerun()
    view.progress(running)


@st.fragment(run_every=0.5)
def live_list(running: batch.Batch) -> None:
    """The list as it gets shorter; at its end, the whole page is drawn once more."""
    if not running.running:
        st.rerun()
    batch_view.progress(running)


if one.open:
    with one:
        links.prefill("compare-query")
        if links.waiting():
            view.linked()
        with st.form("query", border=False):
            typed = st.text_area("Query", key="compare-query", placeholder="Ask anything", height=90)
            row = st.container(horizontal=True, vertical_alignment="center")
            asked = row.form_submit_button("Compare", icon=":material/compare_arrows:")
            blind = row.toggle("Blind", key="blind", bind="query-params", help=view.BLIND_HELP)
        example = examples.pick("compare") if found is None and not links.waiting() else None
        engine = resources.ensemble()
        query = example or (typed if asked else None)
        if query is not None:
            links.sent()
            try:
                comparison.show(comparison.start(engine, query, models, blind=blind, earlier=found))
                st.rerun()
            except ZooterError as problem:
                problems.tell(problem)
        elif found is not None:
            with st.chat_message("user", avatar=":material/person:"):
                st.markdown(safe(found.query))
            view.routing(found)
            if found.job.running:
                live(found)
            else:
                view.result(engine, found)
        view.tally(engine)

if many.open:
    with many:
        engine = resources.ensemble()
        if several is not None and several.running:
            live_list(several)
        elif several is not None:
            batch_view.result(several)
        else:
            try:
                if queries := batch_view.ask():
                    batch.show(batch.Batch(engine, queries, models))
                    st.rerun()
            except ZooterError as problem:
                problems.tell(problem)
