"""Labels on the Train page: their settings, beta first, and the label that they give to one query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import streamlit as st

from zooter_core.data.scores import Scores
from zooter_core.evaluation.charts import Figure, framed
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.labels import LabelConfig, entropy, label
from zooter_core.pipeline.train import choose_tags
from zooter_core.router.clusters import by_words
from zooter_core.router.kinds import KINDS, LEARN_LABELS, DistillConfig, configure
from zooter_core.ui import charts
from zooter_core.ui.answer_view import draw_query
from zooter_core.ui.text import clipped, plain
from zooter_core.ui.train.session import LoadedScores, Session, Tags, Task, draw_until_result
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
    "only its own scores count, at 0 only those queries. The paper found 0.3 best, on a reward model's rewards; score "
    "files start at 0, which did best on benchmarks that a router had not trained on."
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
BATCH = 64
CLEAR, MIXED = 0.35, 0.75  # a query's scores are clear, or mixed, if their reward entropy is below this
FEW_TAGS = 3
MOST = 12  # models that are named below the chart
HEIGHT = 44  # height of the chart in pixels


class TrainingPlan(NamedTuple):
    """How a router is trained; `tags` holds each query's tags."""

    labels: LabelConfig
    tags: Tags
    training: DistillConfig


def draw(session: Session, loaded: LoadedScores, ensemble: Ensemble) -> TrainingPlan | None:
    """Draw the settings, and below beta the label of one query. Return the plan; None while the queries are tagged."""
    begin_with_defaults(session, loaded)
    st.header("Labels", anchor=False)
    st.markdown(
        "The router learns one label per query: how likely each model is to answer it best. A label mixes the query's "
        "own scores with those of queries of the same kind. Move beta and watch."
    )
    beta = st.slider(BETA, 0.0, 1.0, step=0.05, **persistent("train-beta", BETA_HELP))
    picture = st.container()
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
    training = replace(configure(kind, {"epochs": epochs} if kind in LEARN_LABELS else None), keep_texts=keep)
    config = LabelConfig(beta=beta, tau=tau, normalise=scaling, holdout=holdout / 100)
    with picture:
        if (tags := find_tags(session, loaded, tagger, ensemble)) is None:
            return None
        _draw_label(loaded.scores, tags, config)
    return TrainingPlan(config, tags, training)


def begin_with_defaults(session: Session, loaded: LoadedScores) -> None:
    """Set the label settings to a source's defaults when it is first used."""
    if session.configured == loaded.source:
        return
    session.configured = loaded.source
    has_tags = any(query.tags for query in loaded.scores.queries)
    defaults: dict[str, Any] = {"beta": float(loaded.config.beta), "tau": float(loaded.config.tau)}
    defaults |= {"normalise": loaded.config.normalise, "tagger": "given" if has_tags else "clusters"}
    st.session_state.update({f"train-{name}": value for name, value in defaults.items()})


def find_tags(session: Session, loaded: LoadedScores, tagger: str, ensemble: Ensemble) -> Tags | None:
    """The tags of each query; None while they are computed."""
    scores, key = loaded.scores, f"{loaded.key} {tagger}"
    if tagger in ("given", "none"):
        return [query.tags if tagger == "given" else () for query in scores.queries]
    task = session.tagging
    if task is None or task.about != key or task.problem:
        if task:
            task.stop()
        task = session.tagging = Task(lambda task: _tag_queries(task, scores, tagger, ensemble), key)
    result = draw_until_result(task, "train-tag", "Tagging")
    if task.stopped:
        st.button("Resume", key="train-tag-again", on_click=setattr, args=(session, "tagging", None))
    return result


def _tag_queries(task: Task[Tags], scores: Scores, tagger: str, ensemble: Ensemble) -> Tags:
    texts = [query.text for query in scores.queries]
    if tagger == "clusters":
        encoder = ensemble.encoders(ensemble.fleet.encoder)
        task.report("embed", 0, len(texts))
        return choose_tags(
            scores, "clusters", encoder.embed_all(texts, lambda done: task.report("embed", done, len(texts)))
        )
    tags: list[tuple[str, ...]] = []
    for first in range(0, len(texts), BATCH):
        rows = ensemble.tagger.tag_all(scores.queries[first : first + BATCH])
        tags += [tuple(tag.name for tag in row) for row in rows]
        task.report("tag", len(tags), len(texts))
    return tags


def _draw_label(scores: Scores, tags_of_all: Tags, config: LabelConfig) -> None:
    """Draw the label, as a bar, of the query whose own scores and kind differ most, and where it comes from."""
    labels = label(scores.scores, scores.datasets, tags_of_all, config)
    pool, row = scores.candidates, int(np.abs(labels.plain - labels.prior).sum(axis=1).argmax())
    draw_query(scores.queries[row].text)
    shares = {"plain": labels.plain[row], "prior": labels.prior[row], "enhanced": labels.enhanced[row]}
    label_of = dict(zip(pool, labels.enhanced[row].tolist(), strict=True))
    first = charts.by_share(label_of)[:MOST]
    alt = f"The query's label: {charts.in_words(dict(first))}"
    charts.redraw(bar_chart(label_of), "train-bar", alt, HEIGHT)
    st.markdown(" ".join(charts.badge(pool, name, f"{share:.0%}") for name, share in first))
    all_tags = by_words(tags_of_all)
    tags = all_tags[row]
    st.markdown(describe_label(pool, shares, config, bool(tags)))
    if tags:
        names = [f"{tag} ({sum(tag in others for others in all_tags):,} queries)" for tag in tags[:FEW_TAGS]]
        st.caption("Of the same kind, by tag: " + plain(", ".join(names)))
    else:
        st.caption("This query has no tags, so its label is its own scores alone.")


def bar_chart(shares: Mapping[str, float]) -> Figure:
    """A single stacked bar of the models' shares."""
    pool, bars = list(shares), []
    for name, share in shares.items():
        sentence, fill = f"{clipped(name, 80)} has {share:.0%} of the label.", charts.colour(pool, name)
        bars.append(charts.bars([share], [0], fill, [sentence], name=charts.label(name), orientation="h"))
    across, margin = charts.BARE | {"range": [0, 1]}, {"l": 0, "r": 0, "t": 4, "b": 4}
    return framed(bars, barmode="stack", bargap=0, margin=margin, xaxis=across, yaxis=charts.BARE)


def describe_label(pool: tuple[str, ...], shares: dict[str, Any], config: LabelConfig, tagged: bool) -> str:
    """How clear the query's own scores are, what its kind says, and how both are combined, as Markdown."""
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
