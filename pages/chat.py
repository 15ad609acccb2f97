"""Chat: each query goes to the model that the router expects to answer best."""

import streamlit as st

from zooter_core.errors import ZooterError
from zooter_core.ui import examples, links, resources
from zooter_core.ui.chat import controls, conversations, share, view
from zooter_core.ui.error_box import show_error

talk = conversations.current()
shared = share.opened()
running = talk.running  # read once: if the answer ends while the page is drawn, the field must not stay disabled
links.prefill("query")
typed = st.chat_input("Ask anything", key="query", disabled=running)
view.draw_footnote()
top = st.container()
if not talk.turns and not shared:
    view.draw_welcome()
offered = not (talk.turns or shared or links.pending())
example = examples.pick("chat") if offered else None
if links.pending():
    view.link_notice()
engine = resources.ensemble()
with top:
    settings = controls.draw(engine, talk)

problem = None
if query := typed or example:
    links.clear()
    share.close()
    try:
        talk.ask(engine, query, settings)
        st.rerun()
    except ZooterError as error:
        problem = str(error)

for number in range(len(talk.turns)):
    last = number == len(talk.turns) - 1
    view.draw_turn(engine, talk, number, settings, live=running and last)
if shared:
    view.draw_shared(shared)
if problem:
    show_error(problem)
