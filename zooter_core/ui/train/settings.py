"""How scores become labels: tau, the scaling of the scores, and the tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from zooter_core.data.scores import Scores
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.labels import LabelConfig
from zooter_core.pipeline.train import tags_of
from zooter_core.ui.train.code import LoadedScores
from zooter_core.ui.train.state import Session
from zooter_core.ui.train.tasks import Task, draw_end, draw_task, heavy_work
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
BATCH = 64
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


def use_defaults(session: Session, loaded: LoadedScores) -> None:
    """Begin with the label settings of a source when it is first used."""
    if session.configured == loaded.source:
        return
    session.configured = loaded.source
    has_tags = any(query.tags for query in loaded.scores.queries)
    defaults: dict[str, Any] = {"beta": float(loaded.config.beta), "tau": float(loaded.config.tau)}
    defaults |= {"normalise": loaded.config.normalise, "tagger": "given" if has_tags else "clusters"}
    st.session_state.update({f"train-{name}": value for name, value in defaults.items()})
    st.session_state.pop("train-query", None)


def beta_slider() -> float:
    label = "beta: how much a query's own scores count"
    beta: float = st.slider(label, 0.0, 1.0, step=0.05, **persistent("train-beta", BETA_HELP))
    return beta


def advanced(beta: float, ensemble: Ensemble) -> tuple[LabelConfig, str]:
    """The other label settings, and the source of the tags."""
    left, middle, right = st.columns(3)
    label = "tau: softmax temperature"
    tau = left.number_input(label, 0.01, 100.0, step=0.1, format="%g", **persistent("train-tau", TAU_HELP))
    label, taggers = "Scaling of the scores", [name for name in TAGGERS if name != "fleet" or ensemble.fleet.tagger]
    scale = middle.selectbox(
        label, NORMALISED, format_func=NORMALISED.__getitem__, **persistent("train-normalise", SCALING_HELP)
    )
    tagger = right.selectbox("Tags", taggers, format_func=TAGGERS.__getitem__, **persistent("train-tagger", TAGS_HELP))
    return LabelConfig(beta=beta, tau=tau, normalise=scale), tagger


def tags(session: Session, loaded: LoadedScores, tagger: str, ensemble: Ensemble) -> Sequence[Sequence[str]] | None:
    """The tags of each query; None while they are computed."""
    scores, key = loaded.scores, f"{loaded.key} {tagger}"
    if tagger in ("given", "none"):
        return [query.tags if tagger == "given" else () for query in scores.queries]
    if key not in session.tagging or session.tagging[key].problem:
        for old in session.tagging.values():
            old.stop()
        session.tagging = {key: Task(lambda task: _tag(task, scores, tagger, ensemble), heavy_work())}
    task = session.tagging[key]
    task.wait(0.5)
    if task.running:
        draw_task(task, "train-tag")
        return None
    draw_end(task, "Tagging")
    if task.stopped and st.button("Resume", key="train-tag-again"):
        session.tagging.clear()
        st.rerun()
    return task.result


def _tag(task: Task[Any], scores: Scores, tagger: str, ensemble: Ensemble) -> Any:
    texts = [query.text for query in scores.queries]
    if tagger == "clusters":
        return tags_of(scores, "clusters", embedded(task, texts, ensemble))
    tags: list[tuple[str, ...]] = []
    for first in range(0, len(texts), BATCH):
        rows = ensemble.tagger.tag_all(scores.queries[first : first + BATCH])
        tags += [tuple(tag.name for tag in row) for row in rows]
        task.report("tag", len(tags), len(texts))
    return tags


def embedded(task: Task[Any], texts: list[str], ensemble: Ensemble) -> NDArray[np.float32]:
    """The vectors of these texts by the fleet's encoder, shape (texts, width)."""
    encoder = ensemble.encoders(ensemble.fleet.encoder)
    task.report("embed", 0, len(texts))
    return encoder.embed_all(texts, lambda done: task.report("embed", done, len(texts)))
