"""What the Chat page draws: the empty page, and each turn with its routing, its answer and its buttons."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from zooter_core.ensemble import Ensemble
from zooter_core.paths import EMBEDDED_FLEET
from zooter_core.ui import answer_view, links, pictures, resources, strip
from zooter_core.ui.background import draw_live, stop_button
from zooter_core.ui.chat import actions, share, why
from zooter_core.ui.chat.controls import MODES
from zooter_core.ui.chat.conversations import Conversation
from zooter_core.ui.chat.turns import Settings, Turn
from zooter_core.ui.colours import badge
from zooter_core.ui.jobs import Job
from zooter_core.ui.text import code, plain, safe

EVERY = 0.3  # seconds between two drawings of an answer that grows
EMBEDDED = "Four 135M-parameter specialists on your processor. Watch the routing; don't trust the answers."


def draw_welcome() -> None:
    with st.container(key="welcome"):
        st.title("Ask once. The right model answers.", anchor=False)
        st.markdown(
            "A small router reads your query and predicts which model would answer it best. Only that model runs."
        )


def draw_footnote() -> None:
    if url := resources.endpoint():
        text = f"{len(resources.pool())} models behind the endpoint {code(url)}. Check important answers."
    elif Path(resources.folder()).resolve() == EMBEDDED_FLEET.resolve():
        text = EMBEDDED
    else:
        text = f"{len(resources.pool())} models behind one router. Check important answers."
    with st.bottom, st.container(key="footnote"):
        st.caption(text, text_alignment="center")


def link_notice() -> None:
    """Say that a link has filled in a query, and what else it has set."""
    mode = st.query_params.get("mode")
    also = f" It also set **Who answers** to **{mode}**." if mode in MODES else ""
    links.notice(f"read it, then send it.{also}")


def draw_shared(answer: share.SharedAnswer) -> None:
    """An answer that came with a link: nothing has run."""
    st.info(
        "A link carries this answer. Nothing has run here, and anyone can write such a link.", icon=":material/link:"
    )
    pool = list(answer.probabilities)
    answer_view.draw_query(answer.query)
    with st.chat_message("assistant", avatar=pictures.avatar(pool, answer.model)):
        if answer.probabilities:
            strip.draw(answer.probabilities, [answer.tag] if answer.tag else [], "shared")
        st.markdown(safe(answer.text))
        st.markdown(badge(pool, answer.model))  # a badge in a caption would be too pale
        with st.container(horizontal=True):
            st.button("Ask it here", icon=":material/edit:", on_click=share.ask_again, args=(answer.query,))
            st.button("Close", on_click=share.close)


def draw_turn(engine: Ensemble, talk: Conversation, number: int, settings: Settings, live: bool) -> None:
    """A query and its answer, with what can be done next; `live`: the answer is drawn while it grows."""
    turn, last = talk.turns[number], number == len(talk.turns) - 1
    answer_view.draw_query(turn.query)
    with st.chat_message("assistant", avatar=pictures.avatar(engine.fleet.pool, turn.candidate)):
        explained = routing(talk, number)
        if live and isinstance(turn.job, Job):
            _draw_live(turn, turn.job)
        else:
            draw_answer(talk, number)
            if last and actions.editing(talk):
                actions.edit_form(engine, talk, settings)
            else:
                actions.draw(engine, talk, number)
        if explained:  # below the answer, which stays where it is
            why.panel(engine, turn, f"{talk.id}-{number}")


def _draw_live(turn: Turn, job: Job) -> None:
    candidate = turn.candidate

    def draw() -> None:
        if turn.candidate != candidate:  # a reserve steps in: the routing above names it too
            st.rerun()
        box = st.empty()
        with box.container():
            _draw_text(turn)
        stop_button(job, "stop")
        if not job.begun.is_set() and job.begun.wait(EVERY):  # the first words need not wait for the next drawing
            with box.container():
                _draw_text(turn)

    draw_live(job, draw, every=EVERY)


def draw_answer(talk: Conversation, number: int) -> None:
    turn = talk.turns[number]
    _draw_text(turn)
    others = [name for name in turn.job.candidates if name != turn.candidate]
    if turn.settings.second and others and not turn.job.ranked:
        st.button(
            f"Continue with {plain(others[0])} instead",
            key=f"choose-{talk.id}-{number}-{turn.version}",
            icon=":material/swap_horiz:",
            on_click=talk.choose,
            args=(number, others[0]),
        )
    elif turn.job.ranked:
        with st.expander(f"Best of {_scored(turn)} by reward", icon=":material/leaderboard:"):
            for item in turn.job.ranked:
                reward = "no reward" if item.reward is None else f"reward {item.reward:.2f}"
                st.markdown(f"**{plain(item.response.candidate)}** · {reward}")
                answer_view.draw_answer(turn.job, item.response.candidate)


def _draw_text(turn: Turn) -> None:
    """Who could not answer, and the answer so far: beside the second model's, if two were asked."""
    job = turn.job
    if note := answer_view.fallback_note(job, "**"):
        st.warning(safe(note), icon=":material/swap_horiz:")
    if answer_view.draw_waiting(job):
        return
    if turn.settings.second and len(job.candidates) > 1 and not job.ranked:
        pool = list(turn.decision.probabilities)
        for column, name in zip(st.columns(len(job.candidates)), job.candidates, strict=True):
            with column.container(border=True):
                st.markdown(badge(pool, name))
                answer_view.draw_answer(job, name)
        return
    answer_view.draw_answer(job, turn.candidate)
    if job.running and len(job.candidates) > 1:
        st.caption(f"{len(job.responses)} of {len(job.candidates)} models have answered; the best answer stays.")


def _scored(turn: Turn) -> int:
    return sum(item.rank is not None for item in turn.job.ranked or [])


def routing(talk: Conversation, number: int) -> bool:
    """The router's decision as a strip, and who answers if not its choice; True if a visitor wants the reasons."""
    turn = talk.turns[number]
    key = f"{talk.id}-{number}"
    opened = strip.draw(turn.decision.probabilities, [tag.name for tag in turn.decision.tags], key, why=True)
    if note := _who_answers(turn):
        st.caption(note)
    return opened


def _who_answers(turn: Turn) -> str:
    """Who answers instead of the router's choice, and why, as Markdown; empty if it answers itself."""
    job, choice = turn.job, turn.decision.candidate
    if turn.candidate == choice:
        return ""
    who, chosen = plain(turn.candidate), plain(choice)
    if job.ranked:
        return f"**{who}** has the highest reward of {_scored(turn)}; the router chose **{chosen}**."
    if job.failed_to_start(choice):
        return f"**{who}** answers instead of **{chosen}**, the router's choice."
    verb = "was asked" if job.all_failed else "answers"
    return f"**{who}** {verb} because you chose it; the router chose **{chosen}**."
