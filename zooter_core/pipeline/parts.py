"""Responses of a run that workers collect, in parts.

A part is some of one candidate's batches. A worker appends to `parts/NAME.open` and renames it to
`parts/NAME.jsonl` at the end. The process that holds the run takes the lines over into responses.jsonl and deletes the
file. Whoever is killed at any point, the lines are in one of the two, and the next start takes over what is left. Both
need the run folder on a file system that they share.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import AcquireReturnProxy

from zooter_core.base import files
from zooter_core.base.errors import Failure
from zooter_core.base.jsonl import read_records
from zooter_core.base.records import Query
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data.run_folder import PARTS, RESPONSES
from zooter_core.data.run_lines import Check
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline.lanes import CollectJob, Key
from zooter_core.pipeline.tally import Tally

OPEN, CLOSED, LOCK = ".open", ".jsonl", ".lock"
LINES = 1000  # that are written together
WAIT_SECONDS = 60.0  # for a worker of an earlier start to end


@dataclass(frozen=True)
class Part:
    """What one worker collects at a time.

    Attributes:
        place: the number of the candidate, as in CollectJob.
        number, count: which of how many parts.
        done: the (id, sample) of responses that the run has already.
        works: whether the candidate has answered anything yet.
    """

    candidate: str
    place: int
    number: int
    count: int
    done: tuple[tuple[str, int], ...]
    works: bool

    @property
    def name(self) -> str:
        """The name of its file, without the ending."""
        return f"{self.place}-{self.number + 1}-of-{self.count}"

    @property
    def batches(self) -> slice:
        """The batches of the part: one of `count` each time, so that all parts have short and long queries."""
        return slice(self.number, None, self.count)


def collect_part(
    ensemble: Ensemble,
    part: Part,
    folder: Path,
    queries: Sequence[Query],
    generation: GenerationConfig,
    samples: int,
    batch: int | None = None,
) -> Failure | None:
    """Collect a part in this process. Continues after the lines of a worker that was killed, also at its very end.

    Args:
        folder: of the run.
        queries: all of the run, in the order of `in_order`.
        batch: as in CollectJob.

    Returns:
        The problem of its candidate, if it has one; all other responses are in the file.
    """
    place = folder / PARTS
    files.private_folder(place)
    with _lock(place / f"{part.name}{LOCK}"):
        begun, ended = (place / f"{part.name}{suffix}" for suffix in (OPEN, CLOSED))
        if ended.exists() and not begun.exists():  # its worker was killed before anybody knew that it had ended
            ended.replace(begun)
        records = list(read_records(begun))
        done: set[tuple[object, ...]] = {Key(id, part.candidate, sample) for id, sample in part.done}
        done |= {Key.of(record) for record in records}
        tally = Tally(part.candidate, 0, works=part.works or any(record.get("error") is None for record in records))
        tallies = {part.candidate: tally}
        numbers = {part.candidate: part.place}
        job = CollectJob(
            ensemble, generation, samples, queries, done, tallies, batch=batch, part=part.batches, numbers=numbers
        )
        job.count()
        job.run(begun)
        begun.replace(ended)
        return tally.problem


def take_lines(folder: Path, part: Part) -> Iterator[dict[str, Any]]:
    """The lines of a part that has ended. Its file is deleted after the last one has been taken over."""
    path = folder / PARTS / f"{part.name}{CLOSED}"
    yield from read_records(path)
    path.unlink(missing_ok=True)


def take_over_parts(run: Run, ids: Container[str], check: Check) -> None:
    """Add to the responses of a run what workers of an earlier start have left.

    Raises:
        ZooterError: such a worker still works.
        WorkError: a line belongs to another run.
    """
    place = run.folder / PARTS
    if not place.is_dir():
        return
    while names := sorted({path.stem for path in place.iterdir() if path.suffix in (OPEN, CLOSED, LOCK)}):
        for name in names:
            _take_over(run, place / f"{name}{LOCK}", ids, check)
    with suppress(OSError):
        place.rmdir()


def _take_over(run: Run, lock_path: Path, ids: Container[str], check: Check) -> None:
    """Add the lines of a part to the responses and delete its files. Its worker may rename them until it ends."""
    with _lock(lock_path):
        for path in (lock_path.with_suffix(suffix) for suffix in (OPEN, CLOSED)):
            if not path.exists():
                continue
            name = f"{PARTS}/{path.name}"
            run.done(name, ids, check)  # refuses a line of another run
            done = run.done(RESPONSES, ids, check)
            new = (record for record in run.records(name) if Key.of(record) not in done)
            while lines := list(islice(new, LINES)):
                run.append(RESPONSES, lines)
            path.unlink()
        lock_path.unlink(missing_ok=True)


def _lock(path: Path) -> AcquireReturnProxy:
    """The lock of a part, waiting for a worker that still has it."""
    return files.locked(path, f"the part {path.stem} of a run", WAIT_SECONDS)
