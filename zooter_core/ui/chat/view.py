"""What the Chat page draws: the empty page, and each turn with its routing, its answer and its buttons."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from zooter_core.base.errors import ZooterError
from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.config.fleet import load_fleet
from zooter_core.evaluation import verdicts
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui import answer_view, charts, links, resources
from zooter_core.ui.background import draw_live, stop_button
from zooter_core.ui.chat import composer, conversations, why
from zooter_core.ui.chat.controls import MODES
from zooter_core.ui.chat.conversations import Conversation
from zooter_core.ui.chat.turns import Settings, Turn
from zooter_core.ui.jobs import Job
from zooter_core.ui.markdown import safe
from zooter_core.ui.text import plain
from zooter_core.ui.widgets import icon_button, show_error

RETRY_HELP = "Ask the same model again from the start. If no model could answer, or it is gone, ask all of them again."
CONTINUE_HELP = "Let the same model continue the answer."


def draw(ensemble: Ensemble, talk: Conversation, number: int) -> None:
    """The row of buttons under an answer; the last one can also be asked again, edited and given by another model."""
    turn, key = talk.turns[number], _turn_id(talk, number)
    last, has_text = number == len(talk.turns) - 1, bool(turn.text.strip())
    with st.container(horizontal=True, key=f"actions-{key}", vertical_alignment="center", gap="xsmall"):
        if last and turn.job.incomplete:
            st.button("Retry", icon=":material/replay:", help=RETRY_HELP, on_click=talk.retry, args=(ensemble,))
        if turn.job.unfinished and turn.candidate in ensemble.fleet.pool:
            st.button("Continue", icon=":material/play_arrow:", help=CONTINUE_HELP, key=f"continue-{key}",
                      on_click=talk.resume, args=(ensemble, number))  # fmt: skip
        _versions(talk, number, key)
        if has_text:
            with st.container(key=f"copy-{key}", width="content"):
                st.code(turn.text, language=None)  # the style sheet leaves its copy button alone
            st.feedback(
                "thumbs",
                key=f"thumb-{key}-{turn.version}",
                default=turn.job.vote,
                on_change=lambda: talk.vote(number, st.session_state[f"thumb-{key}-{turn.version}"]),
            )
        with st.popover(
            "Share", icon=":material/share:", key=f"share-{key}", help="Share", type="tertiary", on_change="rerun"
        ) as box:
            if box.open:
                mode = next(label for label, mode in MODES.items() if mode == turn.settings.mode)
                query = "the same query, without its files," if turn.attachments else "the same query"
                links.draw_link(f"{query} and mode", turn.query, mode=mode)
        if last:
            icon_button("Edit", "edit", f"edit-{key}", set_editing, key)
        else:
            icon_button("Change this query in a branch", "call_split", f"branch-{key}", set_editing, key)
        if last or not talk.running:
            _other_answers(ensemble, talk, number, key)
        if facts := answer_view.facts(turn.job.responses.get(turn.candidate), alone=len(turn.job.candidates) == 1):
            st.caption(facts)


def _versions(talk: Conversation, number: int, key: str) -> None:
    turn = talk.turns[number]
    place, count = turn.version, len(turn.versions)
    if count < 2:
        return
    show, first, last = talk.show_version, place == 0, place == count - 1
    icon_button("Previous version", "chevron_left", f"previous-{key}", show, number, place - 1, disabled=first)
    st.markdown(f"{place + 1}/{count}", width="content")
    icon_button("Next version", "chevron_right", f"next-{key}", show, number, place + 1, disabled=last)


def _other_answers(ensemble: Ensemble, talk: Conversation, number: int, key: str) -> None:
    """A menu of models, one of which answers again; the same one too."""
    label, current, pool = "Answer again with", talk.turns[number].candidate, ensemble.fleet.pool
    names = sorted(pool, key=lambda name: name != current)
    if name := st.menu_button(
        label, names, format_func=lambda name: plain(name) + " again" * (name == current), key=f"again-{key}",
        icon=":material/refresh:", help=label, type="tertiary",
    ):  # fmt: skip
        talk.answer_with(ensemble, name, number)
        st.rerun()


def set_editing(turn: str | None) -> None:
    """Show the field in which a turn's query is changed; none of them for None."""
    st.session_state["editing"] = turn


def _turn_id(talk: Conversation, number: int) -> str:
    """Identifies a turn as it is now; another query, retry or conversation has another value."""
    return f"{talk.id}-{number}-{talk.turns[number].retry}"


