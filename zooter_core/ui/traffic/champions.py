"""Which router served when, the evidence for each switch, and two buttons for the machine's owner."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from zooter_core.base.errors import ZooterError
from zooter_core.config.fleet import Fleet
from zooter_core.evaluation.charts import GREY, ROUTER, framed, of_names
from zooter_core.learn.changes import day
from zooter_core.learn.deciding import PROMOTE, ROLLBACK
from zooter_core.learn.versions import (
    OUTSIDE,
    ROUTERS,
    STARTING,
    STATE,
    PairSummary,
    Switch,
    Versions,
    summary,
    switch_by_hand,
)
from zooter_core.ui import charts, resources
from zooter_core.ui.history import is_local
from zooter_core.ui.models import manage
from zooter_core.ui.text import clipped, plain
from zooter_core.ui.traffic.view import Source
from zooter_core.ui.widgets import draw_problem, show_error

SHOWN = 10  # switches
PATIENCE = 3.0  # seconds to wait for a turn of the learner
DONE = "traffic-switched"  # in the session's state: the router that serves after a switch


def draw(source: Source, fleet: Fleet) -> None:
    learned, users = None, manage.is_users(fleet.folder)
    if users and (fleet.folder / ROUTERS / STATE).is_file():
        try:
            learned = Versions(fleet)
        except ZooterError as problem:
            show_error(problem)
            return
    switches = [switch for switch in learned.state.events if switch.time < source.until] if learned else []
    if not switches:
        st.markdown("One router has served since the beginning.")
    else:
        draw_timeline(source, switches, learned is not None and learned.state.follows)
        for switch in reversed(switches[-SHOWN:]):
            st.markdown(f"- **{day(switch.time)}**: {describe_switch(switch)}")
    if learned is None:
        yours = "" if users else ", for a fleet of your own"
        st.markdown(f"`zooter learn` makes a better router from this traffic{yours}.")
        return
    draw_contest(learned)
    if may_switch():
        draw_buttons(learned)


def describe_router(router: str) -> str:
    """A router's name on the page."""
    if router == STARTING:
        return "the starting router"
    folder, _, number = router.rpartition("/")
    if folder == ROUTERS and number.isdigit():
        return f"version {int(number)}"
    return "the trained router" if router == "router" else f"the router {router}"


def describe_switch(switch: Switch) -> str:
    """A switch and the evidence for it, in Markdown."""
    router, before = plain(describe_router(switch.router)), plain(describe_router(switch.before))
    if switch.event == OUTSIDE:
        return f"{_capital(router)} took the place of {before}: somebody changed `fleet.toml`."
    how = "by the learner" if switch.capital is not None else "by hand"
    evidence = describe_pairs(switch, router, switch.proved)
    if switch.event == ROLLBACK:
        return f"{_capital(before)} was rolled back to {router} {how}. {evidence}"
    return f"{_capital(router)} was promoted in place of {before} {how}. {evidence}"


def describe_pairs(pairs: PairSummary, router: str, proved: bool = False) -> str:
    """What the paired comparisons say about a router."""
    n, mean, low, high = pairs.pairs, pairs.mean, pairs.low, pairs.high
    if not n or mean is None:
        return "No query has compared the two."
    if mean < 0 and low is not None and high is not None:
        low, high = -high, -low
    interval = f" (95% CI {low:.2f} to {high:.2f})" if low is not None and high is not None else ""
    where = f"On {n:,} queries" if n > 1 else "On one query"
    verb = "more" if mean >= 0 else "less"
    proof = ", which is proof" if proved else ""
    return f"{where} where the two chose differently, {router} earned {abs(mean):.2f} {verb} reward{interval}{proof}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def draw_timeline(source: Source, switches: Sequence[Switch], follows: bool) -> None:
    """Draw a bar per router, from when it began to serve until it was replaced. The current one is highlighted.

    Args:
        follows: whether later routers of the learner also serve, without an event each.
    """
    begins = [source.since, *(switch.time for switch in switches)]
    ends = [*begins[1:], source.until]
    routers = [switches[0].before, *(switch.router for switch in switches)]
    parts = [
        (router, max(begin, source.since), end)
        for router, begin, end in zip(routers, begins, ends, strict=True)
        if end > source.since
    ]
    serving = parts[-1][0]
    last = " and later (serve)" if follows else " (serves)"
    rows = list(dict.fromkeys(router for router, _, _ in parts))
    labels = {name: clipped(describe_router(name), 30) + (last if name == serving else "") for name in rows}
    bars = []
    for router, begin, end in parts:
        times = [charts.clock(moment) for moment in (begin, (begin + end) / 2, end)]
        style = {"width": 18, "color": ROUTER if router == serving else GREY}
        sentence = f"{_capital(describe_router(router))} served from {day(begin)} to {day(end)}."
        bars.append(charts.line(times, [rows.index(router)] * 3, style, [sentence] * 3))
    axis = charts.time_axis(source.since, source.until)
    figure = framed(bars, xaxis=axis, yaxis=of_names([labels[name] for name in rows]))
    charts.draw(figure, "champions", "Which router served when.", 50 + 34 * len(rows))


def draw_contest(learned: Versions) -> None:
    state = learned.state
    if message := st.session_state.pop(DONE, None):
        st.success(message, icon=":material/check:")
    if state.paused:
        st.markdown("Learning is paused: `zooter learn resume`.")
    if state.follows:
        st.markdown(
            "The learner was promoted. Its later routers serve too, each as soon as it has earned more than the one"
            " before."
        )
    if state.challenger is None:
        st.markdown(f"{_capital(plain(describe_router(state.champion)))} serves. There is no challenger yet.")
        return
    challenger = plain(describe_router(state.challenger))
    st.markdown(
        f"{_capital(plain(describe_router(state.champion)))} serves, and {challenger} is its challenger."
        f" {describe_pairs(summary(state.pairs), challenger)}"
    )


def may_switch() -> bool:
    """Whether this visitor is at the machine itself and may change the fleet."""
    return is_local() and manage.allowed() and manage.is_users(resources.ensemble().fleet.folder)


def draw_buttons(learned: Versions) -> None:
    """Draw Promote and Roll back, each of which asks for confirmation."""
    state = learned.state
    draw_problem("switch")
    with st.container(horizontal=True):
        for label, event, router, verb, pairs in (
            ("Promote", PROMOTE, state.challenger, "serve", state.pairs),
            ("Roll back", ROLLBACK, learned.rollback_target(), "serve again", state.guard),
        ):
            if router is None:
                continue
            name, champion = plain(describe_router(router)), plain(describe_router(state.champion))
            with st.popover(label, key=f"ask-{event}"):
                st.markdown(f"Let {name} {verb} instead of {champion}? {describe_pairs(summary(pairs), name)}")
                st.button(f"Yes, {label.lower()}", key=f"do-{event}", on_click=_switch, args=(event,))


def _switch(event: str) -> None:
    def change() -> None:
        serving = describe_router(switch_by_hand(resources.ensemble().fleet, event, PATIENCE).router)
        st.session_state[DONE] = (
            f"{_capital(plain(serving))} serves now. A running endpoint that keeps its traffic takes it by itself, any"
            " other one at a reload."
        )

    if may_switch():
        manage.attempt(change, "switch")
