"""The figures of evaluations: what `zooter evaluate --json`, report.json and sweep.json hold, and how those are read.

`evaluate` and `sweep` make them; `report_tables`, the command line and the pages draw them. A figure is NaN here, and
null in JSON, where no query has a score for it. Keys that are not named here stay.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from zooter_core.base.errors import ZooterError, first_line, listed
from zooter_core.base.strict_json import dump_json, parse_json
from zooter_core.data.run_folder import REPORT, STEPS
from zooter_core.method.thinking import Thinking

SWEEP = "sweep.json"
METHODS = {"router", "oracle", "rmr"}
REGRETS = ("regret", "regret_best_single", "regret_random")
MEANS = ("chosen", *REGRETS, "oracle", "best_single", "random")
INTERVALS = ("chosen", *REGRETS, "chosen_minus_best_single", "chosen_minus_random")
NAN = math.nan
End = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
Interval = tuple[End, End]  # of 95%: from, to; NaN where the values have no spread
ByName = dict[str, float]  # a figure for each candidate or method
Source = Literal["held-back", "cross-validation", "judged"]  # of the queries of a verdict
Part = TypeVar("Part", bound="Figures")


class Figures(BaseModel):
    """A part of the figures."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    def to_json(self) -> dict[str, Any]:
        """The figures as JSON holds them: None instead of NaN, and without the parts that were not computed."""
        figures: dict[str, Any] = _without_nan(self.model_dump(exclude_unset=True, by_alias=True))
        return figures

    def but(self, **parts: Any) -> Self:
        """A copy with other parts."""
        return self.model_copy(update=parts)


def _without_nan(figures: Any) -> Any:
    if isinstance(figures, dict):
        return {key: _without_nan(value) for key, value in figures.items()}
    if isinstance(figures, list | tuple):
        return [_without_nan(value) for value in figures]
    return None if isinstance(figures, float) and math.isnan(figures) else figures


class BestSingle(Figures):
    """The candidate with the highest mean."""

    candidate: str
    score: float


class Means(Figures):
    """Mean scores over the queries of one data set, or over data sets, each counting the same.

    Further methods are further keys. What follows `rmr` is of a data set alone: on `scored` of its `n` queries the
    router's choice has a score.
    """

    chosen: float
    regret: float
    oracle: float
    random: float
    best_single: BestSingle
    rmr: float = NAN
    n: int = 0
    candidates: ByName = {}
    scored: int = 0


class Share(Figures):
    """A share with its 95% interval, of `n` queries where that is known."""

    share: float
    interval: Interval
    n: int = 0


class Baseline(Figures):
    """Another way of choosing: its mean scores, and the 95% interval of the router's score minus its own."""

    n: int
    chosen: float
    regret: float
    datasets: ByName
    router_minus: Interval
    hindsight: bool


class CalibrationBin(Figures):
    """The queries whose choice has a probability in a range: their number, mean probability and share of wins."""

    start: float = Field(alias="from")
    end: float = Field(alias="to")
    n: int
    probability: float
    won: float


class Reliability(Figures):
    """The expected calibration error, and the bins that have a query."""

    n: int = 0
    ece: float
    bins: list[CalibrationBin]


class CurvePoint(Figures):
    """The queries above a threshold go to k candidates."""

    calls: float
    dollars: float | None = None
    score: float
    threshold: float


class SelectionCurve(Figures):
    """Cost and quality as more and more queries go to the top k candidates, which a trigger picks.

    Attributes:
        gain: over random queries, as a difference of areas.
        area, points: the best one of a `SelectionFigures` names its curve and has none.
    """

    trigger: str
    k: Annotated[int, Field(ge=2)] = 2
    gain: float = NAN
    interval: Interval = (NAN, NAN)
    beats_random: bool = False
    area: float = NAN
    area_random: float = NAN
    points: list[CurvePoint] = []


class SelectionFigures(Figures):
    """What selection among the top k candidates costs and gains, keeping the best by score, and by a judge's reward."""

    curves: list[SelectionCurve]
    best: SelectionCurve
    n: int = 0
    judge: SelectionFigures | None = None


class Dollars(Figures):
    """What a thousand queries cost, for the responses alone; `n`: of how many queries, where not of all."""

    n: int = 0
    chosen: float
    candidates: ByName
    random: float
    all: float


