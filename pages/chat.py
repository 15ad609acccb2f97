"""Chat: each query goes to the model that the router expects to answer best."""

import streamlit as st

from zooter_core.errors import ZooterError
from zooter_core.ui import examples, links, resources
from zooter_core.ui.chat import conversations, view
from zooter_core.ui.error_box import show_error

st.title("One front door to several models", anchor=False)
talk = conversations.current()
if not talk.turns:
    st.markdown(
        "A small router reads your query and predicts which model would answer it best; only that model runs.  \n"
        "You see the router's probabilities, your query's tags, and the answer as it is written."
    )
links.prefill("query")
running = talk.running  # read once: if the answer ends while the page is drawn, the field must not stay disabled
typed = st.chat_input("Ask anything", key="query", disabled=running)
example = None if talk.turns or links.pending() else examples.pick("chat")
if links.pending():
    view.link_notice()
engine = resources.ensemble()
settings = view.sidebar(engine, talk)

problem = None
if query := typed or example:
    links.clear()
    try:
        talk.ask(engine, query, settings)
        st.rerun()
    except ZooterError as error:
        problem = str(error)

for number in range(len(talk.turns)):
    last = number == len(talk.turns) - 1
    view.draw_turn(engine, talk, number, settings, live=running and last)
if problem:
    show_error(problem)
