"""Chat: each query goes to the candidate that the router finds likeliest to answer best."""

import streamlit as st

from zooter_core.errors import ZooterError
from zooter_core.ui import answers, conversation, examples, resources
from zooter_core.ui.text import safe

ROUTER = "the router's choice"

st.title("One front door to several models", anchor=False)
st.markdown(
    "A small router reads your query and predicts which model would answer it best; only that model runs.  \n"
    "You see its probabilities, the tags of your query, and the answer as it is written."
)
talk = conversation.current()
typed = st.chat_input("Ask anything", disabled=talk.running)
example = None if talk.turns else examples.pick("chat")
engine = resources.ensemble()

with st.sidebar:
    who = st.selectbox("Who answers", [ROUTER, *engine.fleet.pool], help="Override the router for your next query.")
    for candidate in engine.fleet.candidates:
        st.caption(f"**{candidate.name}**: {candidate.description}")
    if talk.turns:
        st.button("New conversation", icon=":material/add:", on_click=conversation.clear, width="stretch")

refused = None
if query := typed or example:
    try:
        talk.ask(engine, query, None if who == ROUTER else who)
        st.rerun()
    except ZooterError as problem:
        refused = str(problem)


@st.fragment(run_every=0.3)
def live(turn: conversation.Turn) -> None:
    """The answer as it comes; when it has come, the whole page is drawn once more."""
    if not turn.job.running:
        st.rerun()
    answers.answer(turn.job, turn.candidate)
    st.button("Stop", icon=":material/stop_circle:", key="stop", on_click=turn.job.stop, disabled=turn.job.stopping)


for number, turn in enumerate(talk.turns):
    last = number == len(talk.turns) - 1
    with st.chat_message("user"):
        st.markdown(safe(turn.query))
    with st.chat_message("assistant"):
        with st.expander("Routing", expanded=last, icon=":material/alt_route:"):
            answers.routing(turn.decision, turn.candidate, f"turn{number}")
        if last and turn.job.running:
            live(turn)
        else:
            answers.answer(turn.job, turn.candidate)

if refused:
    st.error(refused, icon=":material/error:")
if talk.turns and not talk.running:
    st.caption("Answer this query again with:")
    for column, name in zip(st.columns(len(engine.fleet.pool)), engine.fleet.pool, strict=True):
        column.button(
            name,
            key=f"again-{name}",
            on_click=talk.again,
            args=(engine, name),
            icon=":material/refresh:",
            width="stretch",
        )
