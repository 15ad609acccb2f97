"""report.json and sweep.json: what they hold, where they are, and how they are read and written.

`report_tables` turns them into tables and points. Keys that are not named here stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, NotRequired, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator, with_config
from typing_extensions import TypedDict

from zooter_core.base.errors import ZooterError, first_line, listed
from zooter_core.base.strict_json import dump_json, parse_json
from zooter_core.data.run_folder import STEPS

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


REPORT, SWEEP = "report.json", "sweep.json"
METHODS = {"router", "oracle", "rmr"}


class Report(BaseModel):
    """report.json: the figures of a run or of a distillation.

    Attributes:
        candidates: figures by source; `all` comes first.
        held_back: None where no query was held back.
        losses: the mean KL of each epoch, in nats; empty for a router kind that is solved in one step.
        set_aside: the queries without rewards: id -> why.
    """

    model_config = ConfigDict(frozen=True, extra="allow")  # of all tables inside, too

    candidates: dict[str, SourceFigures]
    held_back: HeldBack | None = None
    losses: list[float] = []
    set_aside: dict[str, str] = {}

    @model_validator(mode="after")
    def _one_pool(self) -> Self:
        if self.held_back and len({tuple(row["candidates"]) for row in self.held_back["datasets"].values()}) > 1:
            raise ValueError("the data sets have different candidates")
        return self

    def write(self, path: Path) -> None:
        """Write report.json; empty parts are left out."""
        path.write_text(dump_json(self.model_dump(exclude_defaults=True), indent=2) + "\n", encoding="utf-8")


def find(folder: str | Path, router: str | Path | None = None) -> Path | None:
    """The report.json in a folder of a fleet or a run, else the one with the fleet's router; None if there is none.

    `zooter run` writes it beside `router/`, `zooter distill --scores` into the router's own folder.
    """
    folders = [Path(folder)] + ([] if router is None else [Path(router).parent, Path(router)])
    return next((place / REPORT for place in folders if (place / REPORT).is_file()), None)


def next_step(folder: str | Path) -> str | None:
    """The first step that a run has not finished; None if it has finished, or if there is no run."""
    path = Path(folder) / "run.json"
    if not path.is_file():
        return None
    seals = _json(path).get("seals")
    sealed = seals if isinstance(seals, dict) else {}
    return next((step for step in STEPS[1:] if step not in sealed), None)  # `collect` starts the run, too


def load_report(path: Path) -> Report:
    """Read a report.json.

    Raises:
        ZooterError: it is not JSON, or not the report of a run or a distillation.
    """
    values = _json(path)
    if not isinstance(values.get("candidates"), dict) or "all" not in values["candidates"]:
        step = "Make one with `zooter run` or `zooter distill`."
        raise ZooterError(f"the report of a run in {path}", "another kind of report", step)
    try:
        return Report.model_validate(values)
    except ValidationError as problem:
        raise _incomplete(problem, path, "Run `zooter distill` again to write the report anew.") from problem


def load_sweep(path: Path) -> Sweep:
    """Read what `zooter sweep --out` wrote."""
    try:
        return TypeAdapter(Sweep).validate_python(_json(path))
    except ValidationError as problem:
        raise _incomplete(problem, path, "Run `zooter sweep --out` again.") from problem


def _incomplete(problem: ValidationError, path: Path, next_step: str) -> ZooterError:
    first = problem.errors()[0]
    place = ".".join(map(str, first["loc"])) or path.name
    return ZooterError(f"complete figures in {path}", f"a fault at {place}: {first['msg']}", next_step)


def _json(path: Path) -> dict[str, Any]:
    try:
        value = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise ZooterError(f"a readable {path}", first_line(problem), "Make it again.") from problem
    if not isinstance(value, dict):
        raise ZooterError(f"a JSON object in {path}", type(value).__name__, "Make it again.")
    return value


def check_names(candidates: Iterable[str]) -> None:
    """Refuse a candidate with the name of a method of a report."""
    if clashes := METHODS & set(candidates):
        raise ZooterError(
            f"candidates not named like a method ({listed(sorted(METHODS))})", listed(clashes), "Rename them."
        )
