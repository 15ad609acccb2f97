"""Chat: each query goes to the model that the router expects to answer best."""

import streamlit as st

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Message
from zooter_core.ui import links, resources
from zooter_core.ui.chat import composer, controls, conversations, story, view
from zooter_core.ui.widgets import focus_composer, pick_example

talk = conversations.current()
# Read once: if an answer ends while the page is drawn, the field must not stay disabled.
live = {number for number, turn in enumerate(talk.turns) if turn.job.running}
top = st.container(key="top")
telling = story.draw(talk)
linked = links.pending()
typed = composer.draw(begun=bool(talk.turns), disabled=bool(live))  # the style sheet hides it while the story is told
state = "sent" if len(talk.turns) - 1 in live else ""
focus_composer(f"{state} {talk.id} {len(talk.turns)} {bool(live)} {telling} {st.session_state.get('editing')}")
view.draw_footnote()
welcome = None if talk.turns or telling else view.draw_welcome()
example = None if talk.turns or telling or linked else pick_example("chat")
if linked:
    view.draw_link_notice()
ensemble = resources.ensemble()
if welcome:
    view.draw_starting(ensemble, welcome)
    if not linked:
        story.invite(ensemble, talk, welcome)
with top:
    settings = controls.draw(ensemble, talk)
controls.sidebar(talk)

if sent := typed or (Message("user", example, composer.waiting()) if example else None):
    links.clear()
    try:
        talk.ask(ensemble, sent.content, settings, sent.attachments)
    except ZooterError as error:
        composer.put_back(sent.content, str(error))
    composer.clear()
    conversations.settle()
    view.set_editing(None)
    st.rerun()

for number in range(view.draw_earlier(talk, live), len(talk.turns)):
    view.draw_turn(ensemble, talk, number, settings, live=number in live)
