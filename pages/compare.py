"""Compare: several models answer a query, and a reward model ranks the responses."""

import streamlit as st

from zooter_core.base.errors import ZooterError
from zooter_core.ui import links, resources
from zooter_core.ui.compare import arena, comparisons, view
from zooter_core.ui.widgets import pick_example, show_error

st.title("All models on one query", anchor=False)
comparison = comparisons.current()
if comparison is None:
    st.markdown(
        "Every model answers, and a reward model ranks the responses. Did the router, which runs one, pick well?"
    )
pool = resources.pool()
one, pair = st.tabs(["One query", "Arena"], key="view", bind="query-params")

if one.open:
    with one:
        links.prefill("compare-query")
        if links.pending():
            links.draw_notice("check it and the options, then press **Enter**.")
        typed = st.chat_input("Ask all models", key="compare-query")
        options = view.draw_options(pool, comparison)
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
                comparisons.show(started)
                st.rerun()
            except ZooterError as problem:
                show_error(problem)
        elif comparison is not None:
            view.draw(ensemble, comparison)
        view.draw_votes(ensemble)

if pair.open:
    with pair:
        ensemble = resources.ensemble()
        try:
            arena.draw(ensemble, comparison, pool)
        except ZooterError as problem:
            show_error(problem)
        view.draw_votes(ensemble)
