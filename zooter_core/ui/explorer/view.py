"""What a router has learned, as the Explorer shows it: worked out once for each router's folder, drawn in fragments."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from zooter_core.errors import ZooterError, listed
from zooter_core.method.tag_table import (
    Reliability,
    TagTable,
    entropy_counts,
    reliability_of,
    tag_table,
    winners,
)
from zooter_core.router.neighbours import ARRAYS, RECORDS, Neighbours
from zooter_core.strict_json import parse_json
from zooter_core.ui.explorer import charts, charts_typed
from zooter_core.ui.text import safe

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from zooter_core.ensemble import Ensemble

REPORT = "report.json"
MOST_PLACES = 1500  # queries on the map: more would not be told apart, and slow every change down
LONGEST = 160  # characters of a query in a hover
DISTILL = "`zooter distill --run DIR` (or `zooter distill --scores FILE ... --out DIR`)"


@dataclass(frozen=True)
class Seen:
    """What the page shows of a router and the queries that it learned from.

    Attributes:
        key: of the router's folder and the state of its files.
        map: the option of the map's chart; None where the folder keeps no map.
        mean: the router's mean probability of each candidate over these queries; None where it is not known.
    """

    key: str
    pool: tuple[str, ...]
    queries: int
    table: TagTable
    entropies: NDArray[np.intp]
    map: dict[str, Any] | None
    mean: dict[str, float] | None


def folder_of(engine: Ensemble) -> Path | None:
    """Where the fleet's router lies."""
    return Path(engine.fleet.router.path) if engine.fleet.router else None


def seen(engine: Ensemble) -> Seen | None:
    """What the fleet's router keeps of the queries it learned from; None where it keeps none.

    Raises:
        ZooterError: the files are broken, or of another pool.
    """
    neighbours, folder = engine.neighbours, folder_of(engine)
    if neighbours is None or folder is None or not neighbours.records:
        return None
    if set(neighbours.candidates) != set(engine.fleet.pool):
        raise ZooterError(
            f"training queries of the candidates {listed(engine.fleet.pool)} in {folder}",
            f"of {listed(neighbours.candidates)}",
            "Distill the router again: `zooter distill`.",
        )
    key = f"{folder} {' '.join(str((folder / name).stat().st_mtime_ns) for name in (ARRAYS, RECORDS))}"
    return _seen(key, engine.fleet.pool, neighbours)


@st.cache_resource(max_entries=8, show_spinner=False)
def _seen(key: str, pool: tuple[str, ...], _neighbours: Neighbours) -> Seen:
    columns = [_neighbours.candidates.index(name) for name in pool]
    plain = _neighbours.labels[:, columns].astype(np.float64)
    tags = [record["tags"] for record in _neighbours.records]
    rewards = _neighbours.rewards[:, columns].astype(np.float64)
    said = _neighbours.probabilities[:, columns].astype(np.float64)
    rows = _some(len(tags))
    words = [_words(_neighbours.records[row], pool, said[row], rewards[row]) for row in rows]
    option = charts_typed.places(pool, _neighbours.places[rows], winners(rewards[rows]).tolist(), words)
    mean = dict(zip(pool, said.mean(axis=0).tolist(), strict=True))
    return Seen(key, pool, len(tags), tag_table(tags, rewards, said, rewards), entropy_counts(plain), option, mean)


def _some(queries: int) -> NDArray[np.intp]:
    """All rows, or some taken by chance, the same ones every time."""
    if queries <= MOST_PLACES:
        return np.arange(queries)
    return np.sort(np.random.default_rng(0).choice(queries, MOST_PLACES, replace=False))


def _words(record: dict[str, Any], pool: Sequence[str], said: Sequence[float], rewards: Sequence[float]) -> list[str]:
    """The lines of a query's hover."""
    text = " ".join(record.get("text", "").split())
    shown = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return [
        f"“{shown}”" if shown else "(its text is not kept here)",
        f"tags: {', '.join(record['tags']) or 'none'}",
        "router: " + ", ".join(f"{name} {p:.0%}" for name, p in zip(pool, said, strict=True)),
        "rewards: " + ", ".join(f"{name} {value:.2f}" for name, value in zip(pool, rewards, strict=True)),
    ]


