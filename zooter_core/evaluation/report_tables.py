"""An evaluation's figures in the paper's form: methods by data set (Table 1), and cost against quality."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from zooter_core.evaluation.figures import Evaluation
from zooter_core.method.selection import SelectionReport

ROUTER, RMR, ORACLE, RANDOM = "router", "RMR", "oracle", "random"
ONE, ALL = "one model", "all models"
DATASET = "dataset:"  # the prefix of the keys of data sets' columns, since a data set may be named like another column
LOWER = ("mtr", "mtr_one")  # columns where less is better
FIGURES = {  # column of a method beside its data sets -> label, and meaning
    "average": ("average", "Mean over the data sets, with equal weight whatever their size; higher is better."),
    "mtr": ("MTR", "Mean task rank: the rank among all methods, averaged over the data sets; 1 is best."),
    "uplift": ("%Uplift", "Share of the data sets where no other method has a higher mean reward."),
    "mtr_one": ("MTR, one model", "The mean task rank among the methods that run one model only; 1 is best."),
    "uplift_one": (
        "%Uplift, one model",
        "Share of the data sets where no other method that runs one model has a higher mean reward.",
    ),
}


@dataclass(frozen=True)
class Method:
    """A row of the paper's Table 1."""

    name: str
    group: str  # ONE or ALL: how many candidates run for a query
    # Column -> figure, without the columns that the report lacks. The key of a data set is DATASET and its name. The
    # other keys are `average` (over data sets), `mtr` and `uplift`, and `mtr_one` and `uplift_one`, which are among the
    # methods that run one model.
    values: Mapping[str, float] = field(default_factory=dict)


def table_one(figures: Evaluation) -> list[Method]:
    """The methods: each candidate and the router, then RMR (if the figures have it) and the oracle."""
    rows = [Method(name, ONE, _values(figures, name, means)) for name, means in _candidates(figures).items()]
    for name in (ROUTER, RMR, ORACLE):
        if name.lower() in figures.mtr:
            values = _values(figures, name.lower(), _method(figures, name))
            rows.append(Method(name, ONE if name == ROUTER else ALL, values))
    return rows


def _values(figures: Evaluation, key: str, means: Mapping[str, float]) -> dict[str, float]:
    values = {DATASET + dataset: mean for dataset, mean in means.items()}
    values["average"] = sum(means.values()) / len(means)
    ranks = {"mtr": figures.mtr, "uplift": figures.uplift}
    ranks |= {"mtr_one": figures.single["mtr"], "uplift_one": figures.single["uplift"]}
    return values | {column: rank_of[key] for column, rank_of in ranks.items() if key in rank_of}


def _candidates(figures: Evaluation) -> dict[str, dict[str, float]]:
    """Each candidate's mean reward in each data set."""
    rows = figures.datasets.items()
    return {name: {key: row.candidates[name] for key, row in rows} for name in figures.pool}


def _method(figures: Evaluation, name: str) -> dict[str, float]:
    """A method's mean reward in each data set."""
    key = "chosen" if name == ROUTER else name.lower()
    return {dataset: getattr(row, key) for dataset, row in figures.datasets.items()}


def best(methods: Sequence[Method]) -> dict[str, set[int]]:
    """Column -> the indices of the best methods among those that run one model. Figures with the same two decimals tie.

    Methods that run all models are left out, because the oracle is the best by definition.
    """
    rows = {number: method.values for number, method in enumerate(methods) if method.group == ONE}
    winners: dict[str, set[int]] = {}
    for column in dict.fromkeys(column for values in rows.values() for column in values):
        values = {number: row[column] for number, row in rows.items() if column in row}
        top = (min if column in LOWER else max)(values.values())
        winners[column] = {number for number, value in values.items() if round(value, 2) == round(top, 2)}
    return winners


@dataclass(frozen=True)
class Point:
    """The mean cost and reward per query of a candidate, a method or a point of a selection curve."""

    name: str  # a candidate (if `candidate` is set), a method, or ROUTER for a point of a selection curve
    calls: float  # models that run per query
    reward: float
    dollars: float | None = None  # the price of the responses per thousand queries; None without prices
    candidate: bool = False
    k: int = 1  # how many candidates run if the router is unsure; 1 if the point is not on a selection curve
    share: float = 0.0  # the share of unsure queries, which are above `threshold`
    threshold: float | None = None

    def cost(self, priced: bool) -> float:
        """Dollars if `priced` and there are prices, otherwise calls."""
        return self.dollars if priced and self.dollars is not None else self.calls

    def described(self, priced: bool) -> str:
        """Reward and cost in words."""
        in_dollars = priced and self.dollars is not None
        cost = f"{self.dollars:.4g} dollars per thousand queries" if in_dollars else f"{self.calls:.2f} calls per query"
        return f"a mean reward of {self.reward:.3f} for {cost}"


def named(figures: Evaluation) -> list[Point]:
    """Each candidate alone, a random one, the router, RMR and the oracle."""
    dollars = figures.dollars
    counts = [row.n for row in figures.datasets.values()]

    def reward(means: Mapping[str, float]) -> float:
        return float(sum(n * mean for n, mean in zip(counts, means.values(), strict=True)) / sum(counts))

    pool, costs = _candidates(figures), dollars.candidates if dollars else {}
    points = [Point(name, 1, reward(means), costs.get(name), True) for name, means in pool.items()]
    methods = {RANDOM: (1, "random"), ROUTER: (1, "chosen"), RMR: (len(pool), "all"), ORACLE: (len(pool), "all")}
    for name, (calls, key) in methods.items():
        points.append(Point(name, calls, reward(_method(figures, name)), getattr(dollars, key, None)))
    return points


def curves(selection: SelectionReport) -> dict[int, list[Point]]:
    """k -> the points of its curve, in ascending order of the share of queries that are sent to k candidates."""
    return {
        curve.k: [
            Point(
                ROUTER,
                point.calls,
                point.score,
                point.dollars,
                k=curve.k,
                share=(point.calls - 1) / (curve.k - 1),
                threshold=point.threshold,
            )
            for point in curve.points
        ]
        for curve in selection.used
    }


def frontier(points: Collection[Point], priced: bool) -> list[Point]:
    """The Pareto-optimal points in order of cost: no other point has a higher reward at the same or lower cost."""
    optimal: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost(priced), -point.reward)):
        if not optimal or point.reward > optimal[-1].reward:
            optimal.append(point)
    return optimal
