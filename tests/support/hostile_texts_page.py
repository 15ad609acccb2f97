"""A page that draws hostile texts as the demo's pages do: `streamlit run hostile_texts_page.py`."""

from __future__ import annotations

import streamlit as st

from support.hostile_texts import NAMES, PAYLOADS, generated, payload
from zooter_core.base.records import Decision, Ranked, Response, Tag
from zooter_core.ui import charts
from zooter_core.ui.markdown import safe
from zooter_core.ui.text import code, plain
from zooter_core.ui.widgets import show_error

TEXTS = [*map(payload, PAYLOADS), *generated(60)]

for number, text in enumerate(TEXTS):
    with st.container(key=f"text-{number}"):
        st.markdown(safe(text))
for number, name in enumerate(PAYLOADS):
    text = payload(name)
    with st.container(key=f"name-{number}"):
        st.markdown(f"**{plain(text)}** answers {code(text)}")
        st.caption(charts.tag_badges([Tag(text, 0.5)]))
        st.button(plain(text), key=f"button-{number}", help=plain(text))
        st.pills(plain(text), [text], format_func=plain, key=f"pills-{number}")
        st.metric(plain(text), number, help=plain(text))
        show_error(text)
hostile = [Ranked(Response(name, ""), place) for place, name in enumerate(NAMES)]
charts.draw(charts.rewards(hostile, list(NAMES)), "rewards", "The rewards.", 2000)
charts.draw(charts.wins({name: {name: 1.0} for name in NAMES}, list(NAMES), list(NAMES)), "wins", "Who won.", 2000)
with st.container(key="pictures"):
    charts.draw_strip(Decision.of("", NAMES, (Tag(next(iter(NAMES)), 1.0),)), "hostile")
    for name in NAMES:
        st.image(charts.avatar(list(NAMES), name))
st.text("all drawn")