def reliability(engine: Ensemble) -> Reliability | str:
    """How far the router's probabilities can be believed; or, in words, why that is not known."""
    folder = folder_of(engine)
    paths = [folder / REPORT, folder.parent / REPORT] if folder else []
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return f"There is no {REPORT} beside this router. {DISTILL} writes it."
    try:
        found = reliability_of(parse_json(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as problem:
        return f"{path} cannot be read ({type(problem).__name__}: {problem}). {DISTILL} writes it anew."
    if found is None or not found.bins:
        return (
            "No query was kept from this router to test it on. From score files, "
            "`zooter distill --scores FILE ... --out DIR --holdout 0.2` keeps a fifth of them."
        )
    return found


@st.fragment
def tags(found: Seen) -> None:
    """The heat map of tags and candidates, three ways."""
    table = found.table
    if not table.names:
        st.info("The training queries have no tags, so there is nothing to show by tag.", icon=":material/info:")
        return
    if table.probabilities is None:
        missing("the rewards and probabilities of its training queries, which the table of tags is made of")
        return
    count, order = _controls(len(table.names))
    for tab, (kind, words) in zip(st.tabs(list(TABS)), TABS.values(), strict=True):
        with tab:
            st.caption(words)
            st.plotly_chart(
                _heat(found.key, kind, count, order, found),
                key=f"explorer-{kind}",
                config={"displayModeBar": False},
                alt=f"Heat map of {count} tags and {len(found.pool)} models: {words}",
            )
    st.download_button(
        "All tags as CSV",
        lambda: as_csv(table, found.pool),
        "tags.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
        help=f"All {len(table.names)} tags with their queries, probabilities, wins and rewards.",
    )


@st.cache_resource(max_entries=64, show_spinner=False)
def _heat(key: str, kind: charts.Kind, count: int, order: str, _found: Seen) -> go.Figure:
    """A heat map, made once: Streamlit copies a figure before it sends it."""
    shown = _found.table.most(count)
    return charts.heat(shown.grouped() if order == BY_CANDIDATE else shown, kind, _found.pool)


_entropies = st.cache_resource(max_entries=8, show_spinner=False)(charts.entropies)
_reliability = st.cache_resource(max_entries=8, show_spinner=False)(charts.reliability)


BY_CANDIDATE, BY_QUERIES = "the model that leads", "number of queries"
TABS: dict[str, tuple[charts.Kind, str]] = {
    "What the router expects": (
        "probability",
        "Mean probability: how likely each model is to give the best answer, as the router sees it, over the training "
        "queries that have the tag. A row sums to 100%.",
    ),
    "What they earned": (
        "reward",
        "Mean reward of each model's answers to the queries that have the tag; higher is better. The scale is the "
        "reward model's own, and some tags are harder than others: compare along a row. Colour shows how far a model "
        "is above or below the tag's mean.",
    ),
    "Where they differ": (
        "difference",
        "Mean probability minus how often that model truly had the highest reward, in points of a hundred, over the "
        "same queries: above zero the router overrates a model, below zero it underrates it. Of 10 queries one is "
        "worth 10 points, so small tags differ by chance.",
    ),
}


def _controls(tags: int) -> tuple[int, str]:
    left, right = st.columns(2)
    fewest = min(5, tags)
    count = tags
    if tags > fewest:
        count = left.slider(
            "Tags shown",
            fewest,
            min(tags, 80),
            min(tags, 25),
            key="explorer-tags",
            help=f"Those with the most training queries, of {tags}.",
        )
    order = right.segmented_control(
        "Sorted by",
        [BY_CANDIDATE, BY_QUERIES],
        default=BY_CANDIDATE,
        required=True,
        key="explorer-order",
        help="Tags that the same model leads stand together, or the tags with the most queries come first.",
    )
    return count, order or BY_CANDIDATE


def as_csv(table: TagTable, pool: Sequence[str]) -> str:
    """The whole table of tags: a line a tag and candidate."""
    file = io.StringIO()
    lines = csv.writer(file)
    lines.writerow(["tag", "queries", "candidate", "mean_probability", "share_of_wins", "mean_reward"])
    for row, tag in enumerate(table.names):
        for column, name in enumerate(pool):
            values = [None if v is None else v[row, column] for v in (table.probabilities, table.won, table.rewards)]
            lines.writerow([tag, int(table.counts[row]), name, *("" if v is None else f"{v:.4f}" for v in values)])
    return file.getvalue()


def missing(what: str) -> None:
    """Say what the router's folder does not keep, and the command that makes it."""
    st.info(f"This router's folder does not keep {what}. Made again by {DISTILL}, it does.", icon=":material/info:")


def entropies(found: Seen) -> None:
    """The histogram of reward entropy, in words too."""
    alike = int(found.entropies[-2:].sum())
    st.caption(
        "Reward entropy says how alike the rewards of a query's answers are. Near 1 the reward model can hardly tell "
        "them apart, and it matters little who answers; near 0 one model was far better than the rest, and a wrong "
        f"choice costs most. Here {alike / found.queries:.0%} of {found.queries} queries are above 0.9."
    )
    st.plotly_chart(
        _entropies(tuple(found.entropies.tolist())),
        key="explorer-entropies",
        config={"displayModeBar": False},
        alt="Histogram of the reward entropy of the training queries",
    )


def believed(found: Reliability | str) -> None:
    """The reliability diagram, in words too."""
    if isinstance(found, str):
        st.info(safe(found), icon=":material/info:")
        return
    st.caption(
        f"On {found.queries} queries that the router has not learned from: where it gives its choice 70%, that choice "
        "should truly be the best 70% of the time, which is the dashed line. Below the line the router is too sure, "
        f"above it too modest. On the mean query the two are {100 * found.ece:.1f} points of a hundred apart (expected "
        "calibration error, ECE). Larger dots stand for more queries; the bars are 95% intervals."
    )
    st.plotly_chart(
        _reliability(found),
        key="explorer-reliability",
        config={"displayModeBar": False},
        alt="Reliability diagram: probability of the chosen model against how often it was truly the best",
    )
