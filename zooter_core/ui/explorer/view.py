"""What the Explorer shows of a router's training queries, computed once per router."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.records import Query
from zooter_core.data.run_folder import REPORT
from zooter_core.evaluation import figures
from zooter_core.evaluation.charts import GREY, MARK, ROUTER, Figure, error_bars, framed, hover, of_names, trace
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.method.calibration import Reliability
from zooter_core.method.metrics import Array, wilson_interval
from zooter_core.method.tag_table import BINS, TagTable, entropy_counts, tag_table, winners
from zooter_core.router.clusters import by_words
from zooter_core.router.neighbours import ARRAYS, RECORDS, Neighbours
from zooter_core.ui import charts
from zooter_core.ui.explorer import query_map
from zooter_core.ui.explorer.query_map import regions
from zooter_core.ui.markdown import safe
from zooter_core.ui.tables import to_csv
from zooter_core.ui.text import clipped, plain
from zooter_core.ui.widgets import download, draw_way_to_exam

MOST_PLACES = 1500  # queries on the map; more would overlap and slow down every change
FEW, MANY = 12, 80  # tags in a heat map at first, and with *More tags*
LONGEST = 160  # characters of a query in a hover
DISTILL = "`zooter distill --run DIR` (or `zooter distill --scores FILE ... --out DIR`)"


@dataclass(frozen=True)
class Learned:
    """What the page shows of a router's training queries."""

    pool: tuple[str, ...]
    queries: int  # their number
    table: TagTable
    entropies: NDArray[np.intp]  # number of queries per bin of reward entropy, shape (BINS,)
    map: Figure
    spread: query_map.Spread  # where positions are drawn on it


def read_learned(ensemble: Ensemble) -> Learned | None:
    """The data of the page, from the training queries in the router's folder; None if it was saved without them.

    Raises:
        ZooterError: the files are damaged, or belong to another pool.
    """
    neighbours = ensemble.neighbours
    if neighbours is None or ensemble.fleet.router is None:
        return None
    folder = Path(ensemble.fleet.router.path)
    if neighbours.candidates != ensemble.fleet.pool:  # a candidate joined the fleet later
        raise ZooterError(
            f"training queries of the candidates {listed(ensemble.fleet.pool)} in {folder}",
            f"those of {listed(neighbours.candidates)}",
            "Train the router again with `zooter distill`.",
        )
    key = f"{folder} {' '.join(str((folder / name).stat().st_mtime_ns) for name in (ARRAYS, RECORDS))}"
    return _learned(key, ensemble.fleet.pool, neighbours)


@st.cache_resource(max_entries=8, show_spinner=False)
def _learned(key: str, pool: tuple[str, ...], _neighbours: Neighbours) -> Learned:
    tags = by_words([query.tags for query in _neighbours.queries])
    rewards = _neighbours.rewards.astype(np.float64)
    probabilities = _neighbours.probabilities.astype(np.float64)
    rows: NDArray[np.intp] = np.arange(len(tags))
    if len(tags) > MOST_PLACES:  # a fixed random sample
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_PLACES, replace=False))
    queries = [replace(_neighbours.queries[row], tags=tags[row]) for row in rows]
    sentences = [_sentences(*of, pool) for of in zip(queries, probabilities[rows], rewards[rows], strict=True)]
    spread = query_map.Spread(_neighbours.places)
    places = spread(_neighbours.places)
    drawn = query_map.places(pool, places[rows], winners(rewards[rows]).tolist(), sentences, regions(places, tags))
    table, entropies = tag_table(tags, rewards, probabilities), entropy_counts(_neighbours.labels.astype(np.float64))
    return Learned(pool, len(tags), table, entropies, drawn, spread)


def _sentences(
    query: Query, probabilities: Sequence[float], rewards: Sequence[float], pool: Sequence[str]
) -> list[str]:
    """The hover text of each dot: its query, and which model answered it best."""
    short = clipped(query.text, LONGEST)
    scored = {name: reward for name, reward in zip(pool, rewards, strict=True) if not math.isnan(reward)}
    leading = [name for name, reward in scored.items() if reward == max(scored.values())]
    shares = ", ".join(f"{name} {p:.0%}" for name, p in zip(pool, probabilities, strict=True))
    values = ", ".join(f"{name} {reward:z.2f}" for name, reward in scored.items())
    return [
        f"“{short}”" if short else "(saved without its text)",
        f"{' and '.join(leading)} earned the highest reward.",
        f"Tags: {', '.join(query.tags) or 'none'}.",
        f"The router gives {shares}.",
        f"The rewards are {values}.",
    ]


def read_reliability(ensemble: Ensemble) -> Reliability | str:
    """The calibration of the router's probabilities on held-back queries, or a sentence why it is unknown."""
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


@dataclass(frozen=True)
class HeatMap:
    """A number for each tag and candidate.

    Attributes:
        key: the key of the chart.
        meaning: the meaning of the numbers, as a text.
        values: computes the numbers, shape (T, N); NaN where there is no score.
        shades: computes the depth of each number's colour, from 0 to 1 (NaN and below 0: no colour).
        number: formats a number for its cell.
        sentences: templates for a cell's hover text, which `_hover` fills in.
    """

    key: str
    meaning: str
    values: Callable[[TagTable], Array]
    shades: Callable[[Array], Array]
    number: Callable[[float], str]
    sentences: tuple[str, ...]


