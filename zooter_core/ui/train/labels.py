"""Step 2 of the Train page: how scores become labels, shown on one query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from zooter_core.data.scores import Scores
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.labels import LabelConfig, Labels, entropy, label
from zooter_core.pipeline.train import tags_of
from zooter_core.ui import charts
from zooter_core.ui.answer_view import draw_query
from zooter_core.ui.charts import badge
from zooter_core.ui.text import plain
from zooter_core.ui.train import steps
from zooter_core.ui.train.steps import LoadedScores, Session, Task, TrainingData, draw_until_result
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
CLEAR, MIXED = 0.35, 0.75  # reward entropy below which the scores are clear, or mixed
FEW_TAGS = 3
MOST = 12  # models named below the picture


def summary(session: Session) -> str:
    if session.data is None:
        return ""
    return f"beta {session.data.config.beta:g}, {TAGGERS[session.data.tagger]}"


def draw(session: Session, ensemble: Ensemble) -> None:
    loaded = session.scores
    assert loaded is not None  # step 1 comes first
    begin_with_defaults(session, loaded)
    st.markdown(
        "The router learns one label per query: how likely each model is to answer it best. A label mixes the query's "
        "own scores with those of queries of the same kind. Move beta and watch."
    )
    picture = st.container()  # drawn last: it depends on what is below it
    with picture:
        beta = st.slider(BETA, 0.0, 1.0, step=0.05, **persistent("train-beta", BETA_HELP))
    with st.expander("Advanced", icon=":material/tune:"):
        config, tagger = draw_advanced(beta, ensemble)
    with picture:
        tags = find_tags(session, loaded, tagger, ensemble)
        if tags is None:
            session.data = None
            return
        data = session.data = TrainingData(loaded, tags, tagger, config)
        labels = label(data.scores.scores, data.scores.datasets, tags, config)
        _draw_label(data, labels)
        steps.next_button(session, 3, "Next: train")


def begin_with_defaults(session: Session, loaded: LoadedScores) -> None:
    """Begin with the label settings of a source when it is first used."""
    if session.configured == loaded.source:
        return
    session.configured = loaded.source
    has_tags = any(query.tags for query in loaded.scores.queries)
    defaults: dict[str, Any] = {"beta": float(loaded.config.beta), "tau": float(loaded.config.tau)}
    defaults |= {"normalise": loaded.config.normalise, "tagger": "given" if has_tags else "clusters"}
    st.session_state.update({f"train-{name}": value for name, value in defaults.items()})


def draw_advanced(beta: float, ensemble: Ensemble) -> tuple[LabelConfig, str]:
    left, middle, right = st.columns(3)
    label = "tau: softmax temperature"
    tau = left.number_input(label, 0.01, 100.0, step=0.1, format="%g", **persistent("train-tau", TAU_HELP))
    label, taggers = "Scaling of the scores", [name for name in TAGGERS if name != "fleet" or ensemble.fleet.tagger]
    scale = middle.selectbox(
        label, NORMALISED, format_func=NORMALISED.__getitem__, **persistent("train-normalise", SCALING_HELP)
    )
    tagger = right.selectbox("Tags", taggers, format_func=TAGGERS.__getitem__, **persistent("train-tagger", TAGS_HELP))
    return LabelConfig(beta=beta, tau=tau, normalise=scale), tagger


def find_tags(
    session: Session, loaded: LoadedScores, tagger: str, ensemble: Ensemble
) -> Sequence[Sequence[str]] | None:
    """The tags of each query; None while they are computed."""
    scores, key = loaded.scores, f"{loaded.key} {tagger}"
    if tagger in ("given", "none"):
        return [query.tags if tagger == "given" else () for query in scores.queries]
    if key not in session.tagging or session.tagging[key].problem:
        for old in session.tagging.values():
            old.stop()
        session.tagging = {key: Task(lambda task: _tag_queries(task, scores, tagger, ensemble))}
    task = session.tagging[key]
    result = draw_until_result(task, "train-tag", "Tagging")
    if task.stopped:
        st.button("Resume", key="train-tag-again", on_click=session.tagging.clear)
    return result


def _tag_queries(task: Task[Any], scores: Scores, tagger: str, ensemble: Ensemble) -> Any:
    texts = [query.text for query in scores.queries]
    if tagger == "clusters":
        return tags_of(scores, "clusters", embed(task, texts, ensemble))
    tags: list[tuple[str, ...]] = []
    for first in range(0, len(texts), BATCH):
        rows = ensemble.tagger.tag_all(scores.queries[first : first + BATCH])
        tags += [tuple(tag.name for tag in row) for row in rows]
        task.report("tag", len(tags), len(texts))
    return tags


def embed(task: Task[Any], texts: list[str], ensemble: Ensemble) -> NDArray[np.float32]:
    """The vectors of these texts by the fleet's encoder, shape (texts, width)."""
    encoder = ensemble.encoders(ensemble.fleet.encoder)
    task.report("embed", 0, len(texts))
    return encoder.embed_all(texts, lambda done: task.report("embed", done, len(texts)))


def _draw_label(data: TrainingData, labels: Labels) -> None:
    """The query on which its own scores and its kind differ most: its label as a bar, and where that comes from."""
    pool, row = data.scores.candidates, int(np.abs(labels.plain - labels.prior).sum(axis=1).argmax())
    draw_query(data.scores.queries[row].text)
    shares = {"plain": labels.plain[row], "prior": labels.prior[row], "enhanced": labels.enhanced[row]}
    label_of = dict(zip(pool, labels.enhanced[row].tolist(), strict=True))
    first = charts.by_share(label_of)[:MOST]
    alt = "The query's label: " + ", ".join(f"{name} {share:.0%}" for name, share in first)
    with st.container(key="train-label"):
        st.image(charts.stacked(label_of, pool), width="stretch", alt=alt)
    st.markdown(" ".join(badge(pool, name, f"{share:.0%}") for name, share in first))
    tags = list(dict.fromkeys(data.tags[row]))
    st.markdown(describe_label(pool, shares, data.config, bool(tags)))
    if tags:
        names = [f"{tag} ({sum(tag in others for others in data.tags):,} queries)" for tag in tags[:FEW_TAGS]]
        st.caption("Of the same kind, by tag: " + plain(", ".join(names)))
    else:
        st.caption("This query has no tags, so its label is its own scores alone.")


def describe_label(pool: tuple[str, ...], shares: dict[str, Any], config: LabelConfig, tagged: bool) -> str:
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
