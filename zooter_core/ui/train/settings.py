"""The settings of the Train page: beta in sight, the others under Advanced."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.labels import LabelConfig
from zooter_core.router.kinds import KINDS, LEARN_LABELS, DistillConfig, settings_of
from zooter_core.ui.train.session import LoadedScores, Session
from zooter_core.ui.widgets import persistent

NORMALISED = {
    "none": "not scaled",
    "spread": "by the spread of each query's scores",
    "zscore": "to mean 0 and deviation 1",
    "zscore-dataset": "to mean 0 and deviation 1 per data set",
}
TAGGERS = {
    "given": "tags in the file",
    "clusters": "clusters of similar queries",
    "fleet": "the fleet's tagger",
    "none": "no tags",
}
BETA = "beta: how much a query's own scores count"
BETA_HELP = (
    "Single scores are noisy, so a query's label is mixed with the mean label of the queries that share its tags. At 1 "
    "only its own scores count, at 0 only those queries; the paper found 0.3 best."
)
TAU_HELP = (
    "A softmax at this temperature turns scores into shares. A small tau gives all to the best model, a large one "
    "nearly the same share to each; the paper uses 1 on its reward models' scale."
)
SCALING_HELP = "Brings different kinds of scores to one scale before the softmax, so that one tau fits all."
TAGS_HELP = "A tag names the kind of a query. Queries that share a tag share part of their labels."
HOLDOUT_HELP = "The share of queries to evaluate the router on; it does not train on them."
KIND_HELP = (
    "`auto` compares some of the others by cross-validation and mixes them. `zooter` learns the labels. The rest "
    "learn from the scores."
)
EPOCHS_HELP = "Passes over the queries. With 100 queries or more, a trial finds out when more do not help."
KEEP_HELP = "Chat can then show the most similar training queries, and this page can use them as a sample."


class Settings(NamedTuple):
    labels: LabelConfig
    tagger: str
    training: DistillConfig


def draw(session: Session, loaded: LoadedScores, ensemble: Ensemble) -> tuple[Settings, DeltaGenerator]:
    """Draw the settings; returns them, and the place below beta for what it does."""
    begin_with_defaults(session, loaded)
    st.markdown(
        "The router learns one label per query: how likely each model is to answer it best. A label mixes the query's "
        "own scores with those of queries of the same kind. Move beta and watch."
    )
    beta = st.slider(BETA, 0.0, 1.0, step=0.05, **persistent("train-beta", BETA_HELP))
    place = st.container()
    with st.expander("Advanced", icon=":material/tune:"):
        left, middle, right = st.columns(3)
        tau = left.number_input(
            "tau: softmax temperature", 0.01, 100.0, step=0.1, format="%g", **persistent("train-tau", TAU_HELP)
        )
        scaling = middle.selectbox(
            "Scaling of the scores", NORMALISED, format_func=NORMALISED.__getitem__,
            **persistent("train-normalise", SCALING_HELP),
        )  # fmt: skip
        taggers = [name for name in TAGGERS if name != "fleet" or ensemble.fleet.tagger]
        tagger = right.selectbox(
            "Tags", taggers, format_func=TAGGERS.__getitem__, **persistent("train-tagger", TAGS_HELP)
        )
        holdout = left.slider("Held back", 0, 50, 20, 5, "%d%%", **persistent("train-holdout", HOLDOUT_HELP))
        kind = middle.selectbox("Kind of router", list(KINDS), **persistent("train-kind", KIND_HELP))
        epochs = right.slider(
            "Maximum epochs", 1, 30, DistillConfig.epochs, disabled=kind not in LEARN_LABELS,
            **persistent("train-epochs", EPOCHS_HELP),
        )  # fmt: skip
        keep = st.checkbox("Save the queries' texts with the router", True, **persistent("train-keep", KEEP_HELP))
    training = replace(settings_of(kind, {"epochs": epochs} if kind in LEARN_LABELS else None), keep_texts=keep)
    labels = LabelConfig(beta=beta, tau=tau, normalise=scaling, holdout=holdout / 100)
    return Settings(labels, tagger, training), place


def begin_with_defaults(session: Session, loaded: LoadedScores) -> None:
    """Begin with the label settings of a source when it is first used."""
    if session.configured == loaded.source:
        return
    session.configured = loaded.source
    has_tags = any(query.tags for query in loaded.scores.queries)
    defaults: dict[str, Any] = {"beta": float(loaded.config.beta), "tau": float(loaded.config.tau)}
    defaults |= {"normalise": loaded.config.normalise, "tagger": "given" if has_tags else "clusters"}
    st.session_state.update({f"train-{name}": value for name, value in defaults.items()})
