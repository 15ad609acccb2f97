"""How scores become labels, shown on one query of the Train page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from zooter_core.data.scores import Scores
from zooter_core.evaluation.charts import Figure, framed
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.labels import LabelConfig, Labels, entropy, label
from zooter_core.pipeline.train import tags_of
from zooter_core.router.clusters import by_words
from zooter_core.ui import charts
from zooter_core.ui.answer_view import draw_query
from zooter_core.ui.charts import badge, colour
from zooter_core.ui.text import clipped, plain
from zooter_core.ui.train.session import LoadedScores, Session, Tags, Task, draw_until_result
from zooter_core.ui.train.settings import Settings

BATCH = 64
CLEAR, MIXED = 0.35, 0.75  # reward entropy below which the scores are clear, or mixed
FEW_TAGS = 3
MOST = 12  # models named below the picture
HEIGHT = 44  # pixels of the picture


def draw(session: Session, loaded: LoadedScores, settings: Settings, ensemble: Ensemble) -> Tags | None:
    """Draw what becomes of one query's scores. Returns the tags of all queries; None while they are computed."""
    tags = find_tags(session, loaded, settings.tagger, ensemble)
    if tags is not None:
        scores = loaded.scores
        labels = label(scores.scores, scores.datasets, tags, settings.labels)
        _draw_label(scores, tags, labels, settings.labels)
    return tags


def find_tags(session: Session, loaded: LoadedScores, tagger: str, ensemble: Ensemble) -> Tags | None:
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


def _draw_label(scores: Scores, tags_of_all: Tags, labels: Labels, config: LabelConfig) -> None:
    """The query on which its own scores and its kind differ most: its label as a bar, and where that comes from."""
    pool, row = scores.candidates, int(np.abs(labels.plain - labels.prior).sum(axis=1).argmax())
    draw_query(scores.queries[row].text)
    shares = {"plain": labels.plain[row], "prior": labels.prior[row], "enhanced": labels.enhanced[row]}
    label_of = dict(zip(pool, labels.enhanced[row].tolist(), strict=True))
    first = charts.by_share(label_of)[:MOST]
    alt = "The query's label: " + ", ".join(f"{name} {share:.0%}" for name, share in first)
    charts.redraw(bar_chart(label_of), "train-bar", alt, HEIGHT)
    st.markdown(" ".join(badge(pool, name, f"{share:.0%}") for name, share in first))
    all_tags = by_words(tags_of_all)
    tags = all_tags[row]
    st.markdown(describe_label(pool, shares, config, bool(tags)))
    if tags:
        names = [f"{tag} ({sum(tag in others for others in all_tags):,} queries)" for tag in tags[:FEW_TAGS]]
        st.caption("Of the same kind, by tag: " + plain(", ".join(names)))
    else:
        st.caption("This query has no tags, so its label is its own scores alone.")


def bar_chart(shares: Mapping[str, float]) -> Figure:
    """One bar that the models share."""
    pool, bars = list(shares), []
    for name, share in shares.items():
        sentence, fill = f"{clipped(name, 80)} has {share:.0%} of the label.", colour(pool, name)
        bars.append(charts.bars([share], [0], fill, [sentence], name=charts.label(name), orientation="h"))
    across, margin = charts.BARE | {"range": [0, 1]}, {"l": 0, "r": 0, "t": 4, "b": 4}
    return framed(bars, barmode="stack", bargap=0, margin=margin, xaxis=across, yaxis=charts.BARE)


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
