"""Why the router chose as it did: the query's words, its tags, the queries most like it, and what the choice saves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from zooter_core.records import Decision
from zooter_core.ui import charts
from zooter_core.ui.chat.conversation import Turn
from zooter_core.ui.text import plain

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble
    from zooter_core.router.explain import Explanation
    from zooter_core.router.neighbours import Neighbour


def panel(engine: Ensemble, turn: Turn, key: str) -> None:
    """All reasons for one turn's decision; they are worked out once."""
    if turn.why is None:
        turn.why = engine.explain(turn.decision)
    found, name = turn.why, plain(turn.decision.candidate)
    st.markdown(f"**What each part of the query adds to {name}**")
    st.plotly_chart(
        charts.contributions(found, list(turn.decision.probabilities)), key=f"parts-{key}", config=charts.PLAIN
    )
    st.caption(f"Percentage points of {name}'s probability that go when the part is left out.")
    _tags(found)
    _neighbours(found.neighbours, list(turn.decision.probabilities))
    st.caption(spread(turn.decision))
    st.caption(saving(engine, turn))


def _tags(found: Explanation) -> None:
    if not found.tags:
        return
    st.markdown("**What its tags say**")
    lines = [
        f"- **{plain(tag.name)}**: in {tag.queries} training {'query' if tag.queries == 1 else 'queries'} like this, "
        f"{plain(found.candidate)} did {abs(tag.contribution) * 100:.0f} points "
        f"{'better' if tag.contribution >= 0 else 'worse'} than over all"
        for tag in found.tags
    ]
    st.markdown("\n".join(lines))


def _neighbours(near: Sequence[Neighbour], pool: Sequence[str]) -> None:
    st.markdown("**The training queries most like it**")
    if not near:
        st.caption("This router's folder keeps none of the queries that it learned from.")
        return
    earned = all(item.rewards is not None for item in near)  # folders of an older version keep labels alone
    rows: list[dict[str, Any]] = []
    for item in near:
        shown = item.text or f"(from {item.dataset or 'elsewhere'}; its text may not be passed on)"
        values = item.rewards if earned and item.rewards else {name: 100 * item.label[name] for name in pool}
        rows.append({"likeness": item.similarity, **{name: values[name] for name in pool}, "query": shown})
    form, meaning = (
        ("%.2f", "the mean reward of {}'s responses to that query; higher is better")
        if earned
        else ("%.0f %%", "{}'s share of that query's label: how well its responses did there")
    )
    columns: dict[str, Any] = {
        "likeness": st.column_config.NumberColumn("Likeness", format="%.2f", help="Cosine of the two queries, up to 1"),
        "query": st.column_config.TextColumn("Query", width="large"),
    }
    for name in pool:
        columns[name] = st.column_config.NumberColumn(name, format=form, help=meaning.format(plain(name)))
    st.dataframe(rows, column_config=columns, hide_index=True, width="stretch")


def spread(decision: Decision) -> str:
    """The entropy of the distribution, in words."""
    shares = [p for p in decision.probabilities.values() if p > 0]
    most = math.log(len(decision.probabilities)) if len(decision.probabilities) > 1 else 1.0
    entropy = -sum(p * math.log(p) for p in shares) / most
    said = f"Entropy {entropy:.2f} on a scale from 0 (one model alone) to 1 (all alike)"
    return f"{said}: the router is {decision.certainty}."


def saving(engine: Ensemble, turn: Turn) -> str:
    """What this choice cost against running all, in models and tokens, and in dollars where prices are known."""
    ran = sum(not turn.job.failed_to_start(name) for name in turn.job.candidates)
    pool = len(engine.fleet.pool)
    tokens = sum(response.tokens for response in turn.job.responses.values())
    said = f"{ran} of {pool} models ran" + (f" and wrote {tokens} tokens" if tokens else "")
    if ran < pool and tokens:
        said += f"; all {pool} would have written about {round(tokens * pool / ran)}, had they answered at like length"
    prices = {c.name: c.usd_per_million_tokens for c in engine.fleet.candidates}
    if tokens and all(prices.get(name) is not None for name in engine.fleet.pool):
        paid = sum((prices[n] or 0) * r.tokens / 1e6 for n, r in turn.job.responses.items())
        total = sum(price or 0 for price in prices.values()) * tokens / ran / 1e6
        said += f": ${paid:.6f} in place of about ${total:.6f}".replace("$", r"\$")
    return said + "."
