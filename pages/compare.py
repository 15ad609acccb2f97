"""Compare: several models answer one query or a list of queries, and a reward model ranks the responses."""

import streamlit as st

from zooter_core.base.errors import ZooterError
from zooter_core.ui import links, resources
from zooter_core.ui.compare import arena, comparisons, lists, view
from zooter_core.ui.text import plain
from zooter_core.ui.widgets import pick_example, show_error

st.title("All models on one query", anchor=False)
st.markdown(
    "Every model answers, and a reward model ranks the responses. The router would have run only one: did it pick well?"
)
comparison, query_list = comparisons.registry().current(), lists.registry().current()
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
one, pair, many = st.tabs(["One query", "Arena", "A list of queries"], key="view", bind="query-params")

if one.open:
    with one:
        links.prefill("compare-query")
        if links.pending():
            links.notice("check it and the models, then press **Compare**.")
        with st.form("query", border=False):
            typed = st.text_area("Query", key="compare-query", placeholder="Ask anything", height=90)
            row = st.container(horizontal=True, vertical_alignment="bottom")
            answer = row.text_input("Right answer", key="answer", placeholder="If you know it", help=view.ANSWER_HELP)
            with row.container(key="primary-compare", width="content"):
                submitted = st.form_submit_button("Compare", icon=":material/compare_arrows:")
            blind = row.toggle("Blind", key="blind", bind="query-params", help=view.BLIND_HELP)
        example = pick_example("compare") if comparison is None and not links.pending() else None
        ensemble = resources.ensemble()
        query = example or (typed if submitted else None)
        if query is not None:
            links.clear()
            try:
                answer = "" if example else answer
                started = comparisons.start(ensemble, query, models, blind=blind, answer=answer, previous=comparison)
                comparisons.registry().show(started)
                st.rerun()
            except ZooterError as problem:
                show_error(problem)
        elif comparison is not None:
            view.draw(ensemble, comparison)
        view.tally(ensemble)

if pair.open:
    with pair:
        ensemble = resources.ensemble()
        try:
            arena.draw(ensemble, comparison, models)
        except ZooterError as problem:
            show_error(problem)
        view.tally(ensemble)

if many.open:
    with many:
        ensemble = resources.ensemble()
        if query_list is not None:
            lists.draw(query_list)
        else:
            try:
                if sent := lists.form():
                    queries, answers = sent
                    lists.show(lists.QueryList(ensemble, queries, models, answers))
                    st.rerun()
            except ZooterError as problem:
                show_error(problem)
