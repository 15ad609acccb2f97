"""The Lab's first part: one query's plain label, tag prior and enhanced label."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import streamlit as st

from zooter_core.method.labels import Labels, entropy
from zooter_core.ui.charts import PLAIN
from zooter_core.ui.lab import charts
from zooter_core.ui.lab.code import TrainingData
from zooter_core.ui.lab.settings import labels_of
from zooter_core.ui.lab.state import Lab, once
from zooter_core.ui.text import plain, safe

CLEAR, MIXED = 0.35, 0.75  # reward entropy below which the rewards are clear, or mixed
LISTED = 200  # queries
LONG = 2_000  # characters
ORDERS = {
    "file": "all, in the file's order",
    "changed": "only those where tags change the winner",
    "unclear": "all, the least clear first",
    "clear": "all, the clearest first",
}


def draw(lab: Lab, data: TrainingData) -> None:
    """Pick a query; see its three labels as bars, as numbers and in words."""
    labels = labels_of(lab, data)
    row = _pick(data, labels)
    if row is None:
        return
    query, pool = data.scores.queries[row], data.scores.candidates
    with st.chat_message("user", avatar=":material/person:"):
        st.markdown(safe(query.text[:LONG] + (" ..." if len(query.text) > LONG else "")))
    counts = once(_tag_counts(), data.key, lambda: Counter(t for tags in data.tags for t in dict.fromkeys(tags)))
    tags = list(dict.fromkeys(data.tags[row]))
    if tags:
        st.caption("Tags: " + plain(", ".join(f"{tag} ({counts[tag]:,} queries)" for tag in tags)))
    else:
        st.caption("This query has no tags, so its enhanced label is its plain label.")
    shares = {
        "plain label": labels.plain[row],
        "tag prior": labels.prior[row],
        "enhanced label": labels.enhanced[row],
    }
    st.plotly_chart(charts.labels(pool, shares), key="lab-bars", config=PLAIN)
    if len(pool) > charts.MOST:
        st.caption(f"The chart shows {charts.MOST} of {len(pool)} models, those with the largest shares.")
    st.markdown(verdict(pool, shares, data.config.beta, bool(tags)))
    _table(data, labels, row)


def _tag_counts() -> dict[Any, Any]:
    memory: dict[Any, Any] = st.session_state.setdefault("lab-tag-counts", {})
    return memory


def _pick(data: TrainingData, labels: Labels) -> int | None:
    """The number of the query that the visitor picks; None if none matches."""
    left, right = st.columns(2)
    order = left.selectbox(
        "Queries", list(ORDERS), format_func=ORDERS.__getitem__, key="lab-order", persist_state="session"
    )  # fmt: skip
    words = right.text_input("Containing", key="lab-sought", persist_state="session", placeholder="any words")
    rows = order_of(labels, order)
    matches = [row for row in rows if words.lower().strip() in data.scores.queries[row].text.lower()]
    count = len(data.tags)
    st.caption(
        f"Tags change the winner in {len(labels.changed):,} of {count:,} queries ({len(labels.changed) / count:.0%}): "
        "the enhanced label favours another model than the plain label."
    )
    if not matches:
        st.info("No query matches. Choose another list, or other words.", icon=":material/search_off:")
        return None
    row: int = st.selectbox(
        f"Query ({min(len(matches), LISTED):,} of {count:,} listed)",
        matches[:LISTED],
        format_func=lambda row: data.scores.queries[row].text[:100].replace("\n", " "),
        key="lab-query",
        persist_state="session",
    )
    return row


def order_of(labels: Labels, order: str) -> list[int]:
    """The numbers of the queries in one of ORDERS."""
    rows = np.arange(len(labels.plain))
    if order == "changed":
        rows = labels.changed
    elif order != "file":
        unclear = entropy(labels.plain)
        rows = np.argsort(unclear if order == "clear" else -unclear, kind="stable")
    numbers: list[int] = rows.tolist()
    return numbers


def verdict(pool: tuple[str, ...], shares: dict[str, Any], beta: float, tagged: bool) -> str:
    """How clear the rewards are, the winner of each label, and the effect of the tags, as Markdown."""
    winner = {name: plain(pool[int(row.argmax())]) for name, row in shares.items()}
    share = {name: f"{float(row.max()):.0%}" for name, row in shares.items()}
    entropy_value = float(entropy(shares["plain label"]))
    clarity = (
        "are clear" if entropy_value < CLEAR else "are mixed" if entropy_value < MIXED else "hardly separate the models"
    )
    parts = [
        f"The rewards {clarity}: reward entropy {entropy_value:.2f}, where 0 is one clear winner and 1 no difference.",
        f"The plain label favours **{winner['plain label']}** ({share['plain label']}).",
    ]
    if tagged:
        parts.append(f"Queries with the same tags favour **{winner['tag prior']}** ({share['tag prior']}).")
        verb = "still favours" if winner["enhanced label"] == winner["plain label"] else "favours"
        parts.append(
            f"At beta {beta:g} the enhanced label, which the router is trained on, {verb} "
            f"**{winner['enhanced label']}** ({share['enhanced label']})."
        )
    return " ".join(parts)


def _table(data: TrainingData, labels: Labels, row: int) -> None:
    columns: dict[str, Any] = {"model": list(data.scores.candidates), "score": data.scores.scores[row]}
    if data.config.normalise != "none":
        columns["scaled"] = labels.rewards[row]
    shares = {"plain": labels.plain, "prior": labels.prior, "enhanced": labels.enhanced}
    columns |= {name: table[row] for name, table in shares.items()}
    number = st.column_config.NumberColumn
    st.dataframe(
        columns,
        hide_index=True,
        column_config={
            "model": st.column_config.TextColumn(pinned=True),
            "score": number(format="%.3f", help="The score in the file"),
            "scaled": number(format="%.3f", help="The score after scaling, before the softmax"),
            "plain": number(format="percent", help="Plain label: the softmax of the scores at this tau"),
            "prior": number(format="percent", help="Tag prior: the mean plain label of the queries with the same tags"),
            "enhanced": number(format="percent", help="beta times the plain label, plus 1 - beta times the tag prior"),
        },
    )
