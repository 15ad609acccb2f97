"""The Lab's first part: what one query teaches, as plain label, tag prior and enhanced label."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import streamlit as st

from zooter_core.method.labels import Labels, entropy
from zooter_core.ui.lab import charts
from zooter_core.ui.lab.code import Subject
from zooter_core.ui.lab.settings import steps_of
from zooter_core.ui.lab.state import Lab, once
from zooter_core.ui.text import plain, safe

CLEAR, MIXED = 0.35, 0.75  # reward entropy below which the rewards speak clearly, or at least with some weight
LISTED = 200
LONG = 2_000
ORDERS = {
    "file": "in the file's order",
    "changed": "where the tags change the winner",
    "unclear": "the least clear first",
    "clear": "the clearest first",
}


def draw(lab: Lab, subject: Subject) -> None:
    """Pick a query; see its three labels as bars, as numbers and in words."""
    steps = steps_of(lab, subject)
    row = _pick(subject, steps)
    if row is None:
        return
    query, pool = subject.scores.queries[row], subject.scores.candidates
    with st.chat_message("user", avatar=":material/person:"):
        st.markdown(safe(query.text[:LONG] + (" ..." if len(query.text) > LONG else "")))
    counts = once(_tag_counts(), subject.key, lambda: Counter(t for tags in subject.tags for t in dict.fromkeys(tags)))
    tags = list(dict.fromkeys(subject.tags[row]))
    if tags:
        st.caption("Tags: " + plain(", ".join(f"{tag} ({counts[tag]:,} queries)" for tag in tags)))
    else:
        st.caption("This query has no tags, so its enhanced label is its plain label.")
    rows = {
        "plain label": steps.plain[row],
        "tag prior": steps.prior[row],
        "enhanced label": steps.enhanced[row],
    }
    st.plotly_chart(charts.labels(pool, rows), key="lab-bars", config={"displayModeBar": False})
    if len(pool) > charts.MOST:
        st.caption(f"The chart shows {charts.MOST} of {len(pool)} models, those with the largest shares.")
    st.markdown(verdict(pool, rows, subject.config.beta, bool(tags)))
    _table(subject, steps, row)


def _tag_counts() -> dict[Any, Any]:
    memory: dict[Any, Any] = st.session_state.setdefault("lab-tag-counts", {})
    return memory


def _pick(subject: Subject, steps: Labels) -> int | None:
    """The number of the query that a visitor picks."""
    left, right = st.columns(2)
    changed = steps.changed
    order = left.selectbox(
        "Queries", list(ORDERS), format_func=ORDERS.__getitem__, key="lab-order", persist_state="session"
    )  # fmt: skip
    sought = right.text_input("with the words", key="lab-sought", persist_state="session", placeholder="any")
    rows = order_of(steps, order)
    found = [row for row in rows if sought.lower().strip() in subject.scores.queries[row].text.lower()]
    count = len(subject.tags)
    st.caption(
        f"The tags change the winner in {len(changed):,} of {count:,} queries ({len(changed) / count:.0%}), from one "
        "model in the plain label to another in the enhanced one."
    )
    if not found:
        st.info("No query is like this. Choose another order, or other words.", icon=":material/search_off:")
        return None
    row: int = st.selectbox(
        f"Query ({min(len(found), LISTED):,} of {count:,} listed)",
        found[:LISTED],
        format_func=lambda row: subject.scores.queries[row].text[:100].replace("\n", " "),
        key="lab-query",
        persist_state="session",
    )
    return row


def order_of(steps: Labels, order: str) -> list[int]:
    """The numbers of the queries in one of ORDERS."""
    rows = np.arange(len(steps.plain))
    if order == "changed":
        rows = steps.changed
    elif order != "file":
        unclear = entropy(steps.plain)
        rows = np.argsort(unclear if order == "clear" else -unclear, kind="stable")
    numbers: list[int] = rows.tolist()
    return numbers


def verdict(pool: tuple[str, ...], rows: dict[str, Any], beta: float, tagged: bool) -> str:
    """How clear the rewards are, who leads in each label, and what the tags did, as Markdown."""
    lead = {name: plain(pool[int(row.argmax())]) for name, row in rows.items()}
    unclear = float(entropy(rows["plain label"]))
    words = "clear" if unclear < CLEAR else "mixed" if unclear < MIXED else "hardly tell the models apart"
    said = f"The rewards {'are ' if words != 'hardly tell the models apart' else ''}{words}"
    parts = [f"{said}: reward entropy {unclear:.2f}, where 0 is one sure winner and 1 is no difference at all."]
    share = {name: float(row.max()) for name, row in rows.items()}
    parts.append(f"By its own label **{lead['plain label']}** is best ({share['plain label']:.0%}).")
    if tagged:
        parts.append(f"Queries with its tags go to **{lead['tag prior']}** ({share['tag prior']:.0%}).")
        verb = "stays with" if lead["enhanced label"] == lead["plain label"] else "turns to"
        parts.append(
            f"At beta {beta:g} the enhanced label, which the router learns, {verb} **{lead['enhanced label']}** "
            f"({share['enhanced label']:.0%})."
        )
    return " ".join(parts)


def _table(subject: Subject, steps: Labels, row: int) -> None:
    columns: dict[str, Any] = {"model": list(subject.scores.candidates), "score": subject.scores.scores[row]}
    if subject.config.normalise != "none":
        columns["scaled"] = steps.rewards[row]
    shares = {"plain": steps.plain, "prior": steps.prior, "enhanced": steps.enhanced}
    columns |= {name: table[row] for name, table in shares.items()}
    share = st.column_config.NumberColumn
    st.dataframe(
        columns,
        hide_index=True,
        column_config={
            "model": st.column_config.TextColumn(pinned=True),
            "score": share(format="%.3f", help="The number in the scores themselves"),
            "scaled": share(format="%.3f", help="The score on the scale that was chosen, before the softmax"),
            "plain": share(format="percent", help="Plain label: the softmax of the scores at the tau that was chosen"),
            "prior": share(format="percent", help="Tag prior: the mean plain label of the queries with its tags"),
            "enhanced": share(format="percent", help="beta of the plain label and the rest of the tag prior"),
        },
    )
