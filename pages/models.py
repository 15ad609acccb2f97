"""Models: what answers here, what the router thinks each is good at, and how to connect your own."""

import streamlit as st

from zooter_core.ui import resources
from zooter_core.ui.models import manage
from zooter_core.ui.text import code

st.title("Models", anchor=False)
resources.require_folder("The list of models")
ensemble = resources.ensemble()

# Only now: these import what the fleet's thread imports.
from zooter_core.ui.models import cards, connect, exam  # noqa: E402

manage.draw_problem()
users = manage.is_users(resources.folder())
if manage.allowed():
    with st.expander("Connect a model", icon=":material/add:", expanded=False, key="connect"):
        if not users:
            st.caption(f"Your models become a fleet of their own, in the folder {code(str(manage.target()))}.")
        connect.draw()
else:
    st.caption("Only who started this demo may change its models (`zooter demo --manage`).")
if users and manage.allowed():
    exam.draw(ensemble, manage.target())
cards.draw(ensemble)
