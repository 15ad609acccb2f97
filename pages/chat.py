"""Chat: each query goes to the model that the router expects to answer best."""

import streamlit as st

from zooter_core.base.errors import ZooterError
from zooter_core.ui import links, resources
from zooter_core.ui.chat import controls, conversations, share, story, view
from zooter_core.ui.widgets import focus_composer, pick_example, show_error

talk = conversations.current()
shared = share.opened()
# Read once: if an answer ends while the page is drawn, the field must not stay disabled.
live = {number for number, turn in enumerate(talk.turns) if turn.job.running}
links.prefill("query")
typed = st.chat_input("Ask anything", key="query", disabled=bool(live))
focus_composer(len(talk.turns), bool(live))
view.draw_footnote()
top = st.container(key="top")
telling = story.draw(talk)
welcome = None if talk.turns or shared or telling else view.draw_welcome()
offered = not (talk.turns or shared or telling or links.pending())
example = pick_example("chat") if offered else None
if links.pending():
    view.link_notice()
ensemble = resources.ensemble()
if welcome:
    view.draw_starting(ensemble, welcome)
    story.invite(ensemble, welcome)
with top:
    settings = controls.draw(ensemble, talk)
controls.sidebar(talk)

problem = None
if query := typed or example:
    links.clear()
    share.close()
    try:
        talk.ask(ensemble, query, settings)
        view.set_editing(None)
        st.rerun()
    except ZooterError as error:
        problem = str(error)

for number in range(len(talk.turns)):
    view.draw_turn(ensemble, talk, number, settings, live=number in live)
if shared:
    view.draw_shared(shared)
if problem:
    show_error(problem)
