"""Step 2 of the Train page: how scores become labels, shown on one query."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from zooter_core.method.labels import LabelConfig, Labels, entropy
from zooter_core.ui import tables
from zooter_core.ui.answer_view import draw_query
from zooter_core.ui.colours import badge
from zooter_core.ui.lab import charts, settings, steps, sweep
from zooter_core.ui.lab.code import TrainingData
from zooter_core.ui.lab.settings import labels_of
from zooter_core.ui.lab.state import Lab, once
from zooter_core.ui.text import number, plain

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble

CLEAR, MIXED = 0.35, 0.75  # reward entropy below which the scores are clear, or mixed
LISTED = 200  # queries
FEW_TAGS = 3
ORDERS = {
    "file": "all, in the file's order",
    "changed": "only those where tags change the winner",
    "unclear": "all, the least clear first",
    "clear": "all, the clearest first",
}


def summary(lab: Lab) -> str:
    """The settings of this step in a few words."""
    if lab.data is None:
        return ""
    return f"beta {lab.data.config.beta:g}, {settings.TAGGERS[lab.data.tagger]}"


def draw(lab: Lab, engine: Ensemble) -> None:
    """One query's label, which follows beta; the rest of the settings, and a sweep, below."""
    part = lab.part
    assert part is not None  # step 1 comes first
    settings.use_defaults(lab, part.loaded)
    st.markdown(
        "The router learns one label per query: how likely each model is to answer it best. A label mixes the query's "
        "own scores with those of queries of the same kind. Move beta and watch."
    )
    picture = st.container()  # drawn last: it depends on what is below it
    with picture:
        beta = settings.beta_slider()
    with st.expander("Advanced", expanded=lab.sweep is not None, icon=":material/tune:"):
        config, tagger = settings.advanced(beta, engine)
        with picture:
            lab.data = settings.training_data(lab, part, config, tagger, engine)
        if lab.data is None:
            return
        labels = labels_of(lab, lab.data)
        row = _pick(lab.data, labels)
        if row is not None:
            _table(lab.data, labels, row)
        sweep.draw(lab, lab.data, engine)
    with picture:
        if row is not None:
            _label(lab.data, labels, row)
        steps.next_button(lab, 3, "Next: train")


def _label(data: TrainingData, labels: Labels, row: int) -> None:
    """A query, its label as a bar, and where the label comes from."""
    pool = data.scores.candidates
    draw_query(data.scores.queries[row].text)
    shares = {"plain": labels.plain[row], "prior": labels.prior[row], "enhanced": labels.enhanced[row]}
    columns, label = charts.shown(shares), labels.enhanced[row]
    order = sorted(columns, key=lambda column: -label[column])
    parts = [badge(pool, pool[column], f"{label[column]:.0%}") for column in order]
    st.echarts_chart(
        charts.bar(pool, label, columns),
        key="lab-bar",
        height=charts.HEIGHT,
        renderer="svg",
        alt="The query's label: " + ", ".join(f"{pool[column]} {label[column]:.0%}" for column in order),
    )
    st.markdown(" ".join(parts))
    tags = list(dict.fromkeys(data.tags[row]))
    st.markdown(verdict(pool, shares, data.config, bool(tags)))
    counts = once(_tag_counts(), data.key, lambda: Counter(t for tags in data.tags for t in dict.fromkeys(tags)))
    if tags:
        names = [f"{tag} ({counts[tag]:,} queries)" for tag in tags[:FEW_TAGS]]
        st.caption("Of the same kind, by tag: " + plain(", ".join(names)))
    else:
        st.caption("This query has no tags, so its label is its own scores alone.")


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
    if not matches:
        st.info("No query matches. Choose another list, or other words.", icon=":material/search_off:")
        return None
    listed = matches[:LISTED]
    changed = set(labels.changed.tolist())
    first = next((place for place, row in enumerate(listed) if row in changed), 0)  # where beta matters most
    row: int = st.selectbox(
        f"Query ({len(listed):,} of {count:,} listed)",
        listed,
        first,
        format_func=lambda row: data.scores.queries[row].text[:100].replace("\n", " "),
        key="lab-query",
        persist_state="session",
    )
    st.caption(
        f"Tags change the winner in {len(changed):,} of {count:,} queries ({len(changed) / count:.0%}): their label "
        "favours another model than their own scores."
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


def verdict(pool: tuple[str, ...], shares: dict[str, Any], config: LabelConfig, tagged: bool) -> str:
    """How clear the query's own scores are, what its kind says, and what becomes of both, as Markdown."""
    winner = {name: plain(pool[int(row.argmax())]) for name, row in shares.items()}
    share = {name: f"{float(row.max()):.0%}" for name, row in shares.items()}
    unclear = float(entropy(shares["plain"]))
    clarity = "are clear" if unclear < CLEAR else "are mixed" if unclear < MIXED else "hardly separate the models"
    parts = [f"Its own scores {clarity}: they favour **{winner['plain']}** ({share['plain']})."]
    if tagged:
        parts.append(f"Queries of the same kind favour **{winner['prior']}** ({share['prior']}).")
        verb = "still favours" if winner["enhanced"] == winner["plain"] else "favours"
        parts.append(f"At beta {config.beta:g} the label {verb} **{winner['enhanced']}** ({share['enhanced']}).")
    return " ".join(parts)


def _table(data: TrainingData, labels: Labels, row: int) -> None:
    """The figures behind the picture."""
    scaled = data.config.normalise != "none"
    head = ["model", "score", *(["scaled"] if scaled else []), "own label", "same kind", "label"]
    rows = []
    for column, name in enumerate(data.scores.candidates):
        values = [data.scores.scores[row][column], *([labels.rewards[row][column]] if scaled else [])]
        shares = [table[row][column] for table in (labels.plain, labels.prior, labels.enhanced)]
        rows.append([plain(name), *(number(value, 3) for value in values), *(f"{share:.1%}" for share in shares)])
    tables.draw("lab-labels", head, rows)
    st.caption(
        "The own label is the softmax of the scores at tau. *Same kind* is the mean own label of queries with its "
        "tags. The label is beta of the first and 1 - beta of the second. Reward entropy of the own label: "
        f"{number(float(entropy(labels.plain[row])))}, where 0 is one clear winner and 1 no difference."
    )
