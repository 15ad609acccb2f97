"""What the Explorer shows of a router's training queries, computed once per router."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from zooter_core.base.errors import ZooterError, listed
from zooter_core.data.run_folder import REPORT
from zooter_core.evaluation import figures
from zooter_core.evaluation.figures import Calibration
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.metrics import wilson_interval
from zooter_core.method.tag_table import BINS, TagTable, entropy_counts, tag_table, winners
from zooter_core.router.neighbours import ARRAYS, RECORDS, Neighbours
from zooter_core.ui import links
from zooter_core.ui.charts import GREY, PALETTE, colour
from zooter_core.ui.explorer import query_map
from zooter_core.ui.explorer.query_map import Region, regions
from zooter_core.ui.markdown import safe
from zooter_core.ui.plots import MARK, Option, bars_of, draw, framed, hover, label
from zooter_core.ui.tables import to_csv
from zooter_core.ui.text import clipped, plain
from zooter_core.ui.widgets import download

MOST_PLACES = 1500  # queries on the map; more could not be told apart and would slow down every change
FEW, MANY = 12, 80  # tags in a heat map at first, and with *More tags*
LONGEST = 160  # characters of a query in a hover
DISTILL = "`zooter distill --run DIR` (or `zooter distill --scores FILE ... --out DIR`)"


@dataclass(frozen=True)
class Learned:
    """What the page shows of a router's training queries.

    Attributes:
        queries: how many there are.
        entropies: queries by reward entropy, shape (BINS,).
        map: the map as an ECharts option; regions: the names of its regions; spread: where a place is drawn on it.
        mean: the router's mean probability of each candidate over these queries.
    """

    pool: tuple[str, ...]
    queries: int
    table: TagTable
    entropies: NDArray[np.intp]
    map: dict[str, Any]
    regions: list[Region]
    spread: query_map.Spread
    mean: dict[str, float]


def learned(ensemble: Ensemble) -> Learned | None:
    """What the fleet's router was saved with of its training queries; None if nothing.

    Raises:
        ZooterError: the files are broken, or belong to another pool.
    """
    neighbours = ensemble.neighbours
    if neighbours is None or ensemble.fleet.router is None or not neighbours.records:
        return None
    folder = Path(ensemble.fleet.router.path)
    if set(neighbours.candidates) != set(ensemble.fleet.pool):
        raise ZooterError(
            f"training queries of the candidates {listed(ensemble.fleet.pool)} in {folder}",
            f"those of {listed(neighbours.candidates)}",
            "Train the router again with `zooter distill`.",
        )
    key = f"{folder} {' '.join(str((folder / name).stat().st_mtime_ns) for name in (ARRAYS, RECORDS))}"
    return _learned(key, ensemble.fleet.pool, neighbours)


@st.cache_resource(max_entries=8, show_spinner=False)
def _learned(key: str, pool: tuple[str, ...], _neighbours: Neighbours) -> Learned:
    columns = [_neighbours.candidates.index(name) for name in pool]
    plain = _neighbours.labels[:, columns].astype(np.float64)
    tags = [record["tags"] for record in _neighbours.records]
    rewards = _neighbours.rewards[:, columns].astype(np.float64)
    probabilities = _neighbours.probabilities[:, columns].astype(np.float64)
    rows: NDArray[np.intp] = np.arange(len(tags))
    if len(tags) > MOST_PLACES:  # a random sample, the same one every time
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_PLACES, replace=False))
    hover = [_hover(_neighbours.records[row], pool, probabilities[row], rewards[row]) for row in rows]
    spread = query_map.Spread(_neighbours.places)
    places = spread(_neighbours.places)
    option = query_map.places(pool, places[rows], winners(rewards[rows]).tolist(), hover)
    mean = dict(zip(pool, probabilities.mean(axis=0).tolist(), strict=True))
    table = tag_table(tags, rewards, probabilities)
    named = regions(places, tags)
    return Learned(pool, len(tags), table, entropy_counts(plain), option, named, spread, mean)


def _hover(
    record: dict[str, Any], pool: Sequence[str], probabilities: Sequence[float], rewards: Sequence[float]
) -> list[str]:
    short = clipped(record.get("text", ""), LONGEST)
    return [
        f"“{short}”" if short else "(saved without its text)",
        f"tags: {', '.join(record['tags']) or 'none'}",
        "router: " + ", ".join(f"{name} {p:.0%}" for name, p in zip(pool, probabilities, strict=True)),
        "rewards: " + ", ".join(f"{name} {value:.2f}" for name, value in zip(pool, rewards, strict=True)),
    ]


def reliability(ensemble: Ensemble) -> Calibration | str:
    """The calibration of the router's probabilities on held-back queries; or, in words, why it is unknown."""
    fleet = ensemble.fleet
    path = figures.find(fleet.folder, fleet.router.path if fleet.router else None)
    if path is None:
        return f"There is no {REPORT} beside this router. {DISTILL} writes it."
    try:
        held_back = figures.load_report(path).held_back
    except ZooterError as problem:
        return str(problem)
    if held_back is None:
        return (
            "No query was held back to test this router on. With score files, "
            "`zooter distill --scores FILE ... --out DIR --holdout 0.2` holds back a fifth of them."
        )
    return held_back.calibration


