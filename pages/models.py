"""Models: what answers here, what the router thinks each is good at, and how to connect your own."""

import streamlit as st

from zooter_core.ui import resources
from zooter_core.ui.models import build, cards, connect, exam, manage
from zooter_core.ui.text import code, plain

st.title("Models", anchor=False)
st.markdown("The models that answer here, and which queries the router gives to each.")
ensemble = resources.ensemble()
users, several = manage.is_users(resources.folder()), len(ensemble.fleet.pool) > 1
if manage.allowed():
    router = build.waiting()
    title = f"Build a fleet for the router {code(router.folder.name)}" if router else "Connect a model"
    is_open = bool(router) or not users or not several
    with st.expander(title, icon=":material/add:", expanded=is_open, key="connect"):
        if router:
            st.markdown("Find your models, and say which answers under each name that the router knows.")
        elif not users:
            where = f"the folder {code(manage.NEW_FLEET)} where the demo was started"
            st.markdown(f"Your models become a fleet of their own, in {where}.")
        elif not several:
            st.markdown("With a second model, there is a choice for the router to make.")
        connect.draw(router)
else:
    st.info("Changing the models is off here. `zooter demo --manage HOST` allows it.", icon=":material/lock:")
if users and several and manage.allowed():
    exam.draw(manage.target())
elif ensemble.router.note and several and not manage.allowed():
    st.markdown(f"{plain(ensemble.router.note)} `zooter exam` trains one.")
cards.draw(ensemble)