class Trade(Figures):
    """Mean score and cost of choosing with prices traded in, on the `n` queries where the choice has a score.

    Attributes:
        at_0: the same of choosing by probability alone.
    """

    n: int
    score: float
    price: float
    dollars: float
    willingness: float = 0.0
    at_0: Trade | None = None
    score_minus: Interval = (NAN, NAN)


class Kind(Figures):
    """A kind of query, which is a data set or a tag, and what routing gains or loses there."""

    name: str
    n: int
    difference: float


class Verdict(Figures):
    """Whether routing beats always using one candidate, over the `n` queries where both have a score.

    Attributes:
        against: the best single candidate: in `hindsight` of the same queries, else of those that the router learned
            from. Of two routers, the other one.
        difference: mean score of routing minus that of the candidate; NaN, or null in JSON, without a query.
        interval: of 95%; null where the differences have no spread.
        differing: queries where the two scores are not the same.
        significant: the interval does not hold 0, and enough queries differ (method/verdict.py).
        queries_needed: about how many would show such a difference; null where it is significant, or nothing can be
            said.
        source: where the queries come from: `held-back`, `cross-validation`, or `judged` (given to `evaluate`).
        points: all scores are in [0, 1], so that sentences count in hundredths.
        never_needed: candidates that the router never chose; empty on fewer than NEVER queries.
        gains, loses: the kinds of queries with a significant difference, the largest first.
        dollars, dollars_against: cost of a thousand queries, where prices are known.
        tokens, tokens_against: of an answer, where they are not.
    """

    against: str
    difference: End
    interval: Interval | None
    n: int
    differing: int
    significant: bool
    queries_needed: int | None
    source: Source
    hindsight: bool
    points: bool
    never_needed: list[str] = []
    gains: list[Kind] = []
    loses: list[Kind] = []
    dollars: float | None = None
    dollars_against: float | None = None
    tokens: float | None = None
    tokens_against: float | None = None


class Evaluation(Figures):
    """How well a router chooses.

    Averages are unweighted over data sets. MTR and %Uplift rank the router, each candidate and the oracle; `single`
    leaves out the methods that need every candidate's response. What is None or empty has not been computed.

    Attributes:
        mean, interval: over queries, and the 95% intervals (`metrics.interval`), by the names in MEANS and INTERVALS;
            those of further methods are further keys.
        counts: on how many queries each of these stands, by its name, and each of the `candidates`.
    """

    n: int
    datasets: Annotated[dict[str, Means], Field(min_length=1)]
    average: Means
    mtr: ByName
    uplift: ByName
    single: dict[Literal["mtr", "uplift"], ByName]
    interval: dict[str, Interval]
    mean: ByName
    gap_closed: Share | None  # of the gap between the best single candidate and the oracle; None where there is none
    best_choice: dict[str, Share | None] = {}  # how often the router and the best single candidate are the best choice
    calibration: Reliability
    selection: SelectionFigures | None = None
    dollars: Dollars | None = None
    counts: dict[str, Any] | None = None
    baselines: dict[str, Baseline] = {}
    trade: Trade | None = None
    verdict: Verdict | None = None  # None in reports of earlier versions

    @property
    def pool(self) -> list[str]:
        """The candidates in order."""
        return list(next(iter(self.datasets.values())).candidates)

    @property
    def best_single(self) -> str:
        """The candidate with the highest average."""
        return self.average.best_single.candidate

    @property
    def share_of_gap(self) -> float | None:
        """(router - best single) / (oracle - best single), over queries; None where there is nothing to gain."""
        if self.gap_closed:  # of queries that have all three scores
            return self.gap_closed.share
        gap = self.mean["oracle"] - self.mean["best_single"]
        return None if gap <= 0 else (self.mean["chosen"] - self.mean["best_single"]) / gap

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        for part, names in (("mean", MEANS), ("interval", INTERVALS)):
            if missing := [name for name in names if name not in getattr(self, part)]:
                raise ValueError(f"{part} lacks {listed(missing)}")
        if lacking := [name for name, row in self.datasets.items() if not (row.candidates and row.n)]:
            raise ValueError(f"datasets.{lacking[0]} lacks its candidates or its number of queries")
        return self


class SweepRow(Figures):
    """The figures of one beta and tau, on the `n` queries where a choice has a score.

    The best one of a `Sweep` names its row and has none.
    """

    beta: float
    tau: float
    n: int = 0
    mean: float = NAN
    interval: Interval = (NAN, NAN)
    regret: float = NAN
    minus_best: Interval = (NAN, NAN)


