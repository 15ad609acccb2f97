"""A folder of append-only records: work in it can stop at any point, and another process can continue it.

`run.json` holds the settings of each step, library versions, and under `seals` the finished steps. Settings stay as
they were at a step's first start, but for those that follow the fleet's pool (FOLLOWS). Every other file is JSON lines
(SHAPES), written a batch at a time: a step skips what its file has, and appends the rest. A torn last line is cut off
before the next append. The folder is private, because it holds queries and answers. Whatever writes raises a WorkError
if the disk is full or the file cannot be written.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import platform
from collections.abc import Container, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from zooter_core import __version__
from zooter_core.base import files, jsonl
from zooter_core.base.errors import FIX_PERMISSIONS, WorkError, ZooterError
from zooter_core.base.strict_json import dump_json, of_type, parse_json
from zooter_core.data.run_lines import LabelLine, QueryLine, ResponseLine, RewardLine, ScoreLine, TagLine, wrong_in

QUERIES, RESPONSES, REWARDS = "queries.jsonl", "responses.jsonl", "rewards.jsonl"
TAGS, LABELS, ROUTER, REPORT = "tags.jsonl", "labels.jsonl", "router", "report.json"
CHECKPOINT = "finetune.checkpoint"  # of fine-tuning, beside the router's folder or in it, until it is over
STATE, LOCK = "run.json", ".lock"
SCORES = "scores.jsonl"  # of a benchmark
RUN_FILES = (QUERIES, RESPONSES, REWARDS, TAGS, LABELS, ROUTER, f"{ROUTER}.partial", REPORT, STATE, LOCK)
SHAPES = {
    QUERIES: QueryLine,
    RESPONSES: ResponseLine,
    REWARDS: RewardLine,
    TAGS: TagLine,
    LABELS: LabelLine,
    SCORES: ScoreLine,
}
KEYS = {RESPONSES: ("id", "candidate", "sample", "turn"), SCORES: ("id", "candidate")}  # others have a line a query
FILE_OF = {"start": QUERIES, "collect": RESPONSES, "score": REWARDS, "tag": TAGS, "label": LABELS, "distill": REPORT}
STEPS = tuple(FILE_OF)
# The setting of a step that follows the fleet; `answer` is that of a benchmark.
FOLLOWS = {"start": "pool", "collect": "candidates_sha256", "score": "pool", "answer": "candidates_sha256"}
FORMAT = 1  # of a run folder
RESTORE = (
    "Restore a copy. Or delete it and start again with the same settings as before: existing records are kept. Or "
    "start a new run in another folder."
)
LINES = 1000  # written at once
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class State:
    """run.json: the settings of each step that has begun, and the finished steps."""

    format: int
    steps: dict[str, dict[str, Any]]
    seals: dict[str, dict[str, Any]]
    fleet: str = ""


class RunFolder:
    """An open run folder. A lock keeps other processes out until `close`.

    Args:
        create: make the folder if it does not exist.

    Raises:
        ZooterError: the folder is in use, is not a run folder, or has a link in it.
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
            self._check_exists()
        insides = (self.folder / ROUTER).rglob("*")
        files.check_plain(itertools.chain((self.folder / name for name in RUN_FILES), insides))
        self._lock = files.locked(self.folder / LOCK, f"the run folder {folder}").lock
        try:
            self._make_private()
            self.state = self._read_state()
            if not (self.folder / ROUTER).exists():  # the step distill can make it again
                self.reopen("distill")
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the lock. A new folder in which no step began is removed."""
        if self._new and [path.name for path in self.folder.iterdir()] == [LOCK]:
            with suppress(OSError):  # Windows cannot remove a file that is open
                (self.folder / LOCK).unlink()
                self.folder.rmdir()
        self._lock.release()

    def _check_exists(self) -> None:
        try:
            exists = (self.folder / STATE).is_file()
        except OSError as problem:
            raise ZooterError(f"a readable run folder {self.folder}", str(problem), FIX_PERMISSIONS) from problem
        if not exists:
            next_step = "Start one: zooter run --queries FILE --out DIR."
            raise ZooterError(f"a run folder at {self.folder}", "no run.json there", next_step)

    def _make_private(self) -> None:
        """Restrict files that a library wrote to their owner; the folder too, unless it holds other files."""
        if {path.name.partition(files.PARTIAL)[0] for path in self.folder.iterdir()} <= set(RUN_FILES):
            files.narrow(self.folder)
        for path in (*(self.folder / name for name in RUN_FILES), *(self.folder / ROUTER).rglob("*")):
            files.narrow(path)

    # Settings, and which steps are finished

    def _read_state(self) -> dict[str, Any]:
        path = self.folder / STATE
        if not path.exists():
            return {"format": FORMAT, "steps": {}, "seals": {}}
        try:
            state = of_type(dict[str, Any], parse_json(path.read_text(encoding="utf-8")))
            if state.get("format", FORMAT) != FORMAT:
                versions = state.get("versions")
                maker = versions.get("zooter", "unknown") if isinstance(versions, dict) else "unknown"
                raise ZooterError(
                    f"a run of format {FORMAT}, which this Zooter {__version__} reads, in {path}",
                    f"format {state['format']}, made by Zooter {maker}",
                    "Use the Zooter that made it, or start a new run in another folder.",
                )
            _check_state(state)
        except (OSError, ValueError) as problem:
            raise ZooterError(f"a readable {path}", str(problem), RESTORE) from problem
        return state

    def _write_state(self) -> None:
        path = self.folder / STATE
        with files.writing(path), files.atomic(path, private=True) as partial:
            partial.write_text(dump_json(self.state, indent=2) + "\n", encoding="utf-8")

    def begin(self, step: str, settings: Settings) -> None:
        """Record a step's settings when it starts; later starts must use the same, but for those in FOLLOWS.

        Raises:
            ZooterError: a setting differs from the first start; the message names it.
        """
        self.agree(step, settings)
        self.state["steps"][step] = parse_json(dump_json(settings))
        self._write_state()

    def reopen(self, *steps: str) -> None:
        """Make steps unfinished, so that they make good what has changed. The next `begin` writes it down."""
        for step in steps:
            self.state["seals"].pop(step, None)

    def agree(self, step: str, settings: Settings) -> None:
        """Refuse settings with which a step that has begun cannot go on. As `begin`, but writes nothing."""
        settings = parse_json(dump_json(settings))
        first = self.state["steps"].get(step, settings)
        for name in dict.fromkeys([*first, *settings]):
            before, now = _short(first.get(name)), _short(settings.get(name))
            if first.get(name) != settings.get(name) and name != FOLLOWS.get(step):
                raise ZooterError.saying(
                    f"This run's step {step} began with the setting {name} = {before}, but now {name} = {now}.",
                    "Use the same value, or start a new run in another folder.",
                )

    def setting(self, step: str, name: str) -> Any:
        """A setting of a step that has begun.

        Raises:
            ZooterError: the step has not begun.
        """
        if step not in self.state["steps"]:
            raise ZooterError.saying(f"The step {step} of the run {self.folder} has not begun.", finishing(step))
        if name not in self.state["steps"][step]:
            raise ZooterError(f'"{name}" of the step {step} in {self.folder / STATE}', "none", RESTORE)
        return self.state["steps"][step][name]

    def is_finished(self, step: str) -> bool:
        return step in self.state["seals"]

    def require(self, step: str) -> None:
        """Refuse to go on before a step is finished."""
        if not self.is_finished(step):
            raise ZooterError.saying(f"The step {step} of the run {self.folder} is not finished.", finishing(step))

    def finish(self, step: str) -> None:
        self.state["seals"][step] = {}
        self._make_private()
        self._write_state()

    # Records

    def records(self, file: str) -> Iterator[dict[str, Any]]:
        """The complete records of a file, in order; a torn last line is skipped.

        Raises:
            WorkError: a line in the middle is not JSON, or not of the file's shape.
        """
        for number, record in enumerate(jsonl.read_records(self.folder / file), 1):
            if wrong := wrong_in(record, SHAPES[file]):
                raise self._wrong_line(file, number, wrong)
            yield record

    def done(self, file: str, ids: Container[str]) -> set[tuple[Hashable, ...]]:
        """The keys (KEYS) of the records that a file has.

        Args:
            ids: ids of the run's queries.

        Raises:
            WorkError: a record belongs to no query of the run, or repeats another.
        """
        keys: set[tuple[Hashable, ...]] = set()
        for number, record in enumerate(self.records(file), 1):
            key = tuple(record[name] for name in KEYS.get(file, ("id",)) if name in record)
            if record["id"] not in ids:
                raise self._wrong_line(file, number, f"one of {_short(record['id'])}")
            if key in keys:
                raise self._wrong_line(file, number, f"a second one of {_short(record['id'])}")
            keys.add(key)
        return keys

    def _wrong_line(self, file: str, number: int, wrong: str) -> WorkError:
        return WorkError(
            f"one record for each of this run's queries in {self.folder / file}",
            f"{wrong} in line {number}",
            "Remove that line and start again; the other records are kept.",
        )

    def lines(self, file: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The line of each of these queries, in a file with one for each.

        Raises:
            ZooterError: one is missing, because the step is not finished.
            WorkError: one is missing all the same.
        """
        lines = {record["id"]: record for record in self.records(file)}
        if missing := [id for id in ids if id not in lines]:
            self.require(next(step for step, name in FILE_OF.items() if name == file))
            raise WorkError(
                f"a line of each query in {self.folder / file}",
                f"none of {_short(missing[0])}",
                "Restore a copy of the file, or start a new run.",
            )
        return [lines[id] for id in ids]

    def append(self, file: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Add a batch of records and flush it to the disk."""
        jsonl.append_records(self.folder / file, records, private=True)

    def replace(self, file: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Write a file anew. It is as it was until all records are on the disk."""
        path = self.folder / file
        with files.writing(path), files.atomic(path, private=True) as partial:
            left = iter(records)
            with jsonl.Appender(partial, private=True) as out:
                while lines := list(itertools.islice(left, LINES)):
                    out.append(lines)


def finishing(step: str) -> str:
    """What to do where a step is not finished."""
    until = "collect" if step == "start" else step
    return f"Run `zooter run --queries FILE --out DIR{'' if step == 'distill' else f' --until {until}'}` first."


def versions() -> dict[str, str]:
    """Versions of Python and of the installed libraries that affect a run, for run.json."""
    libraries = {"python": platform.python_version()}
    for name in ("zooter", "torch", "transformers", "peft", "xllamacpp", "numpy"):
        with suppress(importlib.metadata.PackageNotFoundError):  # an extra, or Zooter in a folder
            libraries[name] = importlib.metadata.version(name)
    return libraries


def _check_state(state: dict[str, Any]) -> None:
    """Check the shape of the content of a run.json; a ValueError names the part that is wrong."""
    of_type(State, state)
    pool = of_type(list[str], state["steps"].get("start", {}).get("pool", ["any"]))
    if not pool or len(set(pool)) < len(pool):
        raise ValueError('"pool" is not a list of different names')


def _short(value: Any) -> str:
    text = dump_json(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
