"""Responses of a run that are collected elsewhere: parts by workers, and shards by other machines.

A part is one candidate's share of the queries. A worker appends to `parts/NAME.open` and renames it to
`parts/NAME.jsonl` at the end. The process that holds the run takes the lines over into responses.jsonl and deletes the
file. Whoever is killed at any point, the lines are in one of the two, and the next start takes over what is left. Both
need the run folder on a file system that they share.

A shard is a run folder with a part of the queries. `merge` makes of all shards the folder that one machine would have.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from filelock import AcquireReturnProxy

from zooter_core.base import files
from zooter_core.base.errors import Failure, WorkError, ZooterError, listed
from zooter_core.base.jsonl import read_records
from zooter_core.base.records import Query
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data.run_folder import PARTS, QUERIES, RESPONSES, Shard
from zooter_core.data.run_lines import Check, response_check
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline.batches import Progress, quiet, write_queries
from zooter_core.pipeline.lanes import CollectJob, Key
from zooter_core.pipeline.tally import Tally

OPEN, CLOSED, LOCK = ".open", ".jsonl", ".lock"
LINES = 1000  # that are written together
WAIT_SECONDS = 60.0  # for a worker of an earlier start to end


@dataclass(frozen=True)
class Part:
    """What one worker collects at a time.

    Attributes:
        number: of the candidate, as in CollectJob.
        done: the (id, sample) of responses that the run has already.
        works: whether the candidate has answered anything yet.
    """

    candidate: str
    number: int
    shard: Shard
    done: tuple[tuple[str, int], ...]
    works: bool

    @property
    def name(self) -> str:
        """The name of its file, without the ending."""
        return f"{self.number}-{self.shard.number}-of-{self.shard.count}"


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
        numbers = {part.candidate: part.number}
        job = CollectJob(
            ensemble, generation, samples, queries, part.shard, done, tallies, batch=batch, numbers=numbers
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
            for _ in _add(run, run, name, ids, check, run.done(RESPONSES, ids, check)):
                pass
            path.unlink()
        lock_path.unlink(missing_ok=True)


def _lock(path: Path) -> AcquireReturnProxy:
    """The lock of a part, waiting for a worker that still has it."""
    return files.locked(path, f"the part {path.stem} of a run", WAIT_SECONDS)


def merge(run: Run, folders: Sequence[Path], progress: Progress = quiet) -> None:
    """Put the shards of a run together, with the step collect finished. The shards stay as they are.

    Args:
        run: a new run, or one of the same shards that was killed.

    Raises:
        ZooterError: a folder is no shard, or one of another run; shards overlap, or one is missing or not finished.
        WorkError: a response is missing, or is in two shards.
    """
    places = [folder.resolve() for folder in folders]
    if twice := sorted({str(folder) for folder in folders if places.count(folder.resolve()) > 1}):
        raise ZooterError("each folder once", f"{listed(twice)} twice or more", "Name each shard once.")
    with ExitStack() as stack:
        runs = [stack.enter_context(Run(folder)) for folder in folders]
        shards = [(_shard_of(shard), shard) for shard in runs]
        _check_one_run(shards)
        shards.sort(key=lambda pair: pair[0].number)
        _check_complete(shards)
        first = runs[0]
        settings = {name: value for name, value in first.state["steps"]["collect"].items() if name != "shard"}
        for name in ("fleet", "versions", "split"):
            if name in first.state:
                run.state.setdefault(name, first.state[name])
        run.begin("start", first.state["steps"]["start"])
        run.begin("collect", settings)
        if run.sealed("collect"):
            return
        write_queries(run, first.records(QUERIES))
        _copy_responses(run, [shard for _, shard in shards], settings["samples"], progress)
        run.seal("collect")


def _shard_of(run: Run) -> Shard:
    name = run.state["steps"].get("collect", {}).get("shard")
    if name is None:
        raise ZooterError(
            f"a shard in {run.folder}",
            "a run that was not collected in shards",
            "Name folders that `zooter collect --shard I/N` has written.",
        )
    return Shard.parse(name)


def _check_one_run(shards: Sequence[tuple[Shard, Run]]) -> None:
    """Refuse shards that began with different queries, pools or settings."""
    begun = [
        {**run.state["steps"]["start"], **run.state["steps"]["collect"], "shard": f"I/{shard.count}"}
        for shard, run in shards
    ]
    first, folder = begun[0], shards[0][1].folder
    for other, (_, run) in zip(begun, shards, strict=True):
        for name in dict.fromkeys([*first, *other]):
            if first.get(name) != other.get(name):
                raise ZooterError(
                    f"shards of one run; {folder} has {name} = {first.get(name)}",
                    f"{name} = {other.get(name)} in {run.folder}",
                    "Leave that folder out, or collect it again with the same queries, fleet and options.",
                )


def _check_complete(shards: Sequence[tuple[Shard, Run]]) -> None:
    """Refuse two folders of the same shard, a missing shard and one that is not finished.

    Args:
        shards: in the order of their numbers, all of one count.
    """
    for (shard, run), (other, next_run) in pairwise(shards):
        if shard == other:
            overlap = f"both {run.folder} and {next_run.folder} are {shard}"
            raise ZooterError("shards that do not overlap", overlap, "Leave one of the two out.")
    count, numbers = shards[0][0].count, {shard.number for shard, _ in shards}
    if missing := [f"{number}/{count}" for number in range(1, count + 1) if number not in numbers]:
        raise ZooterError(f"all {count} shards", f"no folder of {listed(missing)}", "Name their folders too.")
    for shard, run in shards:
        if not run.sealed("collect"):
            raise ZooterError(
                f"a finished shard in {run.folder}",
                f"that {shard} lacks responses",
                f"Run its `zooter collect --shard {shard}` again.",
                f"In {run.folder}, shard {shard} lacks responses.",
            )


def _copy_responses(run: Run, shards: Sequence[Run], samples: int, progress: Progress) -> None:
    """Append the responses of all shards that the run lacks."""
    pool = run.setting("start", "pool")
    ids = {query.id for query in run.queries()}
    check = response_check(pool, samples)
    done = run.done(RESPONSES, ids, check)
    total, copied = len(ids) * len(pool) * samples, len(done)
    for shard in shards:
        for added in _add(run, shard, RESPONSES, ids, check, done):
            copied += added
            progress("merge", copied, total)
    if copied != total or len(run.done(RESPONSES, ids, check)) != total:
        expected = f"{total:,} responses in the shards together"
        raise WorkError(expected, f"{copied:,}", "Collect the shards again from the start.")


def _add(
    run: Run, source: Run, file: str, ids: Container[str], check: Check, done: Container[tuple[Hashable, ...]]
) -> Iterator[int]:
    """Append the responses in a file that a run does not have yet; yields the number of each batch.

    Raises:
        WorkError: a line of the file is wrong; nothing is appended.
    """
    source.done(file, ids, check)
    new = (record for record in source.records(file) if Key.of(record) not in done)
    while lines := list(islice(new, LINES)):
        run.append(RESPONSES, lines)
        yield len(lines)
