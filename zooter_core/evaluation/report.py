"""report.json and sweep.json as the tables and points of the paper: methods by data set, cost and quality, beta.

Numbers only, out of the files that a run and `zooter sweep` leave; nothing is trained, routed or generated here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zooter_core.errors import ZooterError, first_line, listed
from zooter_core.strict_json import parse_json

REPORT, SWEEP = "report.json", "sweep.json"
ROUTER, RMR, ORACLE, RANDOM = "router", "RMR", "oracle", "random"
ONE, ALL = "one model", "all models"
DATASET = "dataset:"  # the key of a data set's column, which may be named like another column
LOWER = ("mtr", "mtr_one")  # columns where less is better
Figures = Mapping[str, Any]
Row = Mapping[str, Any]


def find(folder: str | Path, router: str | Path | None = None) -> Path | None:
    """The report.json of a fleet's folder or of a run's, else the one that lies with the fleet's router; None if none.

    `zooter run` writes it beside `router/`, `zooter distill --scores` into the router's own folder.
    """
    folders = [Path(folder)] + ([] if router is None else [Path(router).parent, Path(router)])
    return next((place / REPORT for place in folders if (place / REPORT).is_file()), None)


def next_step(folder: str | Path) -> str | None:
    """The first step that a run has not finished; None of a finished one, or where there is no run."""
    path = Path(folder) / "run.json"
    if not path.is_file():
        return None
    seals = _json(path).get("seals", {})
    return next((step for step in ("collect", "score", "tag", "label", "distill") if step not in seals), None)


def load_report(path: Path) -> dict[str, Any]:
    """A run's report.json.

    Raises:
        ZooterError: it is no JSON, or the report of something else.
    """
    found = _json(path)
    candidates = found.get("candidates")
    if not isinstance(candidates, dict) or "mean_reward" not in candidates.get("all", {}):
        raise ZooterError(
            f"the report of a run in {path}",
            "another kind of report",
            "Make one with `zooter run` or `zooter distill`.",
        )
    if "held_back" in found:
        try:
            _check(found["held_back"])
        except (KeyError, TypeError, ValueError, ZeroDivisionError, StopIteration) as problem:
            raise ZooterError(
                f"a whole report in {path}",
                f"one that cannot be read ({type(problem).__name__}: {first_line(problem)})",
                "Make the run's report again with `zooter distill`.",
            ) from problem
    return found


def _check(held_back: Figures) -> None:
    """Look at all that is read of it later, so that what is missing shows now."""
    named(held_back), table_one(held_back), [curves(held_back, trigger) for trigger in triggers(held_back)]
    held_back["n"], held_back["average"]["best_single"]["candidate"]
    regrets = ("regret", "regret_best_single", "regret_random")
    for key in ("chosen", "oracle", "best_single", *regrets):
        float(held_back["mean"][key])
    for key in regrets:
        _low, _high = held_back["interval"][key]


def load_sweep(path: Path) -> dict[str, Any]:
    """What `zooter sweep --out` wrote.

    Raises:
        ZooterError: it is no JSON, or no sweep.
    """
    found = _json(path)
    keys = {"beta", "tau", "mean", "interval", "regret", "minus_best"}
    rows = found.get("rows")
    if not (isinstance(rows, list) and rows and all(isinstance(row, dict) and keys <= row.keys() for row in rows)):
        raise ZooterError(f"the figures of a sweep in {path}", "something else", "Make it with `zooter sweep --out`.")
    if missing := {"n", "folds", "seeds", "best", "differs"} - found.keys():
        raise ZooterError(f"a whole sweep in {path}", f"no {listed(sorted(missing))}", "Make it again.")
    return found


def _json(path: Path) -> dict[str, Any]:
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise ZooterError(f"a readable {path}", first_line(problem), "Make it again.") from problem
    if not isinstance(found, dict):
        raise ZooterError(f"a JSON object in {path}", type(found).__name__, "Make it again.")
    return found


@dataclass(frozen=True)
class Method:
    """A row of the paper's Table 1.

    Attributes:
        group: ONE or ALL: how many candidates run for a query.
        values: column -> figure; a column that the report does not hold is left out. Data sets are keyed by DATASET and
            their name; the others are `average` (over data sets), `mtr`, `uplift`, and the last two among the methods
            that run one model: `mtr_one`, `uplift_one`.
    """

    name: str
    group: str
    values: Mapping[str, float] = field(default_factory=dict)


def table_one(held_back: Figures) -> list[Method]:
    """Each candidate and the router, then RMR and the oracle.

    A report of an older Zooter holds only the ranks of RMR, which then has no figure by data set.
    """
    rows = [Method(name, ONE, _values(held_back, name, of)) for name, of in _candidates(held_back).items()]
    for name in (ROUTER, RMR, ORACLE):
        if name.lower() in held_back["mtr"]:
            found = _values(held_back, name.lower(), _method(held_back, name))
            rows.append(Method(name, ONE if name == ROUTER else ALL, found))
    return rows


def _values(held_back: Figures, key: str, means: Mapping[str, float]) -> dict[str, float]:
    found = {DATASET + dataset: mean for dataset, mean in means.items()}
    if means:
        found["average"] = sum(means.values()) / len(means)
    ranked = {"mtr": held_back["mtr"], "uplift": held_back["uplift"]}
    alone = held_back.get("single", {})
    ranked |= {"mtr_one": alone.get("mtr", {}), "uplift_one": alone.get("uplift", {})}
    return found | {column: float(of[key]) for column, of in ranked.items() if key in of}


def pool_of(held_back: Figures) -> list[str]:
    """The candidates in order."""
    return list(next(iter(held_back["datasets"].values()))["candidates"])


def _candidates(held_back: Figures) -> dict[str, dict[str, float]]:
    """Each candidate's mean reward in each data set."""
    rows = held_back["datasets"].items()
    return {name: {key: float(row["candidates"][name]) for key, row in rows} for name in pool_of(held_back)}


