"""The figures of report.json and sweep.json, table by table. `report` reads and writes the files.

Further keys stay, behind these: `Report` and `Sweep` settle that for the tables inside, too.
"""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

Interval = Annotated[list[float], Field(min_length=2, max_length=2)]  # of 95%: from, to
ByName = dict[str, float]  # a figure for each candidate or method


class SourceFigures(TypedDict):
    """What each candidate earned on the queries of one source; `scored`: on how many of them, where not on all."""

    n: int
    scored: NotRequired[dict[str, int]]
    mean_reward: ByName
    share_of_wins: ByName
    reward_entropy: float


class BestSingle(TypedDict):
    """The candidate with the highest mean."""

    candidate: str
    score: float


class DatasetFigures(TypedDict):
    """Mean rewards on the held-back queries of one data set."""

    n: Annotated[int, Field(ge=1)]
    chosen: float
    regret: float
    oracle: float
    random: float
    best_single: BestSingle
    candidates: Annotated[ByName, Field(min_length=1)]
    rmr: float


class Average(TypedDict):
    """Means over data sets, each data set counting the same."""

    chosen: float
    regret: float
    oracle: float
    random: float
    best_single: BestSingle


class Ranks(TypedDict):
    """MTR and %Uplift of the methods that run one model."""

    mtr: ByName
    uplift: ByName


class Means(TypedDict):
    """Means over queries."""

    chosen: float
    regret: float
    regret_best_single: float
    regret_random: float
    oracle: float
    best_single: float
    random: float
    rmr: float


class Intervals(TypedDict):
    """95% bootstrap intervals of means over queries."""

    chosen: Interval
    regret: Interval
    regret_best_single: Interval
    regret_random: Interval
    chosen_minus_best_single: Interval
    chosen_minus_random: Interval
    chosen_minus_rmr: Interval


class BestChoice(TypedDict):
    """How often a method's choice is the best candidate."""

    share: float
    interval: Interval
    n: int


class CurvePoint(TypedDict):
    """The queries above a threshold go to k candidates."""

    calls: float
    dollars: NotRequired[float]
    score: float
    threshold: float


class Curve(TypedDict):
    """Cost and quality as more and more queries go to the top k candidates."""

    trigger: str
    k: Annotated[int, Field(ge=2)]
    area: float
    area_random: float
    gain: float
    interval: Interval
    beats_random: bool
    points: list[CurvePoint]


class BestCurve(TypedDict):
    """The curve that gains most."""

    trigger: str


class Selection(TypedDict):
    """What selection among the top k candidates costs and gains."""

    curves: list[Curve]
    best: BestCurve


class Dollars(TypedDict):
    """What a thousand queries cost, for the responses alone; `n`: of how many queries, where not of all."""

    n: NotRequired[int]
    chosen: float
    candidates: ByName
    random: float
    all: float


# Functional, because `from` is a keyword of Python.
CalibrationBin = TypedDict("CalibrationBin", {"from": float, "to": float, "n": int, "probability": float, "won": float})


class Calibration(TypedDict):
    """The expected calibration error, and the bins of the chosen candidates' probabilities that have a query."""

    n: NotRequired[int]
    ece: float
    bins: list[CalibrationBin]


class HeldBack(TypedDict):
    """How the router does on the held-back queries.

    Selection needs two candidates; dollars need the price of each.
    """

    n: int
    datasets: Annotated[dict[str, DatasetFigures], Field(min_length=1)]
    average: Average
    mtr: ByName
    uplift: ByName
    single: Ranks
    interval: Intervals
    mean: Means
    gap_closed: dict[str, Any] | None
    best_choice: NotRequired[dict[str, BestChoice | None]]  # of the router and the best single candidate
    calibration: Calibration
    selection: NotRequired[Selection]
    dollars: NotRequired[Dollars]


class SweepRow(TypedDict):
    """The figures of one beta and tau."""

    beta: float
    tau: float
    mean: float
    interval: Interval
    regret: float
    minus_best: Interval


class BestRow(TypedDict):
    """The beta and tau with the highest mean."""

    beta: float
    tau: float


@with_config(ConfigDict(extra="allow"))
class Sweep(TypedDict):
    """sweep.json: what `zooter sweep --out` writes."""

    n: int
    folds: int
    seeds: int
    normalise: str
    rows: Annotated[list[SweepRow], Field(min_length=1)]
    best: BestRow
    differs: bool