@st.fragment
def draw_tags(learned: Learned) -> None:
    table = learned.table
    if not table.names:
        st.info("The training queries have no tags.", icon=":material/info:")
        return
    count, order = _controls(len(table.names))
    shown = table.most(count)
    shown = shown.grouped() if order == BY_CANDIDATE else shown
    for tab, (kind, text) in zip(st.tabs(list(TABS), key="tags", on_change="rerun"), TABS.values(), strict=True):
        if not tab.open:  # it takes long to draw
            continue
        with tab:
            st.caption(text)
            alt = f"Heat map of {count} tags and {len(learned.pool)} models: {text}"
            height = ROW * count + 56 + HEADS * slanted(learned.pool)
            draw(heat_map(shown, kind, learned.pool), f"explorer-{kind}", alt, height)
    note = f"All {len(table.names)} tags with their queries, probabilities, wins and rewards."
    download("All tags as CSV", partial(as_csv, table, learned.pool), "tags.csv", help=note)


BY_CANDIDATE, BY_QUERIES = "leading model", "number of queries"
TABS: dict[str, tuple[Kind, str]] = {
    "Predicted": (
        "probability",
        "The router's mean probability that each model gives the best answer, over the training queries with the tag. "
        "A row adds up to 100%.",
    ),
    "Earned": (
        "reward",
        "Mean reward of each model's answers to the queries with the tag; higher is better. Some tags are harder than "
        "others, so compare along a row. The further a model is above the tag's mean, the deeper its colour.",
    ),
    "Difference": (
        "difference",
        "Mean probability minus how often the model actually had the highest reward, in percentage points, over the "
        "same queries. Above zero the router overrates a model, below zero it underrates it; the colour deepens with "
        "the difference. With 10 queries, one query is worth 10 points, so small tags differ by chance.",
    ),
}


def _controls(tags: int) -> tuple[int, str]:
    row = st.container(horizontal=True, vertical_alignment="bottom")
    order = row.segmented_control(
        "Sorted by",
        [BY_CANDIDATE, BY_QUERIES],
        default=BY_CANDIDATE,
        required=True,
        key="explorer-order",
        help="Group the tags by the model that leads them, or put those with the most queries first.",
        width="content",
    )
    more = tags > FEW and row.toggle(
        "More tags",
        key="explorer-more",
        help=f"Shows the {min(tags, MANY)} tags with the most training queries instead of {FEW}, of {tags}.",
    )
    return min(tags, MANY if more else FEW), order or BY_CANDIDATE


def as_csv(table: TagTable, pool: Sequence[str]) -> str:
    """The complete table: a line per tag and candidate."""
    means = {"mean_probability": table.probabilities, "share_of_wins": table.won, "mean_reward": table.rewards}
    return to_csv(
        [
            {"tag": tag, "queries": int(table.counts[row]), "candidate": name}
            | {key: round(float(values[row, column]), 4) for key, values in means.items()}
            for row, tag in enumerate(table.names)
            for column, name in enumerate(pool)
        ]
    )


def draw_starting(ensemble: Ensemble) -> None:
    links.to_exam(
        f"{plain(ensemble.router.note)} So there is nothing to show that it has learned. The exam on the page Models "
        "trains a router."
    )


