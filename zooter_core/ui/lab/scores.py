"""Step 1 of the Train page: which scores to train on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from zooter_core.data.scores import Scores
from zooter_core.ui.colours import badge
from zooter_core.ui.lab import steps
from zooter_core.ui.lab.state import Lab, LoadedScores, Part, once, scores_from_source
from zooter_core.ui.text import plain

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble

MANY = 6_000  # queries whose embeddings take about a minute
MOST = 20_000  # queries
EXAMPLES, SHORT = 4, 90  # queries shown, and characters of each


def summary(lab: Lab) -> str:
    """The scores of this step in a few words."""
    return _size(lab.part.scores) if lab.part else ""


def draw(lab: Lab, engine: Ensemble) -> None:
    """Choose the source; the fleet's own sample is there from the start."""
    st.markdown(
        "A score says how good one model's response to one query was. From scores, a router learns whom to ask."
    )
    loaded = scores_from_source(lab, engine)
    if loaded is None:
        lab.use_part(None)
        return
    st.markdown(
        f"**{_size(loaded.scores)}** from {plain(loaded.name)}: {plain(', '.join(loaded.scores.candidates[:12]))}"
    )
    if loaded.note:
        st.caption(loaded.note)
    part = _part(lab, loaded, engine)
    lab.use_part(part)
    _examples(part.scores)
    steps.next_button(lab, 2, "Next: labels")


def _size(scores: Scores) -> str:
    sets = len(set(scores.datasets))
    return f"{len(scores.queries):,} queries, {sets} data set{'s' * (sets != 1)}, {len(scores.candidates)} models"


def _part(lab: Lab, loaded: LoadedScores, engine: Ensemble) -> Part:
    """Only the fleet's models, and only some of many queries, if a visitor wants that."""
    scores, pool, count = loaded.scores, engine.fleet.pool, len(loaded.scores.queries)
    only, most = None, None
    if set(pool) < set(scores.candidates) and st.checkbox(
        f"Only the models of the fleet: {plain(', '.join(pool))}",
        value=True,
        key="lab-only",
        persist_state="session",
        help="Chat can use a router only if it chooses among exactly the fleet's models.",
    ):
        only = pool
    if count > MANY:
        most = st.slider(
            "Queries to use",
            500,
            min(count, MOST),
            MANY,
            step=500,
            key=f"lab-most-{loaded.key}",
            persist_state="session",
            help=f"A sample of the {count:,}. Embedding {MANY:,} queries takes about a minute, the first time only.",
        )
    cut = once(lab.cut, (loaded.key, only, most), lambda: _cut(scores, only, most))
    return Part(loaded, cut, only, most)


def _cut(scores: Scores, only: tuple[str, ...] | None, most: int | None) -> Scores:
    scores = scores if only is None else scores.only(only)
    return scores if most is None else scores.sample(most)


def _examples(scores: Scores) -> None:
    """For some models, the query on which each has the largest lead."""
    table = np.nan_to_num(scores.scores, nan=float(np.nanmin(scores.scores)))
    leads = table - np.stack([np.delete(table, n, axis=1).max(axis=1) for n in range(len(scores.candidates))], axis=1)
    lines = []
    for column, name in list(enumerate(scores.candidates))[:EXAMPLES]:
        row = int(leads[:, column].argmax())
        text = " ".join(scores.queries[row].text.split())
        short = text if len(text) <= SHORT else text[: SHORT - 1] + "…"
        if leads[row, column] > 0:
            lines.append(f"- {badge(scores.candidates, name)} did best on “{plain(short)}”")
    st.markdown("\n".join(lines))