def _up_to_one(values: Array) -> Array:
    return values / (np.nanmax(values, initial=0.0) or 1.0)


NO_SCORE = "{name} has no score for the {queries}."
TABS = {
    "Predicted": HeatMap(
        "probability",
        "The router's mean probability that each model gives the best answer, over the training queries with the tag. "
        "A row adds up to 100%.",
        lambda table: table.probabilities,
        lambda probabilities: probabilities,
        "{:.0%}".format,
        ("The router gives {name} {p:.1%} on average over the {queries}.",),
    ),
    "Earned": HeatMap(
        "reward",
        "Mean reward of each model's answers to the queries with the tag; higher is better. Some tags are harder than "
        "others, so compare along a row. The further a model is above the tag's mean, the deeper its colour.",
        lambda table: table.rewards,
        lambda rewards: _up_to_one(rewards - np.nanmean(rewards, axis=1, keepdims=True)),
        "{:z.2f}".format,
        (
            "{name} earned {reward:z.2f} on average over the {queries}.",
            "That is {from_mean:+z.2f} from the tag's mean.",
        ),
    ),
    "Difference": HeatMap(
        "difference",
        "Mean probability minus how often the model actually had the highest reward, in percentage points, over the "
        "same queries. Above zero the router overrates a model, below zero it underrates it; the colour deepens with "
        "the difference. With 10 queries, one query is worth 10 points, so small tags differ by chance.",
        lambda table: table.difference,
        lambda differences: _up_to_one(np.abs(differences)),
        lambda difference: f"{100 * difference:+z.0f}".replace("+0", "0"),
        (
            "The router gives {name} {p:.1%} on average over the {queries}; it was the best in {won:.1%}.",
            "The difference is {points:+z.1f} points.",
        ),
    ),
}
BY_CANDIDATE, BY_QUERIES = "leading model", "number of queries"


@st.fragment
def draw_tags(learned: Learned) -> None:
    table = learned.table
    if not table.names:
        st.info("The training queries have no tags.", icon=":material/info:")
        return
    count, order = _controls(len(table.names))
    shown = table.most(count)
    shown = shown.grouped() if order == BY_CANDIDATE else shown
    for tab, heat_map in zip(st.tabs(list(TABS), key="tags", on_change="rerun"), TABS.values(), strict=True):
        if not tab.open:  # drawing it takes long
            continue
        with tab:
            st.caption(heat_map.meaning)
            alt = f"Heat map of {count} tags and {len(learned.pool)} models: {heat_map.meaning}"
            height = ROW * count + 56 + HEADS * slanted(learned.pool)
            charts.draw(heat_chart(shown, heat_map, learned.pool), f"explorer-{heat_map.key}", alt, height)
    note = f"All {len(table.names)} tags with their queries, probabilities, wins and rewards."
    download("All tags as CSV", partial(as_csv, table, learned.pool), "tags.csv", help=note)


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
    """The complete table as CSV: a row per tag and candidate."""
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
    draw_way_to_exam(
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
        f"Here {alike / learned.queries:.0%} of {learned.queries:,} queries are above 0.9."
    )
    alt = "Histogram of the reward entropy of the training queries"
    charts.draw(entropy_chart(learned.entropies.tolist()), "explorer-entropies", alt, HEIGHT)


def draw_reliability(calibration: Reliability | str) -> None:
    if isinstance(calibration, str):
        st.info(safe(calibration), icon=":material/info:")
        return
    queries = sum(int(one["n"]) for one in calibration.bins)
    st.caption(
        f"Held-back queries: {queries:,}. If the router gives its choice 70%, that choice should be the best 70% of "
        "the time: the dashed line. Below the line the router is overconfident, above it underconfident. On average "
        f"the two differ by {100 * calibration.ece:.1f} percentage points (expected calibration error, ECE). "
        "Larger dots stand for more queries; the bars are 95% intervals."
    )
    alt = "Reliability diagram: probability of the chosen model against how often it was the best"
    charts.draw(reliability_chart(calibration), "explorer-reliability", alt, HEIGHT)


ROW, HEIGHT = 24, 340  # pixels per tag, and of the other charts
SLANT, HEADS = -40, 70  # angle of long names above the columns in degrees, and their height in pixels
FLAT = 32  # characters of names that fit side by side on a phone
MOST_NUMBERS = 8  # candidates; with more, a heat map's cells have no room for numbers
DEEPEST = 0.55  # opacity of the deepest shade
HEAD, TAG = 18, 22  # characters of a candidate's and a tag's name


