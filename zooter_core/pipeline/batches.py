"""What the steps of the pipeline share: progress, the steps before them, and batches of queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Query
from zooter_core.data.run_folder import REWARDS, TAGS
from zooter_core.data.run_lines import Check
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble

Progress = Callable[[str, int, int], None]  # step, done, of how many
Lines = dict[str, dict[str, Any]]  # of a batch: query id -> line
Unfinished = tuple[Sequence[Query], set[str], int, int]  # a batch, the ids it lacks, the count after it, the total
Job = TypeVar("Job")
BATCH = 64
MOST_ROWS = 512  # of the step collect: a model in memory generates a part of them at the same time
FEWEST_BATCHES = 16  # of the step collect, unless they would be smaller than BATCH: shards and workers divide them


class Engine(Protocol):
    """Where batches are computed, if not in this process."""

    def compute(self, step: str, jobs: Iterable[Any]) -> Iterator[tuple[int, Lines]]:
        """The lines of each job of a step with the job's number, as they end."""


def quiet(step: str, done: int, of: int) -> None:
    """A progress callback that shows nothing."""


def require(run: Run, step: str, allow_missing: bool = False) -> None:
    """Refuse to go on before a step is finished, or with a shard, which has only a part of the responses.

    Args:
        allow_missing: go on with what the step has, where responses are missing. The next step stays open then, too.
    """
    if step == "collect" and (shard := run.state["steps"].get("collect", {}).get("shard")):
        sentence = f"This run holds only the shard {shard}."
        raise ZooterError("a whole run", f"its shard {shard}", "Merge the shards with `zooter merge` first.", sentence)
    if not run.sealed(step) and not allow_missing:
        command = "collect --run DIR --queries FILE" if step == "start" else f"{step} --run DIR"
        sentence = f"The step {step} of this run is not finished."
        raise ZooterError(f"a finished step {step}", "an unfinished one", f"Run `zooter {command}`.", sentence)


def pool_of(run: Run, ensemble: Ensemble) -> tuple[str, ...]:
    """The run's pool. Refuses a fleet with another one."""
    pool = tuple(run.setting("start", "pool"))
    if pool != ensemble.fleet.pool:
        raise ZooterError(
            f"a fleet of the run's candidates {', '.join(pool)}",
            f"one of {', '.join(ensemble.fleet.pool)}",
            "Give the fleet of this run with --fleet, or start a new run.",
        )
    return pool


def unfinished_batches(run: Run, file: str, check: Check) -> Iterator[Unfinished]:
    """Fixed batches of queries of which a file lacks some: the batch, the ids it lacks, the count after it, the total.

    A batch is always computed as a whole, because the last digits of its figures depend on what it contains.
    """
    queries = run.queries()
    done, count = run.done(file, {query.id for query in queries}, check), 0
    for batch in fixed(queries):
        count += len(batch)
        missing = {query.id for query in batch if (query.id,) not in done}
        if missing:
            yield batch, missing, count, len(queries)


def fixed(queries: Sequence[Query]) -> Iterator[Sequence[Query]]:
    """The fixed batches of the steps score and tag."""
    for first in range(0, len(queries), BATCH):
        yield queries[first : first + BATCH]


def rows_of(responses: int) -> int:
    """How many of a candidate's responses make a batch of the step collect."""
    return min(MOST_ROWS, max(BATCH, responses // FEWEST_BATCHES))


def computed(
    step: str, jobs: Iterable[Job], local: Callable[[int, Job], Lines], engine: Engine | None
) -> Iterator[tuple[int, Lines]]:
    """The lines of each job with its number: computed here one after the other, or by an engine as they end."""
    if engine is not None:
        return engine.compute(step, jobs)
    return ((number, local(number, job)) for number, job in enumerate(jobs))


def append_lines(
    run: Run,
    file: str,
    unfinished: Sequence[Unfinished],
    lines: Iterable[tuple[int, Lines]],
    progress: Progress,
) -> None:
    """Append the lines that each batch lacks, as the batches end."""
    step = {REWARDS: "score", TAGS: "tag"}[file]
    remaining = sum(len(batch) for batch, *_ in unfinished)
    for number, of_batch in lines:
        batch, missing, _, total = unfinished[number]
        new = [of_batch[query.id] for query in batch if query.id in missing]
        # First the lines with holes: what a kill leaves of such a batch shows that it must be computed again.
        run.append(file, sorted(new, key=lambda line: "missing" not in line))
        remaining -= len(batch)
        progress(step, total - remaining, total)
