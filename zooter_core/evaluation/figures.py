"""The figures of evaluations: the contents of `zooter evaluate --json`, report.json and sweep.json, and their readers.

`evaluate` and `sweep` compute the figures; `report_tables`, the command line and the pages show them. A figure without
any scored query is NaN here, and null in JSON. The parts `SelectionReport`, `Reliability`, `Spent`, `Trade`, `Verified`
and `Thinking` are defined in the packages that compute them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator

from zooter_core.base.errors import ZooterError, first_line, listed
from zooter_core.base.strict_json import dump_json, of_type, parse_json
from zooter_core.data.prices import Spent, Trade
from zooter_core.data.run_folder import REPORT
from zooter_core.method.calibration import Reliability
from zooter_core.method.selection import SelectionReport
from zooter_core.method.thinking import Thinking
from zooter_core.method.verdict import Difference
from zooter_core.method.verified import Verified

SWEEP = "sweep.json"
METHODS = {"router", "oracle", "rmr"}
REGRETS = ("regret", "regret_best_single", "regret_random")
MEANS = ("chosen", *REGRETS, "oracle", "best_single", "random")
RANKS, CHOICES = ("mtr", "uplift"), ("router", "best_single")
INTERVALS = ("chosen", *REGRETS, "chosen_minus_best_single", "chosen_minus_random")
End = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
Interval = tuple[End, End]  # the ends of a 95% interval; NaN if the values have no spread
ByName = dict[str, float]  # a figure for each candidate or method
Source = Literal["held-back", "cross-validation", "judged"]  # the source of a verdict's queries
Part = TypeVar("Part")


@dataclass(frozen=True)
class BestSingle:
    """The candidate with the highest mean."""

    candidate: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Means:
    """Mean scores, unweighted over data sets. `rmr` is set if every candidate's response has a reward."""

    chosen: float
    regret: float
    oracle: float
    random: float
    best_single: BestSingle
    rmr: float | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetMeans(Means):
    """Mean scores over the `n` queries of a data set. The router's choice has a score on `scored` of them."""

    n: int
    candidates: ByName
    scored: int | None = None


@dataclass(frozen=True)
class Share:
    """A share of `n` queries (if their number is known) with its 95% interval."""

    share: float
    interval: Interval
    n: int | None = None


@dataclass(frozen=True)
class Baseline:
    """A baseline's mean scores, and the 95% interval of the router's score minus the baseline's."""

    n: int
    chosen: float
    regret: float
    datasets: ByName
    router_minus: Interval
    hindsight: bool


@dataclass(frozen=True)
class Kind:
    """A kind of query (a data set or a tag), and the gain or loss from routing on its queries."""

    name: str
    n: int
    difference: float


@dataclass(frozen=True)
class Verdict(Difference):
    """Whether routing beats always using one candidate: the router's mean score minus the candidate's."""

    difference: End  # null in JSON instead of NaN
    # The best single candidate: on the same queries in `hindsight`, otherwise on the queries that the router learned
    # from. If two routers are compared, the other router.
    against: str
    source: Source  # where the queries come from: `held-back`, `cross-validation`, or `judged` (given to `evaluate`)
    hindsight: bool
    points: bool  # whether all scores are in [0, 1], so that sentences show hundredths as points
    # Candidates that the router never chose; empty if there are few queries (`evaluate.NEVER`).
    never_needed: list[str] = field(default_factory=list)
    # The kinds of queries with a significant difference, the largest difference first.
    gains: list[Kind] = field(default_factory=list)
    loses: list[Kind] = field(default_factory=list)
    # Cost per thousand queries, if prices are known.
    dollars: float | None = None
    dollars_against: float | None = None
    # Tokens per answer, if prices are unknown.
    tokens: float | None = None
    tokens_against: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """How well a router chooses.

    Averages are unweighted over data sets. MTR and %Uplift rank the router, each candidate, RMR and the oracle;
    `single` leaves out the methods that need every candidate's response. Figures that were not computed are None.
    """

    n: int
    datasets: dict[str, DatasetMeans]
    average: Means
    mtr: ByName
    uplift: ByName
    single: dict[Literal["mtr", "uplift"], ByName]
    interval: dict[str, Interval]  # the 95% intervals (`metrics.interval`) of the names in INTERVALS and of RMR
    mean: ByName  # the means over queries of the names in MEANS and of RMR
    gap_closed: Share | None  # share of the gap between best single candidate and oracle; None if there is no gap
    calibration: Reliability
    # How often the router and the best single candidate are the best choice.
    best_choice: dict[Literal["router", "best_single"], Share | None]
    counts: dict[str, Any]  # the number of queries of each mean and interval, and of each of the `candidates`
    verdict: Verdict
    selection: SelectionReport | None = None
    dollars: Spent | None = None
    baselines: dict[str, Baseline] | None = None
    trade: Trade | None = None

    def __post_init__(self) -> None:
        for part, names in (("mean", MEANS), ("interval", INTERVALS), ("single", RANKS), ("best_choice", CHOICES)):
            if missing := [name for name in names if name not in getattr(self, part)]:
                raise ValueError(f"{part} lacks {listed(missing)}")
        if not self.datasets:
            raise ValueError("datasets is empty")
        if lacking := [name for name, row in self.datasets.items() if not (row.candidates and row.n)]:
            raise ValueError(f"datasets.{lacking[0]} lacks its candidates or its number of queries")

    @property
    def pool(self) -> list[str]:
        """The candidates in order."""
        return list(next(iter(self.datasets.values())).candidates)

    @property
    def best_single(self) -> str:
        """The candidate with the highest average."""
        return self.average.best_single.candidate

    @property
    def rmr_is_oracle(self) -> bool:
        """Whether RMR equals the oracle, because the evaluation uses the reward model's own scores."""
        return "rmr" in self.mean and math.isclose(self.mean["rmr"], self.mean["oracle"])

    @property
    def share_of_gap(self) -> float | None:
        """(router - best single) / (oracle - best single), over queries; None if the oracle has no gain."""
        if self.gap_closed:  # over queries with all three scores
            return self.gap_closed.share
        gap = self.mean["regret_best_single"]
        return None if gap <= 0 else 1 - self.mean["regret"] / gap


