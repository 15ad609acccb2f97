"""Shards of a run put together: the same run folder as if one machine had collected all of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice, pairwise
from pathlib import Path

from zooter_core.base.errors import WorkError, ZooterError, listed
from zooter_core.data.run_folder import QUERIES, RESPONSES, Shard
from zooter_core.data.run_lines import response_check
from zooter_core.data.runs import Run
from zooter_core.pipeline.batches import Progress, quiet
from zooter_core.pipeline.collect import write_queries
from zooter_core.pipeline.lanes import Key

LINES = 1000  # that are written together


def merge(run: Run, folders: Sequence[Path], progress: Progress = quiet) -> None:
    """Put the shards of a run together, with the step collect finished. The shards stay as they are.

    Args:
        run: a new run, or one of the same shards that was killed.

    Raises:
        ZooterError: a folder is no shard, or one of another run; shards overlap, or one is missing or not finished.
        WorkError: a response is missing or stands in two shards.
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
        shard.done(RESPONSES, ids, check)  # every line is what it should be
        new = (record for record in shard.records(RESPONSES) if Key.of(record) not in done)
        while lines := list(islice(new, LINES)):
            run.append(RESPONSES, lines)
            copied += len(lines)
            progress("merge", copied, total)
    if copied != total or len(run.done(RESPONSES, ids, check)) != total:
        raise WorkError(
            f"{total:,} responses in the shards together", f"{copied:,}", "Collect the shards again from the start."
        )
