"""Where scores to learn from come from besides a score file: runs, and what a router keeps of its training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zooter_core.data import runs
from zooter_core.data.runs import Run
from zooter_core.data.scores import Scores
from zooter_core.errors import ZooterError
from zooter_core.strict_json import parse_json

DEPTH = 3  # folders below the one that is searched


@dataclass(frozen=True)
class FoundRun:
    """A run folder as its run.json tells of it, read without its lock.

    Attributes:
        queries: how many; 0 where the run has not begun.
        finished: its sealed steps, in order.
    """

    folder: Path
    queries: int
    pool: tuple[str, ...]
    finished: tuple[str, ...]

    @property
    def scored(self) -> bool:
        """Whether it has a reward of every response: far enough to make labels from."""
        return "score" in self.finished


def find_runs(root: str | Path) -> list[FoundRun]:
    """The run folders at most DEPTH below a folder, by name; one whose run.json cannot be read is passed over."""
    patterns = ["*/" * depth + "run.json" for depth in range(DEPTH + 1)]
    paths = sorted(path for pattern in patterns for path in Path(root).glob(pattern))
    return [run for path in paths if (run := _found(path)) is not None]


def _found(path: Path) -> FoundRun | None:
    try:
        state = parse_json(path.read_text(encoding="utf-8"))
        begun = state["steps"].get("start", {"queries": 0, "pool": []})
        return FoundRun(path.parent, int(begun["queries"]), tuple(begun["pool"]), tuple(state["seals"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None


def scores_of_run(folder: str | Path) -> Scores:
    """A run's mean rewards as scores, with its tags where it has them.

    Raises:
        ZooterError: no run is there, another process works in it, or its step score is not finished.
    """
    with Run(folder) as run:
        if not run.sealed("score"):
            raise ZooterError(
                f"a run whose step score is finished at {folder}", "it is not", "Run `zooter score --run DIR`."
            )
        scores = runs.scores(run)
        return scores.tagged(runs.tags(run)) if run.sealed("tag") else scores
