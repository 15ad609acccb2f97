"""How scores become labels: tau, the scaling of the scores, and the tags."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from zooter_core.data.scores import Scores, score_line
from zooter_core.method import labels
from zooter_core.method.labels import LabelConfig
from zooter_core.method.scales import NORMALISATIONS
from zooter_core.pipeline.train import tags_of
from zooter_core.strict_json import dump_json
from zooter_core.ui.lab.code import TrainingData
from zooter_core.ui.lab.state import Lab, LoadedScores, Part, once
from zooter_core.ui.lab.tasks import Task, draw_end, draw_task, heavy_work

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble

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


def use_defaults(lab: Lab, loaded: LoadedScores) -> None:
    """Begin with the label settings of a source when it is first used."""
    if lab.configured == loaded.key:
        return
    lab.configured = loaded.key
    has_tags = any(query.tags for query in loaded.scores.queries)
    defaults: dict[str, Any] = {"beta": float(loaded.config.beta), "tau": float(loaded.config.tau)}
    defaults |= {"normalise": loaded.config.normalise, "tagger": "given" if has_tags else "clusters"}
    st.session_state.update({f"lab-{name}": value for name, value in defaults.items()})
    st.session_state.pop("lab-query", None)


def beta_slider() -> float:
    """How much of a query's label is its own."""
    beta: float = st.slider(
        "beta: how much a query's own scores count",
        0.0,
        1.0,
        step=0.05,
        key="lab-beta",
        persist_state="session",
        help="Single scores are noisy, so a query's label is mixed with the mean label of the queries that share its "
        "tags. At 1 only its own scores count, at 0 only those queries; the paper found 0.3 best.",
    )
    return beta


def advanced(beta: float, engine: Ensemble) -> tuple[LabelConfig, str]:
    """The other label settings, and the source of the tags."""
    left, middle, right = st.columns(3)
    tau = left.number_input(
        "tau: softmax temperature",
        0.01,
        100.0,
        step=0.1,
        format="%g",
        key="lab-tau",
        persist_state="session",
        help="A softmax at this temperature turns scores into shares. A small tau gives all to the best model, a "
        "large one nearly the same share to each; the paper uses 1 on its reward models' scale.",
    )
    scale = middle.selectbox(
        "Scaling of the scores",
        list(NORMALISATIONS),
        format_func=lambda name: NORMALISED.get(name, name),
        key="lab-normalise",
        persist_state="session",
        help="Brings different kinds of scores to one scale before the softmax, so that one tau fits all.",
    )
    tagger = right.selectbox(
        "Tags",
        [name for name in TAGGERS if name != "fleet" or engine.fleet.tagger],
        format_func=TAGGERS.__getitem__,
        key="lab-tagger",
        persist_state="session",
        help="A tag names the kind of a query. Queries that share a tag share part of their labels.",
    )
    return LabelConfig(beta=beta, tau=tau, normalise=scale), tagger


def training_data(lab: Lab, part: Part, config: LabelConfig, tagger: str, engine: Ensemble) -> TrainingData | None:
    """The scores with these settings; None until the queries have their tags."""
    key = f"{part.key} {tagger}"
    tags = _tags(lab, key, part.scores, tagger, engine)
    if tags is None:
        return None
    loaded = part.loaded
    return TrainingData(key, loaded.name, loaded.file, part.scores, tags, tagger, config, part.only, part.most)


def _tags(lab: Lab, key: str, scores: Scores, tagger: str, engine: Ensemble) -> Any:
    """The tags of each query; None while they are computed."""
    if tagger in ("given", "none"):
        return [query.tags if tagger == "given" else () for query in scores.queries]
    if key not in lab.tagging or lab.tagging[key].problem:
        for old in lab.tagging.values():
            old.stop()
        lab.tagging = {key: Task(lambda task: _tag(task, scores, tagger, engine), heavy_work())}
    task = lab.tagging[key]
    task.wait(0.5)
    if task.running:
        draw_task(task, "lab-tag")
        return None
    draw_end(task, "Tagging")
    if task.stopped and st.button("Resume", key="lab-tag-again"):
        lab.tagging.clear()
        st.rerun()
    return task.result


def _tag(task: Task[Any], scores: Scores, tagger: str, engine: Ensemble) -> Any:
    texts = [query.text for query in scores.queries]
    if tagger == "clusters":
        return tags_of(scores, "clusters", embedded(task, texts, engine))
    tags: list[tuple[str, ...]] = []
    for first in range(0, len(texts), BATCH):
        rows = engine.tagger.tag_all(scores.queries[first : first + BATCH])
        tags += [tuple(tag.name for tag in row) for row in rows]
        task.report("tag", len(tags), len(texts))
    return tags


def embedded(task: Task[Any], texts: list[str], engine: Ensemble) -> NDArray[np.float32]:
    """The vectors of these texts by the fleet's encoder, shape (texts, width)."""
    encoder = engine.encoders(engine.fleet.encoder)
    task.report("embed", 0, len(texts))
    return encoder.embed_all(texts, lambda done: task.report("embed", done, len(texts)))


def as_file(data: TrainingData) -> bytes:
    """The scores as a score file, for the command."""
    rows = enumerate(data.scores.queries)
    lines = (dump_json(score_line(query, data.scores.scores_of(row)), ensure_ascii=False) for row, query in rows)
    return "".join(line + "\n" for line in lines).encode()


def labels_of(lab: Lab, data: TrainingData) -> labels.Labels:
    """The labels, computed once for the same settings."""
    config, scores = data.config, data.scores
    computed: labels.Labels = once(
        lab.labels,
        (data.key, replace(config, holdout=0.0)),
        lambda: labels.label(scores.scores, scores.datasets, data.tags, config),
    )
    return computed
