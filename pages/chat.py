"""Chat: each query goes to the candidate that the router finds likeliest to answer best."""

import streamlit as st

from zooter_core.errors import ZooterError
from zooter_core.ui import examples, links, problems, resources
from zooter_core.ui.chat import conversation, view
from zooter_core.ui.text import plain, safe

st.title("One front door to several models", anchor=False)
talk = conversation.current()
if not talk.turns:
    st.markdown(
        "A small router reads your query and predicts which model would answer it best; only that model runs.  \n"
        "You see its probabilities, the tags of your query, and the answer as it is written."
    )
links.prefill("query")
running = talk.running  # looked at once: an answer that ends meanwhile must not leave the field closed
typed = st.chat_input("Ask anything", key="query", disabled=running)
example = None if talk.turns or links.waiting() else examples.pick("chat")
if links.waiting():
    view.linked()
engine = resources.ensemble()

with st.sidebar:
    settings = view.settings(engine)
    view.conversations(talk)
    with st.expander(f"The {len(engine.fleet.pool)} models", icon=":material/groups:"):
        for candidate in engine.fleet.candidates:
            st.caption(f"**{plain(candidate.name)}**: {plain(candidate.description)}")

refused = None
if query := typed or example:
    links.sent()
    try:
        talk.ask(engine, query, settings)
        st.rerun()
    except ZooterError as problem:
        refused = str(problem)


@st.fragment(run_every=0.3)
def live(turn: conversation.Turn, candidate: str) -> None:
    """The answer as it comes; when it has come, or another candidate takes over, the whole page is drawn once more."""
    if not turn.job.running or turn.candidate != candidate:
        st.rerun()
    view.answer(turn)
    st.button("Stop", icon=":material/stop_circle:", key="stop", on_click=turn.job.stop, disabled=turn.job.stopping)


for number, turn in enumerate(talk.turns):
    last = number == len(talk.turns) - 1
    with st.chat_message("user", avatar=":material/person:"):
        st.markdown(safe(turn.query))
    with st.chat_message("assistant", avatar=":material/forum:"):
        view.routing(engine, talk, number, last)
        if last and running:
            live(turn, turn.candidate)
        else:
            view.answer(turn)
            if last and view.editing(talk):
                view.edit(engine, talk, settings)
            else:
                view.actions(engine, talk, number)

if refused:
    problems.tell(refused)
