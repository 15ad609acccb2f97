"""Why the router chose a model, as one picture; its figures are shown on request."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from zooter_core.data import prices
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.labels import entropy
from zooter_core.router.explain import Explanation, QueryPart
from zooter_core.router.neighbours import Neighbour
from zooter_core.ui import answer_view, charts, tables
from zooter_core.ui.chat.turns import Turn
from zooter_core.ui.text import clipped, plain

STRONG, WEAK = 0.5, 0.15  # parts of the query are shaded from these shares of the strongest contribution
NEAREST = 3
NOT_READ = (
    "The router reads what you type, not the attached files: it has learned from queries, and a page of a file would "
    "drown the one sentence that says what you want."
)
SHORT = 140  # characters of a training query


def draw_reasons(ensemble: Ensemble, turn: Turn, key: str) -> None:
    if turn.decision.candidate not in ensemble.fleet.pool:
        st.caption(f"This fleet no longer has {plain(turn.decision.candidate)}, so its router cannot say why.")
        return
    if turn.why is None:
        turn.why = ensemble.explain(turn.decision)
    why, decision = turn.why, turn.decision
    pool = list(decision.probabilities)
    with st.container(border=True, key=f"reasons-{key}"):
        st.markdown(f"**What points to {charts.badge(pool, decision.candidate)}**")
        st.markdown(shaded(why.pieces, charts.colour_name(pool, decision.candidate)))
        if len(decision.query) > len(turn.query) and decision.query.endswith(turn.query):
            st.caption("The query goes on with what came before it, so the router read them together.")
        note = ensemble.router.note
        if reason := prices.why(decision):
            st.caption(plain(reason if note else f"{reason} {prices.describe_weighing(ensemble.fleet)}"))
        st.caption("The stronger a word is marked, the more it counts towards the choice. Grey words count against it.")
        if turn.attachments:
            st.caption(NOT_READ)
        st.markdown("**How likely each model is to answer best**")
        figure = charts.probability_bars(dict(charts.by_share(decision.probabilities)), pool)
        charts.draw(figure, f"why-{key}", charts.in_words(decision.probabilities), charts.BAR * len(pool) + 12)
        if why.neighbours or not note:
            st.markdown("**The most similar training queries**")
            st.markdown("\n".join(sentences(why.neighbours[:NEAREST], pool)))
        else:  # a starting router has no training queries
            st.caption(plain(note))
        with st.expander("More"):
            _draw_figures(ensemble, turn, why, key)


def shaded(pieces: Sequence[QueryPart], colour: str) -> str:
    """The query as Markdown, with its parts shaded by their contribution."""
    most = max((abs(piece.contribution) for piece in pieces), default=0.0) or 1.0
    words = []
    for piece in pieces:
        share, text = piece.contribution / most, plain(piece.text)
        if share >= STRONG:
            words.append(f"**:{colour}-background[{text}]**")
        elif share >= WEAK:
            words.append(f":{colour}-background[{text}]")
        elif share <= -WEAK:
            words.append(f":gray-background[{text}]")
        else:
            words.append(text)
    return " ".join(words)


def sentences(neighbours: Sequence[Neighbour], pool: Sequence[str]) -> list[str]:
    """A Markdown list of training queries, each with the model that won it."""
    if not neighbours:
        return ["This router was saved without its training queries."]
    return [f"- {charts.badge(pool, winner(item))} won {_text(item)}" for item in neighbours]


def winner(neighbour: Neighbour) -> str:
    """The candidate with the highest reward on a training query; without rewards, the one with the largest label."""
    values = neighbour.rewards or neighbour.label
    return max(values, key=lambda name: values[name])


def _text(item: Neighbour) -> str:
    if text := clipped(item.text or "", SHORT):
        return f"“{plain(text)}”"
    return f"*a query of {plain(item.dataset or 'another data set')}, whose text is not included*"


def _draw_figures(ensemble: Ensemble, turn: Turn, why: Explanation, key: str) -> None:
    pool, name = list(turn.decision.probabilities), plain(turn.decision.candidate)
    pieces = [[plain(piece.text), f"{100 * piece.contribution:+z.1f}"] for piece in why.pieces]
    tables.draw(f"pieces-{key}", ["Part of the query", "Points"], pieces)
    st.caption(f"How far {name}'s probability falls without the part, in percentage points.")
    if why.tags:
        tags = [[plain(tag.name), f"{tag.queries:,}", f"{100 * tag.contribution:+z.0f}"] for tag in why.tags]
        tables.draw(f"tags-{key}", ["Tag", "Training queries", "Points"], tags)
        st.caption(f"{name}'s mean label on queries with the tag, compared with all queries, in percentage points.")
    if why.neighbours:
        _draw_neighbours(why.neighbours, pool, key)
    st.caption(f"The router is {charts.CERTAINTY[turn.decision.certainty]}.")
    value = float(entropy(np.array(list(turn.decision.probabilities.values()))))
    st.caption(f"Entropy {value:.2f}, on a scale from 0 (one model for certain) to 1 (all equally likely).")
    st.caption(saving_text(ensemble, turn))


def _draw_neighbours(neighbours: Sequence[Neighbour], pool: Sequence[str], key: str) -> None:
    rows = []
    for item in neighbours:
        rewards = [f"{item.rewards[name]:z.2f}" if name in item.rewards else "–" for name in pool]
        rows.append([_text(item), f"{item.similarity:z.2f}", *rewards])
    tables.draw(f"neighbours-{key}", ["Training query", "Similarity", *map(plain, pool)], rows)
    st.caption(
        "Similarity is the cosine of the embeddings; under each model is the reward of its response to that query."
    )


def saving_text(ensemble: Ensemble, turn: Turn) -> str:
    """The cost of the choice compared with running all models, in models and tokens."""
    answered = sum(not answer.failed_to_start for answer in turn.job.answers.values())
    pool = len(ensemble.fleet.pool)
    responses = turn.job.responses
    tokens, thoughts = sum(r.tokens for r in responses), sum(r.thought_tokens for r in responses)
    text = f"{answered} of {pool} models ran"
    text += f" and wrote {answer_view.counted(tokens, thoughts)}" if tokens else ""
    if answered < pool and tokens:
        text += f"; all {pool} would write about {round(tokens * pool / answered):,}, if their answers were as long"
    return text + "."
