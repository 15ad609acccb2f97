"""Step 2 of the Train page: how scores become labels, shown on one query; and a sweep over beta."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from zooter_core.base.errors import ZooterError
from zooter_core.data.scores import Scores
from zooter_core.evaluation import sweep
from zooter_core.evaluation.figures import Sweep
from zooter_core.evaluation.sweep import Point, SweepConfig
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.labels import LabelConfig, Labels, entropy, label
from zooter_core.pipeline.train import tags_of
from zooter_core.router.kinds import DistillConfig
from zooter_core.ui import tables
from zooter_core.ui.answer_view import draw_query
from zooter_core.ui.charts import GREY, badge, colour
from zooter_core.ui.sweep_view import draw_sweep, draw_table
from zooter_core.ui.text import clipped, plain
from zooter_core.ui.train import steps
from zooter_core.ui.train.code import LoadedScores, TrainingData, sweep_command
from zooter_core.ui.train.steps import Session, Task, draw_end, draw_log, draw_task, heavy_work, result_of
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


def tags_of_queries(
    session: Session, loaded: LoadedScores, tagger: str, ensemble: Ensemble
) -> Sequence[Sequence[str]] | None:
    """The tags of each query; None while they are computed."""
    scores, key = loaded.scores, f"{loaded.key} {tagger}"
    if tagger in ("given", "none"):
        return [query.tags if tagger == "given" else () for query in scores.queries]
    if key not in session.tagging or session.tagging[key].problem:
        for old in session.tagging.values():
            old.stop()
        session.tagging = {key: Task(lambda task: _tag(task, scores, tagger, ensemble), heavy_work())}
    task = session.tagging[key]
    result = result_of(task, "train-tag", "Tagging")
    if task.stopped:
        st.button("Resume", key="train-tag-again", on_click=session.tagging.clear)
    return result


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
    return f"beta {session.data.config.beta:g}, {TAGGERS[session.data.tagger]}"


def draw(session: Session, ensemble: Ensemble) -> None:
    """One query's label, which follows beta; the rest of the settings, and a sweep, below."""
    loaded = session.scores
    assert loaded is not None  # step 1 comes first
    use_defaults(session, loaded)
    st.markdown(
        "The router learns one label per query: how likely each model is to answer it best. A label mixes the query's "
        "own scores with those of queries of the same kind. Move beta and watch."
    )
    picture = st.container()  # drawn last: it depends on what is below it
    with picture:
        beta = st.slider(BETA, 0.0, 1.0, step=0.05, **persistent("train-beta", BETA_HELP))
    with st.expander("Advanced", expanded=session.sweep is not None, icon=":material/tune:"):
        config, tagger = advanced(beta, ensemble)
        with picture:
            tags = tags_of_queries(session, loaded, tagger, ensemble)
        if tags is None:
            session.data = None
            return
        data = session.data = TrainingData(loaded, tags, tagger, config)
        labels = label(data.scores.scores, data.scores.datasets, tags, config)
        row = _pick(data, labels)
        if row is not None:
            _table(data, labels, row)
        _draw_sweep(session, data, ensemble)
    with picture:
        if row is not None:
            _label(data, labels, row)
        steps.next_button(session, 3, "Next: train")


def _label(data: TrainingData, labels: Labels, row: int) -> None:
    """A query, its label as a bar, and where the label comes from."""
    pool = data.scores.candidates
    draw_query(data.scores.queries[row].text)
    shares = {"plain": labels.plain[row], "prior": labels.prior[row], "enhanced": labels.enhanced[row]}
    share, highest = labels.enhanced[row], np.max(list(shares.values()), axis=0)
    columns: list[int] = sorted(np.argsort(-highest, kind="stable")[:MOST].tolist())
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
    return rows.tolist()


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


BETAS = tuple(number / 10 for number in range(11))
FOLDS_HELP = "The queries are split into this many parts; each is held back once."
SEEDS_HELP = "How often to repeat this with another split."


def _draw_sweep(session: Session, data: TrainingData, ensemble: Ensemble) -> None:
    st.markdown("**Does beta matter on these scores?**")
    st.markdown(
        "For each beta, cross-validation trains routers on some of the queries and evaluates them on the rest, until "
        "every query was held back once."
    )
    config = _sweep_settings(data)
    task = session.sweep
    running = task is not None and task.running
    st.button(
        "Sweep beta", icon=":material/stacked_line_chart:", disabled=running or config is None,
        on_click=_begin_sweep, args=(session, data, config, ensemble),
    )  # fmt: skip
    if task is not None:
        if running:
            draw_task(task, "train-sweep", draw_table)
        else:
            _draw_swept(task)
    if config is not None:
        steps.command(sweep_command(data, config, ensemble.fleet), data.loaded)


def _begin_sweep(session: Session, data: TrainingData, config: SweepConfig, ensemble: Ensemble) -> None:
    session.sweep = Task(partial(_sweep, data=data, config=config, ensemble=ensemble), heavy_work())


def _sweep_settings(data: TrainingData) -> SweepConfig | None:
    betas = st.multiselect("Betas", BETAS, SweepConfig.betas, lambda beta: f"{beta:g}", **persistent("train-betas"))
    left, right = st.columns(2)
    folds = left.slider("Folds", 2, 10, 3, **persistent("train-folds", FOLDS_HELP))
    seeds = right.slider("Seeds", 1, 5, 1, **persistent("train-seeds", SEEDS_HELP))
    try:
        config = SweepConfig(tuple(sorted(betas)), (data.config.tau,), data.config.normalise, folds, seeds)
    except ZooterError:
        st.caption("Choose at least one beta.")
        return None
    st.caption(f"This trains {len(betas) * folds * seeds} routers.")
    return config


def _sweep(task: Task[Any], data: TrainingData, config: SweepConfig, ensemble: Ensemble) -> Sweep | None:
    vectors = embedded(task, [query.text for query in data.scores.queries], ensemble)
    means: dict[Point, Any] = {}
    task.add_to_log(f"{len(config.points)} betas, {config.folds} folds, {config.seeds} seeds, on {data.loaded.name}")
    routers = sweep.earned(data.scores, data.tags, vectors, config, DistillConfig(), task.report)
    figures: Sweep | None = None
    for (beta, tau), values in routers:
        means[beta, tau] = values
        figures = sweep.figures(data.scores, config, means).but(total=len(config.points))
        task.partial = figures
        task.add_to_log(f"beta {beta:g}: mean score {values.mean():.4f}")
    return figures


def _draw_swept(task: Task[Any]) -> None:
    figures = task.result or task.partial
    if task.stopped and figures:
        st.info(f"Stopped: {len(figures.rows)} of {figures.total} betas are done.", icon=":material/stop_circle:")
    else:
        draw_end(task, "The sweep")
    if figures:
        draw_sweep(figures)
        draw_log(task)