def draw_missing() -> None:
    st.info(
        f"This router was saved without its training queries, so there is no map and no table of tags. {DISTILL} adds "
        "them.",
        icon=":material/info:",
    )


def draw_entropies(learned: Learned) -> None:
    alike = int(learned.entropies[-2:].sum())
    st.caption(
        "Reward entropy measures how similar the rewards of a query's answers are. Near 1 they are almost equal, and "
        "it matters little who answers; near 0 one model was far better than the rest, and a wrong choice costs most. "
        f"Here {alike / learned.queries:.0%} of {learned.queries} queries are above 0.9."
    )
    alt = "Histogram of the reward entropy of the training queries"
    draw(entropy_chart(learned.entropies.tolist()), "explorer-entropies", alt, HEIGHT)


def draw_reliability(calibration: Calibration | str) -> None:
    if isinstance(calibration, str):
        st.info(safe(calibration), icon=":material/info:")
        return
    queries = sum(one.n for one in calibration.bins)
    st.caption(
        f"{queries} held-back queries. If the router gives its choice 70%, that choice should be the best 70% of the "
        "time: the dashed line. Below the line the router is overconfident, above it underconfident. On average the "
        f"two differ by {100 * calibration.ece:.1f} percentage points (expected calibration error, ECE). "
        "Larger dots stand for more queries; the bars are 95% intervals."
    )
    alt = "Reliability diagram: probability of the chosen model against how often it was the best"
    draw(reliability_chart(calibration), "explorer-reliability", alt, HEIGHT)


Kind = Literal["probability", "reward", "difference"]
ROW, HEIGHT = 24, 340  # pixels per tag, and of the other charts
SLANT, HEADS = -40, 70  # degrees of long names above the columns, and the pixels that they take
FLAT = 32  # characters of names that fit side by side on a phone
MOST_NUMBERS = 8  # candidates up to which a heat map's cell has room for its number
DEEPEST = 0.55  # opacity of the deepest shade


def heat_map(table: TagTable, kind: Kind, pool: Sequence[str]) -> Option:
    """Tags by candidates, each candidate's column from the page's ground to its colour.

    Rewards are coloured relative to their row, because some tags are harder than others.
    """
    values = {"probability": table.probabilities, "reward": table.rewards, "difference": table.difference}[kind]
    shades = np.maximum(values - values.mean(axis=1, keepdims=True), 0) if kind == "reward" else np.abs(values)
    most = 1.0 if kind == "probability" else float(shades.max(initial=0.0)) or 1.0
    columns = [
        {
            "type": "heatmap",
            "itemStyle": {"borderColor": "transparent", "borderWidth": 2},
            "label": {"show": len(pool) <= MOST_NUMBERS, "formatter": "{@[3]}", "fontSize": 13},
            "data": [
                [
                    column,
                    row,
                    float(shades[row, column]),
                    _number(values[row, column], kind),
                    *_cell_hover(table, kind, row, column, name),
                ]
                for row in range(len(table.names))
            ],
            "tooltip": hover(3, first=4),
        }
        for column, name in enumerate(pool)
    ]
    scales = [
        {"show": False, "seriesIndex": column, "dimension": 2, "min": 0, "max": most, "inRange": {"color": _scale(hue)}}
        for column, hue in enumerate(colour(pool, name) for name in pool)
    ]
    heads = {  # each model's colour below its name
        "type": "scatter",
        "yAxisIndex": 1,
        "symbol": "rect",
        "symbolSize": [24, 4],
        "silent": True,
        "data": [
            {"value": [column, 1], "itemStyle": {"color": colour(pool, name)}} for column, name in enumerate(pool)
        ],
    }
    return _tags_by_candidates([*columns, heads], table.names, pool) | {"visualMap": scales}


def _scale(hue: str) -> list[str]:
    """A colour scale from the page's ground, light or dark, to a colour on which text in the page's ink is readable."""
    red, green, blue = (int(hue[place : place + 2], 16) for place in (1, 3, 5))
    return [f"rgba({red},{green},{blue},{opacity})" for opacity in (0, DEEPEST)]


def slanted(pool: Sequence[str]) -> bool:
    """Whether the names of candidates are too long to stand side by side above the columns on a phone."""
    return len(pool) * max(map(len, pool)) > FLAT