def edit_form(ensemble: Ensemble, talk: Conversation, number: int, settings: Settings) -> None:
    """A query as a field, where its button was: the query itself may have scrolled out of sight."""
    turn, last = talk.turns[number], number == len(talk.turns) - 1
    with st.form(f"edit-{number}", border=False):
        query = st.text_area("Your query", turn.query)
        names = [file.name for file in turn.attachments]
        places = range(len(names))
        files = st.multiselect("Files", places, places, lambda place: names[place]) if names else []
        if not last:
            st.caption("This begins a branch, a conversation of its own with all that came before this query.")
        row = st.container(horizontal=True)
        send = row.form_submit_button("Send")
        cancel = row.form_submit_button("Cancel")
    if send:
        try:
            attachments = [turn.attachments[place] for place in files]
            if last:
                talk.ask(ensemble, query, settings, attachments, replacing=True)
            else:
                conversations.show(talk.branch(ensemble, number, query, settings, attachments))
        except ZooterError as problem:
            show_error(problem)
            return
    if send or cancel:
        set_editing(None)
        st.rerun()


EVERY = 0.3  # seconds between two drawings of an answer that grows
EMBEDDED = "Four 135M-parameter specialists on your processor. Watch the routing; don't trust the answers."


def draw_welcome() -> DeltaGenerator:
    """What the page is for, and what a report says the router is worth; returns the place for a line on the router,
    which may still be loading."""
    with st.container(key="welcome"):
        st.title("Ask once. The right model answers.", anchor=False)
        st.markdown(
            "A small router reads your query and predicts which model would answer it best. Only that model runs."
        )
        with suppress(ZooterError):  # the page says what is wrong with the fleet
            if verdict := verdicts.of_fleet(load_fleet(resources.folder())):
                st.caption(plain(verdicts.headline(verdict)))
        return st.container()


def draw_starting(ensemble: Ensemble, place: DeltaGenerator) -> None:
    """Say so if the fleet's router is a starting one."""
    if ensemble.router.note:
        with place.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            st.caption(
                "For now, a starting router chooses. An exam trains one on your models' answers:", width="content"
            )
            links.page_button("Models", "models", "arrow_forward", "tertiary")


def draw_footnote() -> None:
    if Path(resources.folder()).resolve() == EMBEDDED_FLEET.resolve():
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


def draw_turn(ensemble: Ensemble, talk: Conversation, number: int, settings: Settings, live: bool) -> None:
    """A query and its answer, with what can be done next; `live`: the answer is drawn while it grows."""
    turn = talk.turns[number]
    answer_view.draw_query(turn.query)
    composer.draw_files(turn.attachments, f"{talk.id}-{number}")
    with st.chat_message("assistant", avatar=charts.avatar(ensemble.fleet.pool, turn.candidate)):
        explained = routing(talk, number)
        if live and isinstance(turn.job, Job):
            _draw_live(turn, turn.job)
        else:
            draw_answer(talk, number)
            if st.session_state.get("editing") == _turn_id(talk, number):
                edit_form(ensemble, talk, number, settings)
            else:
                draw(ensemble, talk, number)
        if explained:  # below the answer, which stays where it is
            why.panel(ensemble, turn, f"{talk.id}-{number}")


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
    if turn.job.ranked:
        with st.expander(f"Best of {_scored(turn)} by reward", icon=":material/leaderboard:"):
            for item in turn.job.ranked:
                reward = "no reward" if item.reward is None else f"reward {item.reward:.2f}"
                st.markdown(f"**{plain(item.response.candidate)}** · {reward}")
                answer_view.draw_answer(turn.job, item.response.candidate)


def _draw_text(turn: Turn) -> None:
    """Who could not answer, and the answer so far."""
    job = turn.job
    if note := answer_view.fallback_note(job, "**"):
        st.warning(safe(note), icon=":material/swap_horiz:")
    if answer_view.draw_waiting(job):
        return
    name = turn.candidate
    readings = job.readings.get(name, ())
    if note := composer.cut_note(name, readings):
        st.caption(f":material/content_cut: {note}")
    if job.running and not job.texts[name] and (tokens := sum(reading.read for reading in readings)):
        st.caption(f"Reading about {composer.rounded(tokens)} tokens of attached files first ...")
    answer_view.draw_answer(job, name)
    if job.running and len(job.candidates) > 1:
        st.caption(f"{len(job.responses)} of {len(job.candidates)} models have answered; the best answer stays.")


def _scored(turn: Turn) -> int:
    return sum(item.rank is not None for item in turn.job.ranked or [])


def routing(talk: Conversation, number: int) -> bool:
    """The router's decision as a strip, and who answers if not its choice; True if a visitor wants the reasons."""
    turn = talk.turns[number]
    key = f"{talk.id}-{number}"
    opened = answer_view.draw(turn.decision.probabilities, answer_view.shown_tags(turn.decision.tags), key, why=True)
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
