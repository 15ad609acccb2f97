"""Traffic: what routing was worth in the last days, which routers served, and the newest decisions."""

import streamlit as st

from zooter_core.ui import resources
from zooter_core.ui.traffic import champions, view

st.title("Traffic", anchor=False)
ensemble = resources.ensemble()
fleet = ensemble.fleet
folder = view.traffic_folder(fleet)
if folder is None:
    view.draw_empty(fleet, hidden=not view.may_look())
    st.stop()

period = st.segmented_control("Period", list(view.PERIODS), default="Last 7 days", required=True, key="period")
shown = view.last_days(folder, *view.PERIODS[period])
report = view.sum_up(shown, ensemble)
view.draw_sentences(report)
view.draw_advice(report, fleet, folder)
if not report.requests:
    st.stop()
with st.container(key="beside-traffic"):
    with st.container():
        st.header("Choices over time", anchor=False)
        view.draw_choices(shown, fleet.pool)
    with st.container():
        view.draw_worth(report, fleet.pool)
    with st.container():
        st.header("Routers over time", anchor=False)
        champions.draw(shown, fleet)
    with st.container():
        st.header("What has changed", anchor=False)
        view.draw_changes(report)
    with st.container():
        st.header("Newest feedback", anchor=False)
        view.draw_feedback(shown, fleet.pool)
    with st.container():
        st.header("Newest decisions", anchor=False)
        view.draw_decisions(shown, fleet.pool)