def heat_chart(table: TagTable, shown: HeatMap, pool: Sequence[str]) -> Figure:
    """A heat map of tags by candidates. Each column is shaded from the page's background to its candidate's colour."""
    values = shown.values(table)
    shades = np.maximum(np.nan_to_num(shown.shades(values)), 0)
    rows = range(len(table.names))
    scale: Figure = {"zmin": 0, "zmax": 1, "showscale": False, "xgap": 2, "ygap": 2}
    columns, underlines = [], []  # a line below each model's name has its colour
    for column, name in enumerate(pool):
        hue, z = charts.colour(pool, name), shades[:, [column]].tolist()
        hovers = [[_hover(table, shown, row, column, name)] for row in rows]
        cells = trace("heatmap", [column], rows, z=z, colorscale=_scale(hue), **scale)
        columns.append(cells | {"hovertext": hovers, "hoverinfo": "text"})
        ends = {"x0": column - 0.2, "x1": column + 0.2, "y0": 1, "y1": 1}
        underlines.append({"type": "line", "xref": "x", "yref": "paper", **ends, "line": {"color": hue, "width": 4}})
    across, down = zip(*[(column, row) for row in rows for column in range(len(pool))], strict=True)
    words = ["–" if math.isnan(value) else shown.number(value) for row in values for value in row]
    numbers = trace("scatter", across, down, mode="text", text=words, textfont={"size": 13})
    names = of_names([clipped(name, HEAD) for name in pool], tickangle=SLANT * slanted(pool), side="top")
    tags = of_names([clipped(name, TAG) for name in table.names])
    margin = {"l": 4, "r": HEADS if slanted(pool) else 4, "t": 12, "b": 4}
    heads = names | {"range": names["range"][::-1]}
    traces = [*columns, numbers] if len(pool) <= MOST_NUMBERS else columns
    return framed(traces, xaxis=heads, yaxis=tags, margin=margin, shapes=underlines)


def _scale(hue: str) -> list[tuple[int, str]]:
    """A colour scale from the page's background, light or dark, to a shade on which the page's text is readable."""
    red, green, blue = (int(hue[place : place + 2], 16) for place in (1, 3, 5))
    return [(end, f"rgba({red},{green},{blue},{DEEPEST * end})") for end in (0, 1)]


def slanted(pool: Sequence[str]) -> bool:
    """Whether the names of candidates are too long to fit side by side above the columns on a phone."""
    return len(pool) * max(map(len, pool)) > FLAT


def _hover(table: TagTable, shown: HeatMap, row: int, column: int, name: str) -> str:
    """The hover text of a cell."""
    p, won, reward = (values[row, column] for values in (table.probabilities, table.won, table.rewards))
    count, tag = table.counts[row], clipped(table.names[row], LONGEST)
    words = {"name": clipped(name, LONGEST), "queries": f"{count} {'query' if count == 1 else 'queries'} tagged {tag}"}
    numbers = {"p": p, "won": won, "points": 100 * (p - won), "reward": reward}
    numbers["from_mean"] = reward - np.nanmean(table.rewards[row])
    lines = (NO_SCORE,) if math.isnan(shown.values(table)[row, column]) else shown.sentences
    return hover(*(line.format(**words, **numbers) for line in lines))


def entropy_chart(counts: Sequence[int]) -> Figure:
    """A histogram of the reward entropy of the training queries.

    Args:
        counts: queries per bin, shape (BINS,).
    """
    edges = [(number / BINS, (number + 1) / BINS) for number in range(BINS)]
    hovers = [
        f"{count} queries have an entropy from {low:.2f} to {high:.2f}."
        for (low, high), count in zip(edges, counts, strict=True)
    ]
    bars = charts.bars([sum(ends) / 2 for ends in edges], counts, GREY, hovers, width=0.94 / BINS)
    return framed([bars], "reward entropy (0: one winner, 1: all equal)", "training queries", xaxis={"range": [0, 1]})


def reliability_chart(calibration: Reliability) -> Figure:
    """Predicted probability against how often the candidate was the best. The dashed line is perfect calibration."""
    bins = calibration.bins
    intervals = [wilson_interval(one["won"], int(one["n"])) for one in bins]
    most = max((one["n"] for one in bins), default=1)
    ideal = charts.line([0, 1], [0, 1], {"color": GREY, "dash": "dash", "width": 1.5})
    won = [one["won"] for one in bins]
    hovers = [
        f"In {one['n']:.0f} queries, the choice had a probability from {one['from']:.0%} to {one['to']:.0%}.\n"
        f"The mean was {one['probability']:.1%}, and it was the best in {one['won']:.1%} "
        f"(95% interval {low:.0%} to {high:.0%})."
        for one, (low, high) in zip(bins, intervals, strict=True)
    ]
    marker = {"size": [MARK + 16 * (one["n"] / most) ** 0.5 for one in bins]}
    dots = charts.dots(
        [one["probability"] for one in bins], won, marker, hovers,
        mode="lines+markers", line={"color": ROUTER}, error_y=error_bars(won, intervals, ROUTER),
    )  # fmt: skip
    across, up = "probability of the chosen model", "how often it was the best"
    percent = {"range": [0, 1], "tickformat": ".0%"}
    return framed([ideal, dots], across, up, xaxis=percent, yaxis=percent | {"range": [0, 1.02]})
