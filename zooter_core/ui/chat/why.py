"""Why the router chose a model: words, tags and similar queries, and what the choice saves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from zooter_core.method.labels import entropy
from zooter_core.records import Decision
from zooter_core.ui import charts
from zooter_core.ui.chat.turns import Turn
from zooter_core.ui.text import plain

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble
    from zooter_core.router.explain import Explanation
    from zooter_core.router.neighbours import Neighbour


def panel(engine: Ensemble, turn: Turn, key: str) -> None:
    """All reasons for a turn's decision, computed once."""
    if turn.why is None:
        turn.why = engine.explain(turn.decision)
    pool, name = list(turn.decision.probabilities), plain(turn.decision.candidate)
    st.markdown(f"**What each part of the query adds to {name}**")
    st.plotly_chart(charts.contributions(turn.why, pool), key=f"parts-{key}", config=charts.PLAIN)
    st.caption(f"How many percentage points {name}'s probability falls when the part is left out.")
    _tags(turn.why)
    _neighbours(turn.why.neighbours, pool)
    st.caption(entropy_text(turn.decision))
    st.caption(saving_text(engine, turn))


def _tags(explanation: Explanation) -> None:
    if not explanation.tags:
        return
    st.markdown("**What its tags suggest**")
    lines = [
        f"- **{plain(tag.name)}**: in the {tag.queries} training {'query' if tag.queries == 1 else 'queries'} with "
        f"this tag, {plain(explanation.candidate)} did {abs(tag.contribution) * 100:.0f} points "
        f"{'better' if tag.contribution >= 0 else 'worse'} than overall"
        for tag in explanation.tags
    ]
    st.markdown("\n".join(lines))


def _neighbours(neighbours: Sequence[Neighbour], pool: Sequence[str]) -> None:
    st.markdown("**The most similar training queries**")
    if not neighbours:
        st.caption("This router was saved without its training queries.")
        return
    with_rewards = all(item.rewards is not None for item in neighbours)  # older folders hold labels alone
    rows: list[dict[str, Any]] = []
    for item in neighbours:
        text = item.text or f"(from {item.dataset or 'another data set'}; text not included)"
        values = item.rewards if with_rewards and item.rewards else {name: 100 * item.label[name] for name in pool}
        rows.append({"similarity": item.similarity, **{name: values.get(name) for name in pool}, "query": text})
    number_format, meaning = (
        ("%.2f", "Mean reward of {}'s responses to that query; higher is better")
        if with_rewards
        else ("%.0f %%", "{}'s share of that query's label: how well its responses did")
    )
    columns: dict[str, Any] = {
        "similarity": st.column_config.NumberColumn(
            "Similarity", format="%.2f", help="Cosine similarity of the two queries, at most 1"
        ),
        "query": st.column_config.TextColumn("Query", width="large"),
    }
    for name in pool:
        columns[name] = st.column_config.NumberColumn(name, format=number_format, help=meaning.format(plain(name)))
    st.dataframe(rows, column_config=columns, hide_index=True, width="stretch")


def entropy_text(decision: Decision) -> str:
    """The entropy of the probabilities, in words."""
    value = float(entropy(np.array(list(decision.probabilities.values()))))
    return (
        f"Entropy {value:.2f}, on a scale from 0 (one model for certain) to 1 (all equally likely): "
        f"the router is {decision.certainty}."
    )


def saving_text(engine: Ensemble, turn: Turn) -> str:
    """What the choice cost compared with running all models: in models, tokens and, where prices are known, dollars."""
    ran = sum(not turn.job.failed_to_start(name) for name in turn.job.candidates)
    pool = len(engine.fleet.pool)
    tokens = sum(response.tokens for response in turn.job.responses.values())
    text = f"{ran} of {pool} models ran" + (f" and wrote {tokens} tokens" if tokens else "")
    if ran < pool and tokens:
        text += f"; all {pool} would write about {round(tokens * pool / ran)}, if their answers were as long"
    prices = {c.name: c.usd_per_million_tokens for c in engine.fleet.candidates}
    if tokens and all(prices.get(name) is not None for name in engine.fleet.pool):
        paid = sum((prices[n] or 0) * r.tokens / 1e6 for n, r in turn.job.responses.items())
        total = sum(price or 0 for price in prices.values()) * tokens / ran / 1e6
        text += f": ${paid:.6f} instead of about ${total:.6f}".replace("$", r"\$")
    return text + "."
