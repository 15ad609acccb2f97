"""How pages draw a query, its routing and a candidate's answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from zooter_core.base.records import LEANING, SURE, Response, Tag
from zooter_core.fleet import attempts
from zooter_core.ui import charts
from zooter_core.ui.charts import badge
from zooter_core.ui.jobs import Answers
from zooter_core.ui.markdown import safe
from zooter_core.ui.text import plain
from zooter_core.ui.widgets import show_error

LEAST_SHOWN = 0.5  # the score of a tag, for all taggers


def draw(
    probabilities: Mapping[str, float], tags: Sequence[str], key: str, pool: Sequence[str] = (), why: bool = False
) -> bool:
    """Draw how a query was routed, as one row; True if a visitor has opened the reasons.

    Args:
        probabilities: candidate -> probability.
        pool: the fleet's candidates, if only some compete.
        why: whether there are reasons to open.
    """
    pool, order = pool or list(probabilities), charts.by_share(probabilities)
    best, highest = order[0]
    alt = "Routing: " + ", ".join(f"{name} {p:.0%}" for name, p in order)
    opened = f"why-{key}"
    with st.container(horizontal=True, key=f"strip-{key}", vertical_alignment="center", gap="small", wrap=False):
        st.markdown(badge(pool, best, f"{highest:.0%}"), width="content")
        st.image(charts.stacked(probabilities, pool), width="stretch", alt=alt)
        if tags:
            st.markdown(f":gray-badge[{plain(tags[0])}]", width="content")
        if why:
            is_open = bool(st.session_state.get(opened))
            icon = ":material/expand_less:" if is_open else ":material/expand_more:"
            st.button(
                "Why", key=f"toggle-{opened}", type="tertiary", icon=icon, icon_position="right",
                on_click=st.session_state.update, args=({opened: not is_open},),
            )  # fmt: skip
    return bool(st.session_state.get(opened))


def shown_tags(tags: Sequence[Tag]) -> list[str]:
    """The tags that are worth showing: a doubtful one confuses more than none (benchmarks/first_clicks.py)."""
    return [tag.name for tag in tags if tag.score >= LEAST_SHOWN]


def bar(key: str, text: str, width: int, share: float, fill: str, alt: str) -> None:
    """A text in Markdown, of a width in pixels, and beside it a track of which a colour fills a share."""
    with st.container(horizontal=True, key=f"bar-{key}", vertical_alignment="center", wrap=False):
        st.markdown(text, width=width)
        st.image(charts.filled(share, fill), width="stretch", alt=alt)


FOLDED = 700  # characters of a query from which the rest is folded
ENDINGS = {
    "length": ":orange-badge[cut off at the token limit]",
    "stopped": ":gray-badge[stopped]",
    "repeated": ":orange-badge[stopped: it repeated itself]",
}
CERTAINTY = {
    "sure": f"**sure**: such a choice is the best at least {SURE:.0%} of the time",
    "leaning": f"**leaning**: such a choice is the best {LEANING:.0%} to {SURE:.0%} of the time",
    "undecided": f"**undecided**: such a choice is the best less than {LEANING:.0%} of the time",
}


def draw_query(query: str) -> None:
    with st.chat_message("user", avatar=":material/person:"):
        if len(query) <= FOLDED:
            st.markdown(safe(query))
            return
        st.markdown(safe(query[: FOLDED // 2].rstrip() + " …"))
        with st.expander(f"All {len(query):,} characters"):
            st.markdown(safe(query))


def fallback_note(job: Answers, around: str = "") -> str:
    """Says which candidates failed, and who answers for them if all others did; empty if none failed, or all."""
    failed = [response for response in job.failed if response.candidate != job.shown]
    alone = len(failed) == len(job.candidates) - 1
    return "" if job.all_failed else attempts.note(failed, job.shown if alone else None, around)


def problem_of(job: Answers, name: str) -> str | None:
    """Why a candidate has no complete answer; if all failed, the reason of each. None while the job runs."""
    if job.running:
        return None
    if job.all_failed and len(job.candidates) > 1:
        return str(attempts.all_failed(job.failed))
    response = job.responses.get(name)
    return job.problem or (str(response.error) if response and response.error else None)


def draw_answer(job: Answers, name: str) -> None:
    """A candidate's answer so far, with its facts once it has ended, or its error."""
    response = job.responses.get(name)
    draw_text(job, name)
    if job.broke_off(name) and not job.problem and (job.texts[name] or not response):
        st.markdown(":orange-badge[incomplete] The answer broke off.")
    if problem := problem_of(job, name):
        show_error(problem)
    if response and not response.error:
        draw_ending(response)


def draw_text(job: Answers, name: str) -> None:
    """A candidate's text so far, or that there is none."""
    response = job.responses.get(name)
    text = safe(response.text if response else job.texts[name])  # also the text before an error
    if text.strip():
        st.markdown(text)
    elif job.running and not response:
        st.markdown("*thinking ...*")
        if name in job.notes:
            st.caption(safe(job.notes[name]))
    elif response and response.finish == "stopped":
        st.caption("Stopped before the first word.")
    elif response and not response.error:
        st.caption("The answer is empty.")


def draw_ending(response: Response) -> None:
    """Why a response ended early, if it did. Not in a caption: a badge would be too pale there."""
    if response.finish in ENDINGS:
        st.markdown(ENDINGS[response.finish])


def facts(response: Response | None, alone: bool = True) -> str:
    """How long a response took, as one line of Markdown; empty before its end and if it failed.

    Args:
        alone: whether no other model answered at the same time. Models of one machine take turns, token by token, so
            that the first word and the speed of one of several say how long it waited, not how fast it writes.
    """
    if response is None or response.error or response.first_token_seconds is None or not response.tokens:
        return ""
    parts = [f"first word {response.first_token_seconds:.1f} s"] if alone else []
    if alone and (response.tokens_per_second or 0) >= 1:
        parts.append(f"{response.tokens_per_second:.0f} tokens/s")
    tokens = "1 token" if response.tokens == 1 else f"{response.tokens} tokens"
    beside = "" if alone else ", beside the others"
    return " · ".join([*parts, f"{tokens} in {response.seconds:.1f} s{beside}"])


def draw_waiting(job: Answers) -> bool:
    """Say how many queries are served before this one; False if none is."""
    if not job.running or not job.ahead:
        return False
    queries = f"{job.ahead} other queries are" if job.ahead > 1 else "another query is"
    st.caption(f":material/hourglass: Waiting: {queries} answered first.")
    return True
