"""A folder of append-only records: work in it can stop at any point, and another process can continue it.

`run.json` holds the settings of each step, library versions, and a seal for each finished step (record count and
sha256), which is checked when the folder is opened. Every other file is JSON lines, written a batch at a time; a torn
last line is cut off before the next append. The folder is private, because it holds queries and answers. Whatever
writes raises a WorkError if the disk is full or the file cannot be written.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import platform
from collections.abc import Container, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from zooter_core import __version__
from zooter_core.base import files, jsonl
from zooter_core.base.errors import FIX_PERMISSIONS, WorkError, ZooterError
from zooter_core.base.strict_json import dump_json, parse_json
from zooter_core.data.run_lines import Check
from zooter_core.data.run_state import check_seals, check_shape, seal_of, sha256_of

QUERIES, RESPONSES, REWARDS = "queries.jsonl", "responses.jsonl", "rewards.jsonl"
TAGS, LABELS, ROUTER, REPORT = "tags.jsonl", "labels.jsonl", "router", "report.json"
STATE, LOCK, PARTS = "run.json", ".lock", "parts"  # parts: what workers elsewhere have collected and nobody took over
RUN_FILES = (QUERIES, RESPONSES, REWARDS, TAGS, LABELS, ROUTER, f"{ROUTER}.partial", REPORT, STATE, LOCK, PARTS)
STEPS = ("start", "collect", "score", "tag", "label", "distill")
FORMAT = 1  # of a run folder
Settings = Mapping[str, Any]


class RunFolder:
    """An open run folder. A lock keeps other processes out until `close`.

    Args:
        create: make the folder if it does not exist.

    Raises:
        ZooterError: the folder is in use, is not a run folder, or has a link in it.
        WorkError: a file or a setting of a finished step has changed.
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
            _check_exists(self.folder)
        insides = (path for name in (ROUTER, PARTS) for path in (self.folder / name).rglob("*"))
        files.check_plain(itertools.chain((self.folder / name for name in RUN_FILES), insides))
        self._lock = files.locked(self.folder / LOCK, f"the run folder {folder}")
        try:
            self._make_private()
            self.state = self._read_state()
            if not (self.folder / ROUTER).exists():  # the step distill can make it again
                self.state["seals"].pop("distill", None)
            check_seals(self.folder, self.state, ROUTER)
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

    def _make_private(self) -> None:
        """Restrict files that a library wrote to their owner; the folder too, unless it holds other files."""
        if {path.name.partition(files.PARTIAL)[0] for path in self.folder.iterdir()} <= set(RUN_FILES):
            files.narrow(self.folder)
        for path in (*(self.folder / name for name in RUN_FILES), *(self.folder / ROUTER).rglob("*")):
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
                    "Use the Zooter that made it, or start a new run in another folder.",
                )
            check_shape(state)
            return dict(state)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as problem:
            raise ZooterError(
                f"a readable {path}",
                str(problem) if type(problem) is ValueError else repr(problem),
                "Restore a copy. Or delete it and start again with the same settings as before: existing records are "
                "kept. Or start a new run in another folder.",
            ) from problem

    def _write_state(self) -> None:
        path = self.folder / STATE
        with files.writing(path), files.atomic(path, private=True) as partial:
            partial.write_text(dump_json(self.state, indent=2) + "\n", encoding="utf-8")

    def begin(self, step: str, settings: Settings) -> None:
        """Record a step's settings when it starts for the first time; later starts must use the same.

        Raises:
            ZooterError: a setting differs from the first start; the message names it.
        """
        self.agree(step, settings)
        self.state["steps"].setdefault(step, parse_json(dump_json(settings)))
        self._write_state()

    def agree(self, step: str, settings: Settings) -> None:
        """Refuse settings with which a step that has begun cannot go on. As `begin`, but writes nothing."""
        settings = parse_json(dump_json(settings))
        first = self.state["steps"].get(step, settings)
        for name in dict.fromkeys([*first, *settings]):
            before, now = _short(first.get(name)), _short(settings.get(name))
            if first.get(name) != settings.get(name):
                raise ZooterError(
                    f"the setting {name} = {before}",
                    f"{name} = {now}",
                    "Use the same value, or start a new run in another folder.",
                    f"This run's step {step} began with the setting {name} = {before}, but now {name} = {now}.",
                )

    def seal(self, step: str, file: str, router: str | None = None) -> None:
        """Mark a step as finished, with the record count and hash of its file, and the hashes of a router's files."""
        self.state["seals"][step] = self._seal(step, file, router)
        if self.state.get("open", {}).pop(step, None) is not None and not self.state["open"]:
            del self.state["open"]
        self._make_private()
        self._write_state()

    def remember(self, step: str, file: str, router: str | None, sources: Sequence[str]) -> None:
        """Record what a step that stays open has made from which files, for `unchanged`. Arguments: see `seal`."""
        self.state.setdefault("open", {})[step] = self._result(step, file, router, sources)
        self._write_state()

    def unchanged(self, step: str, file: str, router: str | None, sources: Sequence[str]) -> bool:
        """Whether an open step would make again what it made last."""
        before = self.state.get("open", {}).get(step)
        with suppress(OSError):  # a file is missing
            return before is not None and bool(before == self._result(step, file, router, sources))
        return False

    def _result(self, step: str, file: str, router: str | None, sources: Sequence[str]) -> dict[str, Any]:
        return self._seal(step, file, router) | {"from": {name: sha256_of(self.folder / name) for name in sources}}

    def _seal(self, step: str, file: str, router: str | None) -> dict[str, Any]:
        place = None if router is None else self.folder / router
        return seal_of(self.folder, file, self.state["steps"].get(step), place)

    def sealed(self, step: str) -> bool:
        """Whether a step is finished."""
        return step in self.state["seals"]

    def setting(self, step: str, name: str) -> Any:
        """A setting of a step that has begun.

        Raises:
            ZooterError: the step has not begun.
        """
        if step not in self.state["steps"]:
            raise ZooterError(
                f"a run in which the step {step} has begun",
                "none",
                f"Run `zooter {step} --run DIR` first.",
                f"The step {step} of the run {self.folder} has not begun.",
            )
        return self.state["steps"][step][name]

    def records(self, file: str) -> Iterator[dict[str, Any]]:
        """The complete records of a file, in order; a torn last line is skipped.

        Raises:
            WorkError: a line in the middle is not JSON.
        """
        return jsonl.read_records(self.folder / file)

    def done(
        self, file: str, ids: Container[str], *more: str, check: Check = lambda record: None
    ) -> set[tuple[Hashable, ...]]:
        """The records that a file has, each as a tuple of its id and its values of the keys `more`.

        Args:
            ids: ids of the run's queries.
            check: returns what is wrong with a record, or None.

        Raises:
            WorkError: a record belongs to no query of the run, repeats another, or fails the check.
        """
        keys: set[tuple[Hashable, ...]] = set()
        for number, record in enumerate(self.records(file), 1):
            id = record.get("id")
            unknown = not isinstance(id, str) or id not in ids
            wrong = f"one of {_short(id)}" if unknown else check(record)
            key = () if wrong else tuple(record.get(name) for name in ("id", *more))
            if wrong or key in keys:
                raise WorkError(
                    f"one record for each of this run's queries in {self.folder / file}",
                    f"{wrong or f'a second one of {_short(id)}'} in line {number}",
                    "Remove that line and start again; the other records are kept.",
                )
            keys.add(key)
        return keys

    def append(self, file: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Add a batch of records and flush it to the disk."""
        jsonl.append_records(self.folder / file, records, private=True)

    def replace(self, file: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Write a file anew. It is as it was until all records are on the disk."""
        path = self.folder / file
        with files.writing(path), files.atomic(path, private=True) as partial:
            jsonl.append_records(partial, records, private=True)

    def remove(self, file: str) -> None:
        """Delete a file of an unfinished step."""
        with files.writing(self.folder / file):
            (self.folder / file).unlink(missing_ok=True)

    def appending(self, file: str) -> jsonl.Appender:
        """The file, open for records that come one by one. Close it before the step is sealed."""
        return jsonl.Appender(self.folder / file, private=True)


def versions() -> dict[str, str]:
    """Versions of Python and of the installed libraries that affect a run, for run.json."""
    libraries = {"python": platform.python_version()}
    for name in ("zooter", "torch", "transformers", "peft", "vllm", "xllamacpp", "numpy"):
        with suppress(importlib.metadata.PackageNotFoundError):  # an extra, or Zooter in a folder
            libraries[name] = importlib.metadata.version(name)
    return libraries


def _check_exists(folder: Path) -> None:
    try:
        exists = (folder / STATE).is_file()
    except OSError as problem:
        raise ZooterError(f"a readable run folder {folder}", str(problem), FIX_PERMISSIONS) from problem
    if not exists:
        raise ZooterError(
            f"a run folder at {folder}", "no run.json there", "Start one: zooter run --queries FILE --out DIR."
        )


def _maker(state: Mapping[str, Any]) -> str:
    versions = state.get("versions")
    return str(versions.get("zooter", "unknown")) if isinstance(versions, dict) else "unknown"


def _short(value: Any) -> str:
    text = dump_json(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
