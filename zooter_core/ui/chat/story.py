"""A guided tour: one query from the router to the answers of all models, in steps that can be skipped."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui import answer_view, charts, resources
from zooter_core.ui.background import draw_live
from zooter_core.ui.chat.conversations import Conversation
from zooter_core.ui.compare import comparisons, view
from zooter_core.ui.compare.comparisons import Comparison
from zooter_core.ui.models.manage import is_users
from zooter_core.ui.widgets import EXAMPLES, draw_page_button, show_error

ROUTED, ANSWERED, COMPARED, REWARDED, WORTH = range(5)
NO_FIELD = "<style>.st-key-query, .st-key-waiting-files { display: none; }</style>"  # hidden, so that it keeps its text
STORY = "story"  # in a session's state


@dataclass
class Story:
    """A visitor's progress in the tour."""

    talk: str  # the id of the empty conversation in which the story began
    comparison: Comparison  # the answers of all models
    step: int = ROUTED


STEPS = (  # a heading and an explanation for newcomers
    (
        "A router reads the query",
        "The **router** is a small model on this machine. It predicts how likely each model is to give the best "
        "answer, which the bar shows. The grey word is a **tag**: what the query is about. This takes milliseconds and "
        "needs no answer of any model.",
    ),
    ("The winner answers", "Only the most probable model runs. This is all that a query in Chat costs: one call."),
    (
        "What the others would have said",
        "To check the choice, all models answer the same query here. This is what the router saves.",
    ),
    (
        "A reward model compares the answers",
        "A **reward model** reads every answer and gives it a number, the **reward**: higher is better. A router is "
        "trained to predict which model will earn the highest one, without running any.",
    ),
    ("Was it worth it?", "Now the same with models of your own: connect them, and an exam trains a router for them."),
)


def invite(ensemble: Ensemble, talk: Conversation, place: DeltaGenerator) -> None:
    """Draw the button that begins the story, on the empty page of a fleet that can rank answers."""
    if ensemble.can_rank and len(ensemble.fleet.pool) > 1:
        place.button("Show me how it works", icon=":material/play_circle:", key="primary-story", on_click=_begin,
                  args=(ensemble, talk))  # fmt: skip


def draw(talk: Conversation) -> str:
    """Draw the current step. Return its title, or "" if the conversation is not in the story."""
    story: Story | None = st.session_state.get(STORY)
    if story is None or story.talk != talk.id or talk.turns:
        return ""
    number = story.step
    (title, text), last = STEPS[number], number == WORTH
    connect = last and not is_users(resources.folder())
    with st.container(border=True, key="story-box"):
        st.html(NO_FIELD)
        st.caption(f"Step {number + 1} of {len(STEPS)}")
        st.markdown(f"## {title}")
        if not last:
            st.markdown(text)
        answer_view.draw_query(story.comparison.query)
        _draw_picture(story.comparison, number)
        if connect:
            st.markdown(text)
        with st.container(horizontal=True, vertical_alignment="center"):
            if number:
                st.button("Back", icon=":material/arrow_back:", on_click=_go_to, args=(story, number - 1))
            if connect:
                with st.container(key="primary-own", width="content"):
                    draw_page_button("Connect my models", "models", "add")
            if last:
                st.button("Ask something", icon=":material/edit:", on_click=_end)
            else:
                st.button("Next", key="primary-next", shortcut="Right", on_click=_go_to, args=(story, number + 1))
                st.button("Skip", type="tertiary", on_click=_end)
    return title


def _begin(ensemble: Ensemble, talk: Conversation) -> None:
    st.session_state[STORY] = Story(talk.id, comparisons.start(ensemble, EXAMPLES[0]))


def _go_to(story: Story, step: int) -> None:
    story.step = step


def _end() -> None:
    if story := st.session_state.pop(STORY, None):
        story.comparison.job.stop()


def _draw_picture(comparison: Comparison, number: int) -> None:
    """Draw a step's part of the comparison. All models start to answer at the first step."""
    decision, job = comparison.decision, comparison.job
    if number in (ROUTED, ANSWERED):
        charts.draw_strip(decision, "story", comparison.fleet.pool)
    if number == ROUTED:
        return
    if job.running:
        draw_live(job, partial(_draw_answers, comparison, number))
    elif job.problem and number in (REWARDED, WORTH):  # e.g. the judge failed
        show_error(job.problem)
    elif number == WORTH:
        st.markdown(comparisons.describe_agreement(decision, comparison.ranked()))
    elif number == REWARDED:
        view.draw_rewards(comparison)
    else:
        _draw_answers(comparison, number)


def _draw_answers(comparison: Comparison, number: int) -> None:
    """Draw the answer of the router's choice, or all answers."""
    if number == ANSWERED:
        answer_view.draw_answer(comparison.job, comparison.decision.candidate, comparison.id)
        return
    if comparison.job.running and number != COMPARED:
        st.caption("The models are still answering ...")
    view.draw_cards(comparison)