def _method(held_back: Figures, name: str) -> dict[str, float]:
    """A method's mean reward in each data set; empty where the report does not hold it."""
    key = "chosen" if name == ROUTER else name.lower()
    return {dataset: float(row[key]) for dataset, row in held_back["datasets"].items() if key in row}


def best(methods: Sequence[Method]) -> dict[str, set[int]]:
    """Column -> the numbers of the methods that do best there, of those that run one model.

    Those that run all of them are left out: the oracle is the best by what it is.
    """
    rows = {number: method.values for number, method in enumerate(methods) if method.group == ONE}
    found: dict[str, set[int]] = {}
    for column in dict.fromkeys(column for values in rows.values() for column in values):
        values = {number: row[column] for number, row in rows.items() if column in row}
        top = (min if column in LOWER else max)(values.values())
        found[column] = {number for number, value in values.items() if value == top}
    return found


@dataclass(frozen=True)
class Point:
    """What a way of answering costs and earns a query, on average over queries.

    Attributes:
        name: a candidate (where `candidate`), a method, or ROUTER for a point of its selection.
        k: candidates that run where the router is unsure; 1 of a point that is no selection.
        share: of the queries that are unsure: those above `threshold`.
        dollars: of a thousand queries, of the responses alone; None where prices are not known.
    """

    name: str
    calls: float
    reward: float
    dollars: float | None = None
    candidate: bool = False
    k: int = 1
    share: float = 0.0
    threshold: float | None = None

    def cost(self, priced: bool) -> float:
        """Dollars or calls."""
        return self.dollars if priced and self.dollars is not None else self.calls


def named(held_back: Figures) -> list[Point]:
    """Each candidate alone, a random one, the router, RMR (where the report holds it) and the oracle."""
    paid: Figures = held_back.get("dollars") or {"candidates": {}}
    counts = [row["n"] for row in held_back["datasets"].values()]

    def reward(means: Mapping[str, float]) -> float:
        return float(sum(n * mean for n, mean in zip(counts, means.values(), strict=True)) / sum(counts))

    alone = _candidates(held_back)
    points = [Point(name, 1, reward(means), paid["candidates"].get(name), True) for name, means in alone.items()]
    ways = {RANDOM: (1, "random"), ROUTER: (1, "chosen"), RMR: (len(alone), "all"), ORACLE: (len(alone), "all")}
    for name, (calls, key) in ways.items():
        if means := _method(held_back, name):
            points.append(Point(name, calls, reward(means), paid.get(key)))
    return points


def triggers(held_back: Figures) -> list[str]:
    """The triggers whose curves the report holds, the best of them for k = 2 first; none of an older report."""
    selection = held_back.get("selection")
    if not selection:
        return []
    known = dict.fromkeys(row["trigger"] for row in selection["curves"])
    return sorted(known, key=lambda name: name != selection["best"]["trigger"])


def curves(held_back: Figures, trigger: str) -> dict[int, list[Point]]:
    """k -> the points of a trigger's curve, from no query with k candidates to all."""
    rows = [row for row in held_back["selection"]["curves"] if row["trigger"] == trigger]
    return {
        row["k"]: [
            Point(
                ROUTER,
                point["calls"],
                point["score"],
                point.get("dollars"),
                k=row["k"],
                share=(point["calls"] - 1) / (row["k"] - 1),
                threshold=point["threshold"],
            )
            for point in row["points"]
        ]
        for row in rows
    }


def frontier(points: Collection[Point], priced: bool) -> list[Point]:
    """The points that no other beats: none costs as little and earns more, nor earns as much for less; by cost."""
    found: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost(priced), -point.reward)):
        if not found or point.reward > found[-1].reward:
            found.append(point)
    return found


def is_best(row: Row, sweep: Figures) -> bool:
    """Whether a row of a sweep is the best one."""
    return all(row[key] == sweep["best"][key] for key in ("beta", "tau"))


def as_good(sweep: Figures) -> list[Row]:
    """The rows of a sweep, besides the best, whose 95% interval of the difference from it reaches 0."""
    return [row for row in sweep["rows"] if not is_best(row, sweep) and row["minus_best"][1] >= 0]


def to_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows with the same columns as a CSV file with a head; what is None is left empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
