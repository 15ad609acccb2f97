"""The figures of evaluations: what `zooter evaluate --json`, report.json and sweep.json hold, and how those are read.

`evaluate` and `sweep` make them; `report_tables`, the command line and the pages draw them. A figure is NaN here, and
null in JSON, where no query has a score for it. Parts that other rooms compute are theirs: `SelectionReport`,
`Reliability`, `Spent`, `Trade`, `Verified` and `Thinking`.
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
Interval = tuple[End, End]  # of 95%: from, to; NaN where the values have no spread
ByName = dict[str, float]  # a figure for each candidate or method
Source = Literal["held-back", "cross-validation", "judged"]  # of the queries of a verdict
Part = TypeVar("Part")


@dataclass(frozen=True)
class BestSingle:
    """The candidate with the highest mean."""

    candidate: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Means:
    """Mean scores, over data sets that count the same; `rmr` where every candidate's response has a reward."""

    chosen: float
    regret: float
    oracle: float
    random: float
    best_single: BestSingle
    rmr: float | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetMeans(Means):
    """Mean scores over the `n` queries of a data set; on `scored` of them the router's choice has a score."""

    n: int
    candidates: ByName
    scored: int | None = None


@dataclass(frozen=True)
class Share:
    """A share with its 95% interval, of `n` queries where that is known."""

    share: float
    interval: Interval
    n: int | None = None


@dataclass(frozen=True)
class Baseline:
    """Another way of choosing: its mean scores, and the 95% interval of the router's score minus its own."""

    n: int
    chosen: float
    regret: float
    datasets: ByName
    router_minus: Interval
    hindsight: bool


@dataclass(frozen=True)
class Kind:
    """A kind of query, which is a data set or a tag, and what routing gains or loses there."""

    name: str
    n: int
    difference: float


@dataclass(frozen=True)
class Verdict(Difference):
    """Whether routing beats always using one candidate: its mean score minus that of the candidate."""

    difference: End  # null in JSON instead of NaN
    # The best single candidate: in `hindsight` of the same queries, else of those that the router learned from. Of two
    # routers, the other one.
    against: str
    source: Source  # where the queries come from: `held-back`, `cross-validation`, or `judged` (given to `evaluate`)
    hindsight: bool
    points: bool  # all scores are in [0, 1], so that sentences count in hundredths
    # Candidates that the router never chose; empty on few queries (`evaluate.NEVER`).
    never_needed: list[str] = field(default_factory=list)
    # The kinds of queries with a significant difference, the largest first.
    gains: list[Kind] = field(default_factory=list)
    loses: list[Kind] = field(default_factory=list)
    # Cost of a thousand queries, where prices are known.
    dollars: float | None = None
    dollars_against: float | None = None
    # Tokens of an answer, where they are not.
    tokens: float | None = None
    tokens_against: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """How well a router chooses.

    Averages are unweighted over data sets. MTR and %Uplift rank the router, each candidate, RMR and the oracle;
    `single` leaves out the methods that need every candidate's response. What is None has not been computed.
    """

    n: int
    datasets: dict[str, DatasetMeans]
    average: Means
    mtr: ByName
    uplift: ByName
    single: dict[Literal["mtr", "uplift"], ByName]
    interval: dict[str, Interval]  # of 95% (`metrics.interval`), by the names in INTERVALS, and of RMR
    mean: ByName  # over queries, by the names in MEANS, and of RMR
    gap_closed: Share | None  # of the gap between the best single candidate and the oracle; None where there is none
    calibration: Reliability
    # How often the router and the best single candidate are the best choice.
    best_choice: dict[Literal["router", "best_single"], Share | None]
    counts: dict[str, Any]  # on how many queries each of the means and intervals stands, and each of the `candidates`
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
        """Whether the reward model judges by the very scores that RMR is judged by, so that it tells nothing new."""
        return "rmr" in self.mean and math.isclose(self.mean["rmr"], self.mean["oracle"])

    @property
    def share_of_gap(self) -> float | None:
        """(router - best single) / (oracle - best single), over queries; None where there is nothing to gain."""
        if self.gap_closed:  # of queries that have all three scores
            return self.gap_closed.share
        gap = self.mean["regret_best_single"]
        return None if gap <= 0 else 1 - self.mean["regret"] / gap


@dataclass(frozen=True)
class SweepRow:
    """The figures of one beta and tau, on the `n` queries where a choice has a score."""

    beta: float
    tau: float
    mean: float
    interval: Interval
    regret: float
    minus_best: Interval
    n: int | None = None


@dataclass(frozen=True)
class Sweep:
    """What `zooter evaluate --sweep --json` prints. `best` has the beta and tau of the row with the highest mean."""

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
    """What each candidate earned on the queries of one source; `scored`: on how many of them, where not on all."""

    n: int
    mean_reward: ByName
    share_of_wins: ByName
    reward_entropy: float
    scored: dict[str, int] | None = None


@dataclass(frozen=True)
class Report:
    """report.json: the figures of a run or of a distillation."""

    candidates: dict[str, SourceFigures]  # figures by source; `all` comes first
    # How the router does on the held-back queries, with RMR; None where no query was held back.
    held_back: Evaluation | None = None
    # The verdict on routers that each learned from a part of the training queries and chose for the rest; None if there
    # was no such training.
    cross_validation: Verdict | None = None
    # The mean KL of each epoch, in nats; empty for a router kind that is solved in one step.
    losses: list[float] = field(default_factory=list)
    set_aside: dict[str, str] = field(default_factory=dict)  # the queries without rewards: id -> why
    verified: Verified | None = None  # outcomes of the queries with answer keys; None where there are none
    # What candidates that think earn and cost beside others, by kind of query; empty where none thinks.
    thinking: list[Thinking] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.held_back:
            rows, mean = self.held_back.datasets.values(), self.held_back.mean
            if len({tuple(row.candidates) for row in rows}) > 1:
                raise ValueError("the data sets have different candidates")
            if any(value is None or math.isnan(value) for value in (mean.get("rmr"), *(row.rmr for row in rows))):
                raise ValueError("figures of rmr are missing")

    def write(self, path: Path) -> None:
        """Write report.json; empty parts are left out."""
        parts = {name: part for name, part in to_json(self).items() if part not in (None, [], {})}
        path.write_text(dump_json(parts, indent=2) + "\n", encoding="utf-8")


def to_json(figures: Any) -> Any:
    """Figures as JSON holds them: null instead of NaN, and without parts that were not computed (None by default)."""
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
    """The report.json in a folder of a fleet or a run, else the one with the fleet's router; None if there is none.

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
    """Read what `zooter evaluate --sweep --json` printed."""
    return _read(Sweep, path, "Run `zooter evaluate --sweep --json` again.")


def load_verdict(path: Path) -> Verdict:
    return _read(Verdict, path, "Make it again.")


def _read(kind: type[Part], path: Path, next_step: str) -> Part:
    try:
        return of_type(kind, parse_json(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as problem:
        raise ZooterError(f"a readable {path}", first_line(problem), next_step) from problem


def check_names(candidates: Iterable[str]) -> None:
    """Refuse a candidate with the name of a method of a report."""
    if clashes := METHODS & set(candidates):
        raise ZooterError(
            f"candidates not named like a method ({listed(sorted(METHODS))})", listed(clashes), "Rename them."
        )
