"""How a routed query and its answer are drawn, on any page."""

from __future__ import annotations

import streamlit as st

from zooter_core.records import LEANING, SURE, Decision, Response
from zooter_core.ui import charts
from zooter_core.ui.jobs import Job
from zooter_core.ui.text import safe

ENDINGS = {
    "length": ":orange-badge[cut off at the token limit]",
    "stopped": ":gray-badge[stopped]",
}
CERTAINTY = {
    "sure": f"**sure**: a choice like this is the best at least {SURE:.0%} of the time",
    "leaning": f"**leaning**: a choice like this is the best {LEANING:.0%} to {SURE:.0%} of the time",
    "undecided": f"**undecided**: a choice like this is the best less than {LEANING:.0%} of the time",
}


def routing(decision: Decision, candidate: str, key: str, *, alone: bool = True) -> None:
    """Probabilities, tags and who answers; or, where not `alone`, who would."""
    st.plotly_chart(charts.probabilities(decision), key=f"{key}-bars", config={"displayModeBar": False})
    order = sorted(decision.probabilities.items(), key=lambda item: -item[1])
    spoken = ", ".join(f"{name} {p:.0%}" for name, p in order)
    if candidate == decision.candidate:
        verb = "answers" if alone else "would answer"
        who = f"**{candidate}** {verb}, {decision.margin * 100:.0f} points ahead of the next"
    else:
        who = f"**{candidate}** answers because you chose it; the router chose **{decision.candidate}**"
    st.markdown(f"{charts.tag_badges(decision.tags)}  \n{who}.")
    st.caption(f"Probability of giving the best answer: {spoken}.")
    st.caption(f"The router is {CERTAINTY[decision.certainty]}.")


def answer(job: Job, name: str) -> None:
    """What a candidate has said so far, or its error."""
    response = job.responses.get(name)
    text = response.text if response else job.texts[name]
    if job.problem or (response and response.error):
        st.error(job.problem or (response.error if response else ""), icon=":material/error:")
    elif text:
        st.markdown(safe(text))
    elif job.running:
        st.markdown("*thinking ...*")
    else:
        st.caption("The answer is empty.")
    if response and not response.error:
        st.caption(facts(response))


def facts(response: Response) -> str:
    """Who, how fast and how long, in a line."""
    parts = [response.candidate]
    if response.first_token_seconds is not None:
        parts.append(f"first token {response.first_token_seconds:.2f} s")
    if response.tokens_per_second is not None:
        parts.append(f"{response.tokens_per_second:.0f} tokens/s")
    parts.append(f"{response.tokens} tokens in {response.seconds:.1f} s")
    return " · ".join(parts) + ("  " + ENDINGS[response.finish] if response.finish in ENDINGS else "")
