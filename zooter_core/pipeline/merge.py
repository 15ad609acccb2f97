"""Shards of a run put together: the same run folder as if one machine had collected all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from zooter_core.data.run_folder import QUERIES, RESPONSES
from zooter_core.data.run_lines import response_check, same_check
from zooter_core.data.runs import Run
from zooter_core.data.shards import Shard
from zooter_core.errors import WorkError, ZooterError, listed
from zooter_core.pipeline.batches import Progress, quiet

LINES = 1000  # that are written together


def merge(run: Run, folders: Sequence[Path], progress: Progress = quiet) -> None:
    """Put the shards of a run together, with the step collect finished. The shards stay as they are.

    Args:
        run: a new run, or one of the same shards that was killed.

    Raises:
        ZooterError: a folder is no shard, or one of another run; shards overlap, or one is missing or not finished.
        WorkError: a response is missing or stands in two shards.
    """
    _check_different(folders)
    with ExitStack() as stack:
        shards = [stack.enter_context(Run(folder)) for folder in folders]
        numbers = [_shard_of(shard) for shard in shards]
        _check_one_run(shards)
        _check_complete(shards, numbers)
        first = shards[0]
        settings = {name: value for name, value in first.state["steps"]["collect"].items() if name != "shard"}
        for name in ("fleet", "versions"):
            if name in first.state:
                run.state.setdefault(name, first.state[name])
        run.begin("start", first.state["steps"]["start"])
        run.begin("collect", settings)
        if run.sealed("collect"):
            return
        _copy_queries(run, first)
        _copy_responses(run, shards, settings["samples"], progress)
        run.seal("collect", RESPONSES)


def _check_different(folders: Sequence[Path]) -> None:
    places = [folder.resolve() for folder in folders]
    if twice := sorted({str(folder) for folder in folders if places.count(folder.resolve()) > 1}):
        raise ZooterError("each folder once", f"{listed(twice)} twice or more", "Name each shard once.")


def _shard_of(run: Run) -> Shard:
    """Which shard a run is."""
    name = run.state["steps"].get("collect", {}).get("shard")
    if name is None:
        raise ZooterError(
            f"a shard in {run.folder}",
            "a run that was not collected in shards",
            "Name folders that `zooter collect --shard I/N` has written.",
        )
    return Shard.parse(name)


def _check_one_run(shards: Sequence[Run]) -> None:
    """Refuse shards that began with different queries, pools or settings."""

    def settings(shard: Run) -> Mapping[str, Any]:
        collect = shard.state["steps"]["collect"]
        count = _shard_of(shard).count
        return {**shard.state["steps"]["start"], **collect, "shard": f"I/{count}"}

    first = settings(shards[0])
    for shard in shards[1:]:
        other = settings(shard)
        for name in dict.fromkeys([*first, *other]):
            if first.get(name) != other.get(name):
                raise ZooterError(
                    f"shards of one run; {shards[0].folder} has {name} = {first.get(name)}",
                    f"{name} = {other.get(name)} in {shard.folder}",
                    "Leave that folder out, or collect it again with the same queries, fleet and options.",
                )


def _check_complete(shards: Sequence[Run], numbers: Sequence[Shard]) -> None:
    """Refuse two folders of the same shard, a missing shard and one that is not finished."""
    folders: dict[int, Path] = {}
    for shard, number in zip(shards, numbers, strict=True):
        if number.number in folders:
            other = folders[number.number]
            overlap = f"both {other} and {shard.folder} are {number}"
            raise ZooterError("shards that do not overlap", overlap, "Leave one of the two out.")
        folders[number.number] = shard.folder
    count = numbers[0].count
    if missing := [f"{number}/{count}" for number in range(1, count + 1) if number not in folders]:
        raise ZooterError(f"all {count} shards", f"no folder of {listed(missing)}", "Name their folders too.")
    for shard, number in zip(shards, numbers, strict=True):
        if not shard.sealed("collect"):
            raise ZooterError(
                f"a finished shard in {shard.folder}",
                f"that {number} lacks responses",
                f"Run its `zooter collect --shard {number}` again.",
                f"In {shard.folder}, shard {number} lacks responses.",
            )


def _copy_queries(run: Run, first: Run) -> None:
    if not run.sealed("start"):
        records = {record["id"]: record for record in first.records(QUERIES)}
        done = run.done(QUERIES, records, check=same_check(records))
        run.append(QUERIES, [record for id, record in records.items() if (id,) not in done])
        run.seal("start", QUERIES)


def _copy_responses(run: Run, shards: Sequence[Run], samples: int, progress: Progress) -> None:
    """Append the responses of all shards that the run lacks, in the order of the shards' numbers."""
    pool = run.setting("start", "pool")
    ids = {query.id for query in run.queries()}
    check = response_check(pool, samples)
    done = run.done(RESPONSES, ids, "candidate", "sample", check=check)
    total, copied = len(ids) * len(pool) * samples, len(done)
    for shard in sorted(shards, key=lambda shard: _shard_of(shard).number):
        shard.done(RESPONSES, ids, "candidate", "sample", check=check)  # every line is what it should be
        new = (r for r in shard.records(RESPONSES) if (r["id"], r["candidate"], r["sample"]) not in done)
        while lines := list(islice(new, LINES)):
            run.append(RESPONSES, lines)
            copied += len(lines)
            progress("merge", copied, total)
    if copied != total or len(run.done(RESPONSES, ids, "candidate", "sample", check=check)) != total:
        raise WorkError(
            f"{total:,} responses in the shards together", f"{copied:,}", "Collect the shards again from the start."
        )