@dataclass(frozen=True)
class SweepRow:
    """The figures of one pair of beta and tau, on the `n` queries where a choice has a score."""

    beta: float
    tau: float
    mean: float
    interval: Interval
    regret: float
    minus_best: Interval
    n: int | None = None


@dataclass(frozen=True)
class Sweep:
    """The output of `zooter evaluate --sweep --json`. `best` has the beta and tau of the row with the highest mean."""

    n: int
    folds: int
    seeds: int
    normalise: str
    rows: list[SweepRow]
    best: dict[Literal["beta", "tau"], float]
    differs: bool
    verdict: Verdict | None = None  # of the best row

    def __post_init__(self) -> None:
        if not any(map(self.is_best, self.rows)):
            raise ValueError("no row is the best one")

    def is_best(self, row: SweepRow) -> bool:
        return {"beta": row.beta, "tau": row.tau} == self.best

    @property
    def best_row(self) -> SweepRow:
        return next(filter(self.is_best, self.rows))


@dataclass(frozen=True)
class SourceFigures:
    """Each candidate's rewards on the queries of one source. If some are missing, `scored` has their number."""

    n: int
    mean_reward: ByName
    share_of_wins: ByName
    reward_entropy: float
    scored: dict[str, int] | None = None


@dataclass(frozen=True)
class Report:
    """report.json: the figures of a run or of a distillation."""

    candidates: dict[str, SourceFigures]  # figures by source; `all` comes first
    # The router's figures on the held-back queries, with RMR; None if no queries were held back.
    held_back: Evaluation | None = None
    # The verdict from cross-validation on the training queries; None if there was no cross-validation.
    cross_validation: Verdict | None = None
    # The mean KL of each epoch, in nats; empty for router kinds with a closed form.
    losses: list[float] = field(default_factory=list)
    set_aside: dict[str, str] = field(default_factory=dict)  # queries without rewards: id -> reason
    verified: Verified | None = None  # outcomes of the queries with answer keys; None if there are none
    # The gain and cost of thinking by kind of query; empty if no candidate thinks.
    thinking: list[Thinking] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.held_back:
            rows, mean = self.held_back.datasets.values(), self.held_back.mean
            if len({tuple(row.candidates) for row in rows}) > 1:
                raise ValueError("the data sets have different candidates")
            if any(value is None or math.isnan(value) for value in (mean.get("rmr"), *(row.rmr for row in rows))):
                raise ValueError("figures of rmr are missing")

    def write(self, path: Path) -> None:
        """Write report.json without empty parts."""
        parts = {name: part for name, part in to_json(self).items() if part not in (None, [], {})}
        path.write_text(dump_json(parts, indent=2) + "\n", encoding="utf-8")


def to_json(figures: Any) -> Any:
    """The figures for JSON: null instead of NaN, and without parts that were not computed (None by default)."""
    if is_dataclass(figures):
        parts = {part: getattr(figures, part.name) for part in fields(figures)}
        computed = {part.name: value for part, value in parts.items() if value is not None or part.default is not None}
        return to_json(computed)
    if isinstance(figures, dict):
        return {key: to_json(value) for key, value in figures.items()}
    if isinstance(figures, list | tuple):
        return [to_json(value) for value in figures]
    return None if isinstance(figures, float) and math.isnan(figures) else figures


def find(folder: str | Path, router: str | Path | None = None) -> Path | None:
    """The report.json in the folder of a fleet or a run, otherwise that of the fleet's router; None if there is none.

    `zooter run` writes it beside `router/`, `zooter distill --scores` into the router's own folder.
    """
    folders = [Path(folder)] + ([] if router is None else [Path(router).parent, Path(router)])
    return next((place / REPORT for place in folders if (place / REPORT).is_file()), None)


def load_report(path: Path) -> Report:
    """Read a report.json. Raises ZooterError if it is not the report of a run or a distillation."""
    step = "Run `zooter distill` again to write the report anew."
    report = _read(Report, path, step)
    if "all" not in report.candidates:
        raise ZooterError(f"the report of a run in {path}", "another kind of report", step)
    return report


def load_sweep(path: Path) -> Sweep:
    """Read the output of `zooter evaluate --sweep --json`."""
    return _read(Sweep, path, "Run `zooter evaluate --sweep --json` again.")


def load_verdict(path: Path) -> Verdict:
    return _read(Verdict, path, "Make it again.")


def _read(kind: type[Part], path: Path, next_step: str) -> Part:
    try:
        return of_type(kind, parse_json(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as problem:
        raise ZooterError(f"a readable {path}", first_line(problem), next_step) from problem


def check_names(candidates: Iterable[str]) -> None:
    """Check that no candidate has the name of a method in a report."""
    if clashes := METHODS & set(candidates):
        raise ZooterError(
            f"candidates not named like a method ({listed(sorted(METHODS))})", listed(clashes), "Rename them."
        )
