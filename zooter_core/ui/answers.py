"""How a routed query and its answer are drawn, on any page."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from zooter_core.backends import fallback
from zooter_core.records import LEANING, SURE, Decision, Response
from zooter_core.ui import charts, problems
from zooter_core.ui.jobs import Answers
from zooter_core.ui.text import plain, safe

ENDINGS = {
    "length": ":orange-badge[cut off at the token limit]",
    "stopped": ":gray-badge[stopped]",
}
CERTAINTY = {
    "sure": f"**sure**: a choice like this is the best at least {SURE:.0%} of the time",
    "leaning": f"**leaning**: a choice like this is the best {LEANING:.0%} to {SURE:.0%} of the time",
    "undecided": f"**undecided**: a choice like this is the best less than {LEANING:.0%} of the time",
}


def routing(decision: Decision, who: str, key: str, pool: Sequence[str] | None = None) -> None:
    """Probabilities, tags and in words who answers. `pool`: as in `charts.probabilities`."""
    st.plotly_chart(charts.probabilities(decision, pool), key=f"{key}-bars", config={"displayModeBar": False})
    order = sorted(decision.probabilities.items(), key=lambda item: -item[1])
    spoken = ", ".join(f"{plain(name)} {p:.0%}" for name, p in order)
    st.markdown(f"{charts.tag_badges(decision.tags)}  \n{who}.")
    st.caption(f"Probability of giving the best answer: {spoken}.")
    st.caption(f"The router is {CERTAINTY[decision.certainty]}.")


def lead(decision: Decision, verb: str) -> str:
    """That the router's choice answers, or would, and by how much it leads, as Markdown."""
    return f"**{plain(decision.candidate)}** {verb}, {decision.margin * 100:.0f} points ahead of the next"


def passed_over(job: Answers) -> None:
    """Who could not answer and who does instead, in a box that nobody takes for an answer."""
    if said := note(job, "**"):
        st.warning(safe(said), icon=":material/swap_horiz:")


def note(job: Answers, around: str = "") -> str:
    """Who failed beside the candidate whose answer is shown, and whether that one stands in for all of them."""
    failed = [response for response in job.failed if response.candidate != job.shown]
    alone = len(failed) == len(job.candidates) - 1
    return "" if job.nobody else fallback.note(failed, job.shown if alone else None, around)


def problem(job: Answers, name: str) -> str | None:
    """Why there is no answer of a candidate, or no whole one; where nobody could begin, why each could not.

    None while the job runs: somebody may take over yet.
    """
    if job.running:
        return None
    if job.nobody and len(job.candidates) > 1:
        return str(fallback.nobody(job.failed))
    response = job.responses.get(name)
    return job.problem or (str(response.error) if response and response.error else None)


def answer(job: Answers, name: str) -> None:
    """What a candidate has said so far, or its error."""
    response = job.responses.get(name)
    text = response.text if response else job.texts[name]
    if text:
        st.markdown(safe(text))  # what came before an error, too
    if job.broke_off(name) and not job.problem and (text or not response):
        st.markdown(":orange-badge[incomplete] It was broken off before its end.")
    if failed := problem(job, name):
        problems.tell(failed)
    elif job.running and not text:
        st.markdown("*thinking ...*")
        if name in job.notes:
            st.caption(safe(job.notes[name]))
    elif not text and response:
        st.caption("The answer is empty.")
    if response and not response.error:
        st.caption(facts(response))
        ending(response)


def ending(response: Response) -> None:
    """Why it ended, where that is not by itself; outside of captions, which are too pale for a badge to be read."""
    if response.finish in ENDINGS:
        st.markdown(ENDINGS[response.finish])


def facts(response: Response) -> str:
    """Who, how fast and how long, in a line of Markdown."""
    parts = [plain(response.candidate)]
    if response.first_token_seconds is not None:
        parts.append(f"first token {response.first_token_seconds:.2f} s")
    if response.tokens_per_second is not None:
        parts.append(f"{response.tokens_per_second:.0f} tokens/s")
    parts.append(f"{response.tokens} tokens in {response.seconds:.1f} s")
    return " · ".join(parts)
