"""Compare: several models answer one query or a list of queries, and a reward model ranks the responses."""

import streamlit as st

from zooter_core.base.errors import ZooterError
from zooter_core.ui import links, resources
from zooter_core.ui.compare import arena, comparisons, lists, view
from zooter_core.ui.widgets import pick_example, show_error

st.title("All models on one query", anchor=False)
comparison, query_list = comparisons.current(), lists.registry().current()
if comparison is None and query_list is None:
    st.markdown(
        "Every model answers, and a reward model ranks the responses. Did the router, which runs one, pick well?"
    )
pool = resources.pool()
one, pair, many = st.tabs(["One query", "Arena", "A list of queries"], key="view", bind="query-params")

if one.open:
    with one:
        links.prefill("compare-query")
        if links.pending():
            links.notice("check it and the options, then press **Enter**.")
        typed = st.chat_input("Ask all models", key="compare-query")
        options = view.options(pool, comparison)
        example = pick_example("compare") if comparison is None and not links.pending() else None
        ensemble = resources.ensemble()
        query = example or typed
        if query is not None:
            links.clear()
            try:
                answer = "" if example else options.answer
                started = comparisons.start(
                    ensemble, query, options.models, blind=options.blind, answer=answer, previous=comparison
                )
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
            arena.draw(ensemble, comparison, pool)
        except ZooterError as problem:
            show_error(problem)
        view.tally(ensemble)

if many.open:
    with many:
        ensemble = resources.ensemble()
        if query_list is not None:
            lists.draw(query_list)
        else:
            models = view.options(pool, single=False).models
            try:
                if sent := lists.form():
                    queries, answers = sent
                    lists.show(lists.QueryList(ensemble, queries, models, answers))
                    st.rerun()
            except ZooterError as problem:
                show_error(problem)