class Sweep(Figures):
    """What `zooter evaluate --sweep --json` prints. `total`: the number of rows of a sweep that may be unfinished."""

    n: int
    folds: int
    seeds: int
    normalise: str
    rows: Annotated[list[SweepRow], Field(min_length=1)]
    best: SweepRow
    differs: bool
    total: int = 0
    verdict: Verdict | None = None  # of the best row

    def is_best(self, row: SweepRow) -> bool:
        return (row.beta, row.tau) == (self.best.beta, self.best.tau)

    @property
    def others(self) -> list[SweepRow]:
        return [row for row in self.rows if not self.is_best(row)]

    @property
    def as_good(self) -> list[SweepRow]:
        """The other rows with no significant difference from the best: the 95% interval reaches 0, or there is none."""
        return [row for row in self.others if not row.minus_best[1] < 0]


class SourceFigures(Figures):
    """What each candidate earned on the queries of one source; `scored`: on how many of them, where not on all."""

    n: int
    scored: dict[str, int] = {}
    mean_reward: ByName
    share_of_wins: ByName
    reward_entropy: float


class Verified(Figures):
    """What answer keys say of a run's responses.

    Attributes:
        n: queries with a key.
        right: the share of each candidate's responses that are right; NaN for one without responses.
        measured: the shares of those that have responses.
        agreement: how often the reward model gives the right one of a right and a wrong response the higher reward,
            over `pairs` of them; None where there is none.
    """

    n: int
    right: dict[str, End]
    agreement: float | None
    pairs: int

    @property
    def measured(self) -> ByName:
        return {name: share for name, share in self.right.items() if not math.isnan(share)}


class Report(Figures):
    """report.json: the figures of a run or of a distillation.

    Attributes:
        candidates: figures by source; `all` comes first.
        held_back: how the router does on the held-back queries, with RMR; None where no query was held back.
        cross_validation: the verdict on routers that each learned from a part of the training queries and chose for
            the rest; None if there was no such training.
        losses: the mean KL of each epoch, in nats; empty for a router kind that is solved in one step.
        set_aside: the queries without rewards: id -> why.
        verified: outcomes of the queries with answer keys; None where there are none.
        thinking: what candidates that think earn and cost beside others, by kind of query; empty where none thinks.
    """

    candidates: dict[str, SourceFigures]
    held_back: Evaluation | None = None
    cross_validation: Verdict | None = None
    losses: list[float] = []
    set_aside: dict[str, str] = {}
    verified: Verified | None = None
    thinking: list[Thinking] = []

    @model_validator(mode="after")
    def _check_held_back(self) -> Self:
        if self.held_back:
            rows, mean = self.held_back.datasets.values(), self.held_back.mean
            if len({tuple(row.candidates) for row in rows}) > 1:
                raise ValueError("the data sets have different candidates")
            if any(map(math.isnan, (mean.get("rmr", NAN), *(row.rmr for row in rows)))):
                raise ValueError("figures of rmr are missing")
        return self

    def write(self, path: Path) -> None:
        """Write report.json; empty parts are left out."""
        parts = {name: part for name, part in self.to_json().items() if part not in (None, [], {})}
        path.write_text(dump_json(parts, indent=2) + "\n", encoding="utf-8")


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
    finished = _json(path).get("seals") or ()
    return next((step for step in STEPS[1:] if step not in finished), None)  # `collect` starts the run, too


def load_report(path: Path) -> Report:
    """Read a report.json.

    Raises:
        ZooterError: it is not JSON, or not the report of a run or a distillation.
    """
    values = _json(path)
    if not isinstance(values.get("candidates"), dict) or "all" not in values["candidates"]:
        step = "Make one with `zooter run` or `zooter distill`."
        raise ZooterError(f"the report of a run in {path}", "another kind of report", step)
    return _read(Report, values, path, "Run `zooter distill` again to write the report anew.")


def load_sweep(path: Path) -> Sweep:
    """Read what `zooter evaluate --sweep --json` printed."""
    return _read(Sweep, _json(path), path, "Run `zooter evaluate --sweep --json` again.")


def load_verdict(path: Path) -> Verdict:
    """Read the JSON of a verdict."""
    return _read(Verdict, _json(path), path, "Make it again.")


def _read(kind: type[Part], values: dict[str, Any], path: Path, next_step: str) -> Part:
    try:
        return kind.model_validate(values)
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(map(str, first["loc"])) or path.name
        fault = f"a fault at {place}: {first['msg']}"
        raise ZooterError(f"complete figures in {path}", fault, next_step) from problem


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
