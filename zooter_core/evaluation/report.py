"""report.json and sweep.json: where they are, and how they are read and written.

`report_figures` says what they hold; `report_tables` turns it into tables and points.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from zooter_core.data.run_folder import STEPS
from zooter_core.errors import ZooterError, first_line, listed
from zooter_core.evaluation.report_figures import HeldBack, SourceFigures, Sweep
from zooter_core.strict_json import dump_json, parse_json

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
