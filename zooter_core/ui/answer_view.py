"""How pages draw a query and a candidate's answer."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from zooter_core.base.records import Response
from zooter_core.fleet import attempts
from zooter_core.ui.jobs import Answers
from zooter_core.ui.markdown import MOST, safe
from zooter_core.ui.text import JOINER, is_from_right, plain, visible
from zooter_core.ui.widgets import show_error

AT_ONCE = 0.001  # seconds; a shorter time is not shown
SLOWEST = 1.0  # tokens per second; a lower rate is not shown, as it is that of a single late token
FOLDED = 700  # characters; a longer query is folded
ENDINGS = {
    "length": ":orange-badge[cut off at the token limit]",
    "stopped": ":gray-badge[stopped]",
    "repeated": ":orange-badge[stopped: it repeated itself]",
}


def bubble() -> DeltaGenerator:
    """The container for a visitor's query."""
    return st.chat_message("user", avatar=":material/person:")


def draw_query(query: str) -> None:
    """Draw a query as it was typed, not as Markdown."""
    shown = JOINER * query[:1].isspace() + visible(query)  # Streamlit would strip leading white space
    with bubble():
        if len(query) <= FOLDED:
            st.text(shown)
            return
        st.text(shown[: FOLDED // 2].rstrip() + " …")
        with st.expander(f"All {len(query):,} characters"):
            st.text(shown)


def fallback_note(job: Answers) -> str:
    """A note on which candidates failed, and on the remaining one if it is alone; empty if none or all failed."""
    failed = [response for response in job.failed if response.candidate != job.shown]
    alone = len(failed) == len(job.candidates) - 1
    return "" if job.all_failed else attempts.note(failed, job.shown if alone else None)


def explain_failure(job: Answers, name: str) -> str | None:
    """Why a candidate has no complete answer; if all failed, the reason of each. None while the job runs."""
    if job.running:
        return None
    if job.all_failed and len(job.candidates) > 1:
        return str(attempts.all_failed(job.failed))
    response = job.answers[name].response
    common = job.problem if name == job.shown else None  # shown once, not below every answer
    return common or (str(response.error) if response and response.error else None)


def draw_answer(job: Answers, name: str, key: str) -> None:
    """Draw a candidate's answer so far, and how it ended or why it failed."""
    answer = job.answers[name]
    draw_text(job, name, key)
    if job.broke_off(name) and not job.problem and (answer.text or not answer.response):
        st.markdown(":orange-badge[incomplete] The answer broke off.")
    if problem := explain_failure(job, name):
        show_error(problem)
    if answer.response and not answer.response.error:
        draw_ending(answer.response)


def draw_text(job: Answers, name: str, key: str, blind: bool = False) -> None:
    """Draw a candidate's thoughts and text so far, or a note that there is none yet.

    Args:
        key: keeps the thoughts open or folded while they are streamed.
        blind: hide what could reveal the model: how long it thinks, and that it thinks, unless all models do.
    """
    answer = job.answers[name]
    response, thoughts = answer.response, answer.thoughts
    shows_thoughts = all(other.thoughts.text for other in job.answers.values()) if blind else bool(thoughts.text)
    thinks = job.running and not response and thoughts.ended is None
    if shows_thoughts:
        tokens = response.thought_tokens if response else 0
        _fold(_title(thinks, None if blind else thoughts.seconds, 0 if blind else tokens), thoughts.text, key)
    text = safe(answer.text)  # includes the text before an error
    if text.strip():
        with st.container(key=f"{'rtl' if is_from_right(text) else 'ltr'}-{key}"):
            st.markdown(text)
    elif shows_thoughts and thinks:
        with st.container(key=f"thinking-{key}"):  # the style sheet hides it while the thoughts are open
            st.caption(plain(_end(thoughts.text)))
    elif job.running and not response:
        st.markdown("*waiting for the first word ...*")
        if answer.note:
            st.caption(safe(answer.note))
    elif response and response.finish == "stopped":
        thought = response.thought_tokens and not blind
        st.caption(f"Stopped {'while it was thinking' if thought else 'before the first word'}.")
    elif response and not response.error:
        st.caption("The answer is empty.")


TAIL = 48  # characters of the latest thoughts that are shown; they fit on one line of a phone


def _end(thoughts: str) -> str:
    """The last words of thoughts, on one line."""
    words = " ".join(thoughts[-4 * TAIL :].split())
    return words if len(words) < TAIL else f"… {words[-TAIL:].partition(' ')[2] or words[-TAIL:]}"


def _title(thinks: bool, seconds: float | None, tokens: int) -> str:
    if thinks:
        return "Thinking ..." if seconds is None else f"Thinking ... {seconds:,.0f} s"
    if seconds and round(seconds):
        return f"Thought for {seconds:,.0f} s"
    return f"Thought for {counted(tokens)}" if tokens else "Thoughts"


def draw_thoughts(response: Response, key: str) -> None:
    """Draw the thoughts of a finished response, if it has any."""
    if response.thoughts:
        _fold(_title(False, None, response.thought_tokens), response.thoughts, key)


def _fold(title: str, thoughts: str, key: str) -> None:
    """Draw thoughts, folded until a visitor opens them. Only the end of very long thoughts is drawn."""
    with st.expander(title, key=f"thoughts-{key}", type="compact"):
        st.markdown(safe(thoughts if len(thoughts) <= MOST else f"… {thoughts[2 - MOST :]}"))


def draw_ending(response: Response) -> None:
    """Draw why a response ended early, if it did. Not in a caption, where a badge would be too pale."""
    if response.finish in ENDINGS and (response.text or response.finish != "stopped"):  # otherwise `draw_text` says so
        st.markdown(ENDINGS[response.finish])


def facts(response: Response | None, alone: bool = True) -> str:
    """How long a response took, as one line of Markdown; empty before its end and if it failed.

    Args:
        alone: whether no other model answered at the same time. Otherwise, models on one machine take turns, token by
            token, and the time to the first word and the speed would include waiting.
    """
    if response is None or response.error or not response.tokens:
        return ""
    parts = speeds(response) if alone else []
    tokens = counted(response.tokens, response.thought_tokens)
    comma, beside = "," * bool(response.thought_tokens), "" if alone else ", beside the others"
    took = f"{comma} in {_time(response.seconds)}" if response.seconds >= AT_ONCE else ""
    return " · ".join([*parts, f"{tokens}{took}{beside}"])


def speeds(response: Response, words: str = "first word") -> list[str]:
    """The time to a response's first token and its tokens per second, if they are known and meaningful.

    The calculator answers immediately, and a rate below SLOWEST is that of a single late token.
    """
    first, rate = response.first_token_seconds, response.tokens_per_second
    parts = []
    if first is not None and first >= AT_ONCE:
        parts.append(f"{words} {_time(first)}")
    if rate is not None and rate >= SLOWEST:
        parts.append(f"{rate:.0f} tokens/s")
    return parts


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 0.1 else f"{1000 * seconds:.0f} ms"


def counted(tokens: int, thoughts: int = 0) -> str:
    """A number of tokens, and how many of them are thoughts, if any."""
    count = f"{tokens:,} {'token' if tokens == 1 else 'tokens'}"
    return f"{count}, {'all' if thoughts == tokens else f'{thoughts:,}'} of them thoughts" if thoughts else count
