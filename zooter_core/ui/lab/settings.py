"""How the Lab's scores become labels: how many of them, which tags, beta and tau."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from zooter_core.data.scores import Scores, score_line
from zooter_core.method import labels
from zooter_core.method.labels import LabelConfig
from zooter_core.pipeline.train import tags_of
from zooter_core.strict_json import dump_json
from zooter_core.ui.lab.code import Subject
from zooter_core.ui.lab.state import Lab, Material, once
from zooter_core.ui.lab.tasks import Task, ended, heavy, live
from zooter_core.ui.text import plain

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble

NORMALISED = {
    "none": "as they are",
    "spread": "by how far apart a query's scores are",
    "zscore": "to mean 0 and deviation 1, over all",
    "zscore-dataset": "to mean 0 and deviation 1, each data set",
}
TAGGERS = {
    "given": "those in the file",
    "clusters": "clusters of like queries",
    "fleet": "the fleet's tagger",
    "none": "no tags",
}
MANY = 6_000  # queries that are turned into vectors in about a minute
MOST = 20_000
BATCH = 64


def settings(lab: Lab, material: Material, engine: Ensemble) -> Subject | None:
    """Let a visitor choose how the scores become labels; None until the queries have their tags."""
    if lab.begun != material.key:
        lab.begun = material.key
        given = any(query.tags for query in material.scores.queries)
        first: dict[str, Any] = {"beta": float(material.config.beta), "tau": float(material.config.tau)}
        first |= {"normalise": material.config.normalise, "tagger": "given" if given else "clusters"}
        st.session_state.update({f"lab-{name}": value for name, value in first.items()})
    with st.container(border=True):
        scores, only, most = _extent(lab, material, engine)
        config, tagger = _label_settings(engine)
    key = f"{material.key} {only} {most} {tagger}"
    tags = _tags(lab, key, scores, tagger, engine)
    if tags is None:
        return None
    return Subject(key, material.name, material.file, scores, tags, tagger, config, only, most)


def _extent(lab: Lab, material: Material, engine: Ensemble) -> tuple[Scores, tuple[str, ...] | None, int | None]:
    """What of the scores is learned from, and what of it a visitor left out."""
    scores, pool, count = material.scores, engine.fleet.pool, len(material.scores.queries)
    only, most = None, None
    sets = len(set(scores.datasets))
    told = f"{count:,} queries, {sets} data set{'s' * (sets != 1)}, {len(scores.candidates)} models"
    st.markdown(f"**{told}** from {plain(material.name)}: {plain(', '.join(scores.candidates[:12]))}")
    if set(pool) < set(scores.candidates) and st.checkbox(
        f"Only the models of the fleet: {plain(', '.join(pool))}",
        value=True,
        key="lab-only",
        persist_state="session",
        help="A router can be saved as a fleet only where it is for exactly the fleet's models.",
    ):
        only = pool
    if count > MANY:
        most = st.slider(
            "Queries to use",
            500,
            min(count, MOST),
            MANY,
            step=500,
            key=f"lab-most-{material.key}",
            persist_state="session",
            help=f"Drawn evenly from the {count:,}. Vectors of {MANY:,} queries take about a minute; they are kept, so "
            "that a second time takes none.",
        )
    made = once(
        lab.cut, (material.key, only, most), lambda: _cut(scores, only, most)
    )  # fmt: skip
    return made, only, most


def _cut(scores: Scores, only: tuple[str, ...] | None, most: int | None) -> Scores:
    scores = scores if only is None else scores.only(only)
    return scores if most is None else scores.sample(most)


def _label_settings(engine: Ensemble) -> tuple[LabelConfig, str]:
    left, right = st.columns(2)
    beta = left.slider(
        "beta: weight of a query's own label",
        0.0,
        1.0,
        step=0.05,
        key="lab-beta",
        persist_state="session",
        help="A single reward is noisy, so a query's label is mixed with the mean label of the queries that share its "
        "tags. 1 takes the query's own label alone, 0 the tags' alone; the paper found 0.3 best.",
    )
    tau = right.number_input(
        "tau: softness of the labels",
        0.01,
        100.0,
        step=0.1,
        format="%g",
        key="lab-tau",
        persist_state="session",
        help="Scores become shares by a softmax at this temperature. A small tau gives all to the best model, a large "
        "one nearly the same to each; the paper has 1 on its reward models' own scale.",
    )
    scale = left.selectbox(
        "Scores are scaled",
        list(labels.NORMALISATIONS),
        format_func=lambda name: NORMALISED.get(name, name),
        key="lab-normalise",
        persist_state="session",
        help="Brings scores of different kinds to one scale before the softmax, so that one tau fits them.",
    )
    known = [name for name in TAGGERS if name != "fleet" or engine.fleet.tagger]
    tagger = right.selectbox(
        "Tags",
        known,
        format_func=TAGGERS.__getitem__,
        key="lab-tagger",
        persist_state="session",
        help="A tag says what kind of query it is. Queries that share a tag lend each other their labels.",
    )
    return LabelConfig(beta=beta, tau=tau, normalise=scale), tagger


def _tags(lab: Lab, key: str, scores: Scores, tagger: str, engine: Ensemble) -> Any:
    """The tags of each query; None while they are worked out."""
    if tagger in ("given", "none"):
        return [query.tags if tagger == "given" else () for query in scores.queries]
    if key not in lab.tagging or lab.tagging[key].problem:
        for old in lab.tagging.values():
            old.stop()
        lab.tagging = {key: Task(lambda task: _tagged(task, scores, tagger, engine), heavy())}
    task = lab.tagging[key]
    task.wait(0.5)
    if task.running:
        live(task, "lab-tag")
        return None
    ended(task, "Tagging")
    if task.stopped and st.button("Go on", key="lab-tag-again"):
        lab.tagging.clear()
        st.rerun()
    return task.result


def _tagged(task: Task[Any], scores: Scores, tagger: str, engine: Ensemble) -> Any:
    texts = [query.text for query in scores.queries]
    if tagger == "clusters":
        return tags_of(scores, "clusters", embedded(task, texts, engine))
    found: list[tuple[str, ...]] = []
    for first in range(0, len(texts), BATCH):
        rows = engine.tagger.tag_all(scores.queries[first : first + BATCH])
        found += [tuple(tag.name for tag in row) for row in rows]
        task.progress("tag", len(found), len(texts))
    return found


def embedded(task: Task[Any], texts: list[str], engine: Ensemble) -> NDArray[np.float32]:
    """The vectors of these texts by the fleet's encoder."""
    encoder = engine.encoders(engine.fleet.encoder)
    task.progress("embed", 0, len(texts))
    return encoder.embed_all(texts, lambda done: task.progress("embed", done, len(texts)))


def as_file(subject: Subject) -> bytes:
    """The scores as a score file, for the command."""
    rows = zip(subject.scores.queries, subject.scores.scores.tolist(), strict=True)
    names = subject.scores.candidates
    lines = (dump_json(score_line(q, dict(zip(names, row, strict=True))), ensure_ascii=False) for q, row in rows)
    return "".join(line + "\n" for line in lines).encode()


def steps_of(lab: Lab, subject: Subject) -> labels.Labels:
    """Every step from scores to labels, made once for the same settings."""
    config, scores = subject.config, subject.scores
    made: labels.Labels = once(
        lab.steps,
        (subject.key, replace(config, holdout=0.0)),
        lambda: labels.label(scores.scores, scores.datasets, subject.tags, config),
    )
    return made