def _tags_by_candidates(series: Sequence[Option], tags: Sequence[str], pool: Sequence[str]) -> Option:
    """The frame of the heat map: a row per tag, a column per candidate."""
    bare = {"axisLine": {"show": False}, "axisTick": {"show": False}, "splitLine": {"show": False}}
    names = {"type": "category", "position": "top", "data": [label(name) for name in pool], **bare}
    names["axisLabel"] = {"interval": 0, "overflow": "truncate", "width": 120, "rotate": SLANT * slanted(pool)}
    rows = {"type": "category", "inverse": True, "data": [label(name) for name in tags], **bare}
    rows["axisLabel"] = {"interval": 0}
    option = framed(series, xAxis=names)
    return option | {
        "grid": {"left": 4, "right": 4, "top": 12, "bottom": 4, "containLabel": True},
        "yAxis": [rows, {"show": False, "min": 0, "max": 1}],
    }


def _cell_hover(table: TagTable, kind: Kind, row: int, column: int, name: str) -> list[str]:
    p, won, reward = (values[row, column] for values in (table.probabilities, table.won, table.rewards))
    facts = {
        "probability": f"mean probability {p:.1%}",
        "reward": f"mean reward {reward:z.2f}, {reward - table.rewards[row].mean():+z.2f} from the tag's mean",
        "difference": f"router {p:.1%}, actually best {won:.1%}; difference {100 * (p - won):+z.1f} points",
    }
    count = "1 query" if table.counts[row] == 1 else f"{table.counts[row]} queries"
    return [f"{label(table.names[row])}: {label(name)}", facts[kind], count]


def _number(value: float, kind: Kind) -> str:
    """The number in a cell; probabilities in percent, their differences in percentage points."""
    if kind == "probability":
        return f"{value:.0%}"
    return f"{value:.2f}" if kind == "reward" else f"{round(100 * value) or 0:+d}".replace("+0", "0")


def entropy_chart(counts: Sequence[int]) -> Option:
    """A histogram of the reward entropy of the training queries.

    Args:
        counts: queries per bin, shape (BINS,).
    """
    edges = [(number / BINS, (number + 1) / BINS) for number in range(BINS)]
    bars = {
        "type": "bar",
        "barWidth": "94%",
        "itemStyle": {"color": PALETTE[0]},
        "data": [
            [(low + high) / 2, count, f"entropy {low:.2f} to {high:.2f}: {count} queries"]
            for (low, high), count in zip(edges, counts, strict=True)
        ],
        "tooltip": hover(),
    }
    ends = {"min": 0, "max": 1}
    return framed([bars], "reward entropy (0: one clear winner, 1: all equal)", "training queries", xAxis=ends)


def reliability_chart(calibration: Calibration) -> Option:
    """Probability against how often that candidate was the best; both agree on the dashed line."""
    bins = calibration.bins
    intervals = [wilson_interval(one.won, one.n) for one in bins]
    most = max((one.n for one in bins), default=1)
    ideal = {"type": "line", "data": [[0, 0], [100, 100]], "symbol": "none", "silent": True}
    dots = {
        "type": "line",
        "symbol": "circle",
        "clip": False,  # a dot at 100% is drawn in full
        "itemStyle": {"color": PALETTE[0]},
        "data": [
            {
                "value": [
                    100 * one.probability,
                    100 * one.won,
                    f"probability {one.start:.0%} to {one.end:.0%}: {one.n} queries",
                    f"mean {one.probability:.1%}; actually best {one.won:.1%}",
                    f"95% interval {low:.0%} to {high:.0%}",
                ],
                "symbolSize": MARK + 16 * (one.n / most) ** 0.5,
            }
            for one, (low, high) in zip(bins, intervals, strict=True)
        ],
        "tooltip": hover(3),
        "markLine": bars_of(
            [(100 * one.probability, 100 * low, 100 * high) for one, (low, high) in zip(bins, intervals, strict=True)],
            PALETTE[0],
        ),
    }
    percent = {"min": 0, "max": 100, "axisLabel": {"formatter": "{value}%"}}
    return framed(
        [ideal | {"lineStyle": {"type": "dashed", "color": GREY}}, dots],
        "probability of the chosen model",
        "how often it was the best",
        xAxis=percent,
        yAxis=dict(percent),
    )
