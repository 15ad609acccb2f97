"""A run folder: append-only records of a pipeline that can be killed at any point and started again.

`run.json` holds the settings of each step, versions and the seal of each finished step (record count and sha256),
which is checked when the folder is opened. Every other file is JSON lines, written a batch at a time; a torn last line
is cut off before the next append. The folder is private, since it holds queries and answers.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Container, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core import __version__, files
from zooter_core.config.fleet import Fleet
from zooter_core.data import prices
from zooter_core.data.run_lines import Check
from zooter_core.data.run_state import check_seals, check_shape, seal_of
from zooter_core.data.scores import Scores, score_line
from zooter_core.errors import FIX_PERMISSIONS, WorkError, ZooterError
from zooter_core.records import Label, Query
from zooter_core.strict_json import dump_json, parse_json

QUERIES, RESPONSES, REWARDS = "queries.jsonl", "responses.jsonl", "rewards.jsonl"
TAGS, LABELS, ROUTER, REPORT = "tags.jsonl", "labels.jsonl", "router", "report.json"
STATE, LOCK = "run.json", ".lock"
OWN = (QUERIES, RESPONSES, REWARDS, TAGS, LABELS, ROUTER, f"{ROUTER}.partial", REPORT, STATE, "run.partial", LOCK)
FORMAT = 1  # of a run folder
Settings = Mapping[str, Any]


class Run:
    """An open run folder; a lock keeps a second process out until `close`.

    Raises:
        ZooterError: the folder is in use, or is not a run folder.
        WorkError: a file or a setting of a finished step is not what it was.
    """

    def __init__(self, folder: str | Path, *, create: bool = False) -> None:
        self.folder = Path(folder)
        self._new = not self.folder.exists()
        if create:
            try:
                files.private_folder(self.folder, ours=False)
            except OSError as problem:
                raise ZooterError("a folder for the run", str(problem), "Give another --out.") from problem
        else:
            _check_there(self.folder)
        self._lock = files.locked(self.folder / LOCK, f"the run folder {folder}")
        try:
            self._keep_private()
            self.state = self._read_state()
            if not (self.folder / ROUTER).exists():  # it can be made again
                self.state["seals"].pop("distill", None)
            check_seals(self.folder, self.state, ROUTER)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others work in the folder; a new one in which nothing was begun goes."""
        if self._new and [path.name for path in self.folder.iterdir()] == [LOCK]:
            with suppress(OSError):  # Windows keeps a file that is open
                (self.folder / LOCK).unlink()
                self.folder.rmdir()
        self._lock.release()

    def _keep_private(self) -> None:
        """Make files private that an older Zooter or a library wrote; and the folder, unless it holds other things."""
        if {path.name for path in self.folder.iterdir()} <= set(OWN):
            files.narrow(self.folder)
        for path in (*(self.folder / name for name in OWN), *(self.folder / ROUTER).rglob("*")):
            files.narrow(path)

    def _read_state(self) -> dict[str, Any]:
        path = self.folder / STATE
        if not path.exists():
            return {"format": FORMAT, "steps": {}, "seals": {}}
        try:
            state = parse_json(path.read_text(encoding="utf-8"))
            if state["format"] != FORMAT:
                raise ZooterError(
                    f"a run of format {FORMAT}, which this Zooter {__version__} reads, in {path}",
                    f"format {state['format']}, made by Zooter {_maker(state)}",
                    "Go on with the Zooter that made it, or start a new run in another folder.",
                )
            check_shape(state)
            return dict(state)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as problem:
            raise ZooterError(
                f"a readable {path}",
                str(problem) if type(problem) is ValueError else repr(problem),
                "Put a copy back; or delete it and start again with the very settings of before, and the records that "
                "are there are kept; or start a new run in another folder.",
            ) from problem

    def _write_state(self) -> None:
        path = self.folder / STATE
        partial = path.with_suffix(".partial")
        try:
            with files.writing(path):
                with open(partial, "w", encoding="utf-8", opener=files.owner_only) as file:
                    file.write(dump_json(self.state, indent=2) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def begin(self, step: str, settings: Settings) -> None:
        """Write a step's settings down at its first start; later starts must have the same.

        Raises:
            ZooterError: a setting differs from the first start; the message names it.
        """
        self.agree(step, settings)
        self.state["steps"].setdefault(step, parse_json(dump_json(settings)))
        self._write_state()

    def agree(self, step: str, settings: Settings) -> None:
        """Refuse settings with which a step that has begun cannot go on; nothing is written.

        Raises:
            ZooterError: as `begin`.
        """
        settings = parse_json(dump_json(settings))
        first = self.state["steps"].get(step, settings)
        for name in dict.fromkeys([*first, *settings]):
            if first.get(name) != settings.get(name):
                raise ZooterError(
                    f"the setting {name} = {_short(first.get(name))} with which the step {step} of this run began",
                    f"{name} = {_short(settings.get(name))}",
                    "Give the same setting, or start a new run in another folder.",
                )

    def seal(self, step: str, file: str, router: str | None = None) -> None:
        """Mark a step as finished, with its file's record count and hash, and those of a router's files."""
        place = None if router is None else self.folder / router
        self.state["seals"][step] = seal_of(self.folder, file, self.state["steps"].get(step), place)
        self._keep_private()
        self._write_state()

    def sealed(self, step: str) -> bool:
        """Whether a step is finished."""
        return step in self.state["seals"]

    def setting(self, step: str, name: str) -> Any:
        """A setting of a step that has begun.

        Raises:
            ZooterError: the step has not begun.
        """
        if step not in self.state["steps"]:
            raise ZooterError(f"a run whose step {step} has begun", "none", f"Run `zooter {step} --run DIR` first.")
        return self.state["steps"][step][name]

    def records(self, file: str) -> Iterator[dict[str, Any]]:
        """The whole records of a file, in order; a torn last line is passed over.

        Raises:
            WorkError: a line in the middle is not JSON.
        """
        yield from files.read_whole_lines(self.folder / file)

    def done(
        self, file: str, ids: Container[str], *more: str, check: Check = lambda record: None
    ) -> set[tuple[Hashable, ...]]:
        """What a file has records of: the id of each and the values of its keys `more`.

        Args:
            ids: of the run's queries.
            check: what is wrong with a record, or None.

        Raises:
            WorkError: a record is of another query, there are two of one, or something is wrong with one.
        """
        found: set[tuple[Hashable, ...]] = set()
        for number, record in enumerate(self.records(file), 1):
            id = record.get("id")
            strange = not isinstance(id, str) or id not in ids
            wrong = f"one of {_short(id)}" if strange else check(record)
            mark = () if wrong else tuple(record.get(key) for key in ("id", *more))
            if wrong or mark in found:
                raise WorkError(
                    f"one record each of this run's queries in {self.folder / file}",
                    f"{wrong or f'a second one of {_short(id)}'} in line {number}",
                    "Take that line out and start again; the others are kept.",
                )
            found.add(mark)
        return found

    def append(self, file: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Add a batch of records and flush it to the disk.

        Raises:
            WorkError: the disk took no more.
        """
        files.append_lines(self.folder / file, records, files.owner_only)


def versions() -> dict[str, str]:
    """Of what makes a run, as its run.json has them."""
    names = ("zooter", "torch", "transformers", "peft", "numpy")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}


def _check_there(folder: Path) -> None:
    try:
        there = (folder / "run.json").is_file()
    except OSError as problem:
        raise ZooterError(f"a readable run folder {folder}", str(problem), FIX_PERMISSIONS) from problem
    if not there:
        raise ZooterError(
            f"a run folder at {folder}", "no run.json there", "Start one: zooter run --queries FILE --out DIR."
        )


def _maker(state: Mapping[str, Any]) -> str:
    versions = state.get("versions")
    return str(versions.get("zooter", "unknown")) if isinstance(versions, dict) else "unknown"


def _short(value: Any) -> str:
    text = dump_json(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def queries(run: Run) -> list[Query]:
    """The run's queries, in order."""
    return [Query(r["id"], r["text"], r["dataset"], tuple(r["tags"])) for r in run.records(QUERIES)]


def responses(run: Run) -> dict[str, dict[str, list[str]]]:
    """Query id -> candidate -> the texts of its samples, in order."""
    texts: dict[str, dict[str, dict[int, str]]] = {}
    for record in run.records(RESPONSES):
        texts.setdefault(record["id"], {}).setdefault(record["candidate"], {})[record["sample"]] = record["text"]
    return {
        query: {name: [of[sample] for sample in sorted(of)] for name, of in candidates.items()}
        for query, candidates in texts.items()
    }


def refused(run: Run) -> dict[str, str]:
    """The queries that a candidate refused: id -> who, and why."""
    found = [record for record in run.records(RESPONSES) if record.get("error") is not None]
    return {r["id"]: f"no response of {r['candidate']}: {r['error']}" for r in reversed(found)}  # the first of each


def set_aside(run: Run) -> dict[str, str]:
    """The queries without rewards: id -> why."""
    return {record["id"]: record["set_aside"] for record in run.records(REWARDS) if "set_aside" in record}


def _scored(run: Run) -> list[Query]:
    """The run's queries but those set aside, in order. Raises ZooterError where none is left."""
    aside = set_aside(run)
    kept = [query for query in queries(run) if query.id not in aside]
    if not kept:
        raise ZooterError(
            "at least one query with rewards",
            f"all {len(aside)} set aside; the first because: {next(iter(aside.values()), 'there is none')}",
            "Mend what is told there (`zooter check`), and start a new run.",
        )
    return kept


def scores(run: Run) -> Scores:
    """The run's rewards as scores, in pool order, without the queries that are set aside."""
    pool, kept = tuple(run.setting("start", "pool")), _scored(run)
    rewards = {record["id"]: record["rewards"] for record in run.records(REWARDS) if "rewards" in record}
    return Scores(tuple(kept), pool, np.array([[rewards[query.id][name] for name in pool] for query in kept]))


def samples(run: Run) -> NDArray[np.float64]:
    """The reward of every response, shape (queries, candidates, samples), in the order of `scores`."""
    pool = tuple(run.setting("start", "pool"))
    found = {record["id"]: record["samples"] for record in run.records(REWARDS) if "samples" in record}
    return np.array([[found[query.id][name] for name in pool] for query in _scored(run)])


def dollars(run: Run, fleet: Fleet) -> NDArray[np.float64] | None:
    """What the responses cost for a thousand queries, shape as that of `scores`, as the mean over samples.

    None where the fleet has not a price of every candidate.
    """
    pool = run.setting("start", "pool")
    priced = {candidate.name for candidate in fleet.candidates if candidate.usd_per_million_tokens is not None}
    if not priced.issuperset(pool):
        return None
    tokens: dict[tuple[str, str], list[int]] = {}
    for record in run.records(RESPONSES):
        tokens.setdefault((record["id"], record["candidate"]), []).append(record["tokens"])
    means = np.array([[np.mean(tokens[query.id, name]) for name in pool] for query in _scored(run)])
    return prices.dollars(prices.prices_of(fleet, pool), means)


def tags(run: Run) -> list[tuple[str, ...]]:
    """The tag names of each query, in the order of `scores`."""
    found = {record["id"]: tuple(tag["name"] for tag in record["tags"]) for record in run.records(TAGS)}
    return [found[query.id] for query in _scored(run)]


def label(record: Mapping[str, Any]) -> Label:
    """A label from its line."""
    return Label(**{**record, "plain": tuple(record["plain"]), "enhanced": tuple(record["enhanced"])})


def export_scores(run: Run, path: Path) -> None:
    """Write a run as a score file: the mean rewards, and each candidate's first response."""
    found, texts = scores(run), responses(run)
    with files.written_whole(path) as out:
        for query, row in zip(found.queries, found.scores.tolist(), strict=True):
            first = {name: of[0] for name, of in texts[query.id].items()}
            line = score_line(query, dict(zip(found.candidates, row, strict=True)), first)
            out.write(dump_json(line, ensure_ascii=False) + "\n")
