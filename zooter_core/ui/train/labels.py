"""Step 2 of the Train page: how scores become labels, shown on one query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.labels import LabelConfig, Labels, entropy, label
from zooter_core.ui import tables
from zooter_core.ui.answer_view import draw_query
from zooter_core.ui.charts import GREY, badge, colour
from zooter_core.ui.text import clipped, plain
from zooter_core.ui.train import settings, state, sweep
from zooter_core.ui.train.code import TrainingData
from zooter_core.ui.train.state import Session
from zooter_core.ui.widgets import persistent

Array = NDArray[np.float64]
CLEAR, MIXED = 0.35, 0.75  # reward entropy below which the scores are clear, or mixed
LISTED = 200  # queries
FEW_TAGS = 3
MOST = 12  # candidates with a part of their own in the picture
OTHERS = "others"
HEIGHT = 44  # pixels of the picture
ORDERS = {
    "file": "all, in the file's order",
    "changed": "only those where tags change the winner",
    "unclear": "all, the least clear first",
    "clear": "all, the clearest first",
}


def summary(session: Session) -> str:
    if session.data is None:
        return ""
    return f"beta {session.data.config.beta:g}, {settings.TAGGERS[session.data.tagger]}"


def draw(session: Session, ensemble: Ensemble) -> None:
    """One query's label, which follows beta; the rest of the settings, and a sweep, below."""
    loaded = session.scores
    assert loaded is not None  # step 1 comes first
    settings.use_defaults(session, loaded)
    st.markdown(
        "The router learns one label per query: how likely each model is to answer it best. A label mixes the query's "
        "own scores with those of queries of the same kind. Move beta and watch."
    )
    picture = st.container()  # drawn last: it depends on what is below it
    with picture:
        beta = settings.beta_slider()
    with st.expander("Advanced", expanded=session.sweep is not None, icon=":material/tune:"):
        config, tagger = settings.advanced(beta, ensemble)
        with picture:
            tags = settings.tags(session, loaded, tagger, ensemble)
        if tags is None:
            session.data = None
            return
        data = session.data = TrainingData(loaded, tags, tagger, config)
        labels = label(data.scores.scores, data.scores.datasets, tags, config)
        row = _pick(data, labels)
        if row is not None:
            _table(data, labels, row)
        sweep.draw(session, data, ensemble)
    with picture:
        if row is not None:
            _label(data, labels, row)
        state.next_button(session, 3, "Next: train")


def _label(data: TrainingData, labels: Labels, row: int) -> None:
    """A query, its label as a bar, and where the label comes from."""
    pool = data.scores.candidates
    draw_query(data.scores.queries[row].text)
    shares = {"plain": labels.plain[row], "prior": labels.prior[row], "enhanced": labels.enhanced[row]}
    columns, share = _columns(shares), labels.enhanced[row]
    order = sorted(columns, key=lambda column: -share[column])
    parts = [badge(pool, pool[column], f"{share[column]:.0%}") for column in order]
    alt = "The query's label: " + ", ".join(f"{pool[column]} {share[column]:.0%}" for column in order)
    st.echarts_chart(_bar(pool, share, columns), key="train-bar", height=HEIGHT, renderer="svg", alt=alt)
    st.markdown(" ".join(parts))
    tags = list(dict.fromkeys(data.tags[row]))
    st.markdown(verdict(pool, shares, data.config, bool(tags)))
    if tags:
        names = [f"{tag} ({sum(tag in others for others in data.tags):,} queries)" for tag in tags[:FEW_TAGS]]
        st.caption("Of the same kind, by tag: " + plain(", ".join(names)))
    else:
        st.caption("This query has no tags, so its label is its own scores alone.")


def _columns(shares: Mapping[str, Array]) -> list[int]:
    """The numbers of the candidates in the picture, in pool order: those with the largest shares, MOST at most."""
    highest = np.max(list(shares.values()), axis=0)
    return sorted(np.argsort(-highest, kind="stable")[:MOST].tolist())


def _bar(pool: Sequence[str], share: Array, columns: Sequence[int]) -> dict[str, Any]:
    """An ECharts option: one stacked bar that moves when the label changes; `columns` have a part of their own."""
    parts = [(pool[column], float(share[column]), colour(pool, pool[column])) for column in columns]
    if len(columns) < len(pool):
        parts.append((OTHERS, 1 - sum(value for _, value, _ in parts), GREY))
    bar = {"type": "bar", "stack": "label", "barWidth": HEIGHT - 8, "cursor": "default"}
    return {
        "animationDuration": 300,
        "animationDurationUpdate": 500,
        "animationEasingUpdate": "cubicInOut",
        "grid": {"left": 0, "right": 0, "top": 4, "bottom": 4},
        "xAxis": {"type": "value", "min": 0, "max": 1, "show": False},
        "yAxis": {"type": "category", "data": ["label"], "show": False},
        "tooltip": {"confine": True, "formatter": "{a}"},
        "series": [
            bar | {"name": f"{name} {value:.0%}", "id": name, "data": [round(value, 4)], "itemStyle": {"color": fill}}
            for name, value, fill in parts
        ],
    }


def _pick(data: TrainingData, labels: Labels) -> int | None:
    """The number of the query that the visitor picks; None if none matches."""
    left, right = st.columns(2)
    order = left.selectbox("Queries", ORDERS, format_func=ORDERS.__getitem__, **persistent("train-order"))
    words = right.text_input("Containing", placeholder="any words", **persistent("train-sought"))
    rows = order_of(labels, order)
    matches = [row for row in rows if words.lower().strip() in data.scores.queries[row].text.lower()]
    count = len(data.tags)
    if not matches:
        st.info("No query matches. Choose another list, or other words.", icon=":material/search_off:")
        return None
    listed = matches[:LISTED]
    changed = set(labels.changed.tolist())
    first = next((place for place, row in enumerate(listed) if row in changed), 0)  # where beta matters most
    label = f"Query ({len(listed):,} of {count:,} listed)"
    row: int = st.selectbox(
        label, listed, first, lambda row: clipped(data.scores.queries[row].text, 100), **persistent("train-query")
    )
    st.caption(
        f"Tags change the winner in {len(changed):,} of {count:,} queries ({len(changed) / count:.0%}): their label "
        "favours another model than their own scores."
    )
    return row


def order_of(labels: Labels, order: str) -> list[int]:
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
    scaled = data.config.normalise != "none"
    head = ["model", "score", *(["scaled"] if scaled else []), "own label", "same kind", "label"]
    rows = []
    for column, name in enumerate(data.scores.candidates):
        values = [data.scores.scores[row][column], *([labels.rewards[row][column]] if scaled else [])]
        shares = [table[row][column] for table in (labels.plain, labels.prior, labels.enhanced)]
        rows.append([plain(name), *(f"{value:z.3f}" for value in values), *(f"{share:.1%}" for share in shares)])
    tables.draw("train-labels", head, rows)
    st.caption(
        "The own label is the softmax of the scores at tau. *Same kind* is the mean own label of queries with its "
        "tags. The label is beta of the first and 1 - beta of the second. Reward entropy of the own label: "
        f"{float(entropy(labels.plain[row])):z.2f}, where 0 is one clear winner and 1 no difference."
    )
