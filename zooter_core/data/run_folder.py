"""A folder of append-only records: work in it can stop at any point, and another process can continue it.

`run.json` holds the settings of each step, library versions, and under `seals` the finished steps. Settings stay as
they were at a step's first start, but for those that follow the fleet's pool (FOLLOWS). Every other file is JSON lines,
written a batch at a time: a step skips what its file has, and appends the rest. A torn last line is cut off before the
next append. The folder is private, because it holds queries and answers. Whatever writes raises a WorkError if the disk
is full or the file cannot be written.

    queries    id, text, dataset, tags; key if the query has an answer key
    responses  id, candidate, sample (of a benchmark: turn), and the fields of `records.Response`
    rewards    id, rewards (candidate -> mean) and samples (candidate -> list), verified where there is an answer key;
               or set_aside (why the query has none); missing (candidates without responses then)
    tags       id, tags (name and score)
    labels     id, fold (train or held_back), plain, enhanced, entropy of plain
    scores     id, candidate, score; of a benchmark
"""

from __future__ import annotations

import importlib.metadata
import itertools
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from zooter_core.base import files, jsonl
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.strict_json import dump_json, of_type, parse_json

QUERIES, RESPONSES, REWARDS = "queries.jsonl", "responses.jsonl", "rewards.jsonl"
TAGS, LABELS, ROUTER, REPORT = "tags.jsonl", "labels.jsonl", "router", "report.json"
CHECKPOINT = "finetune.checkpoint"  # of fine-tuning, beside the router's folder or in it, until it is over
STATE, LOCK = "run.json", ".lock"
SCORES = "scores.jsonl"
RUN_FILES = (QUERIES, RESPONSES, REWARDS, TAGS, LABELS, ROUTER, REPORT, STATE, LOCK)
FILE_OF = {"start": QUERIES, "collect": RESPONSES, "score": REWARDS, "tag": TAGS, "label": LABELS, "distill": REPORT}
STEPS = tuple(FILE_OF)
# The setting of a step that follows the fleet; `answer` is that of a benchmark.
FOLLOWS = {"start": "pool", "collect": "candidates_sha256", "score": "pool", "answer": "candidates_sha256"}
RESTORE = (
    "Restore a copy. Or delete it and start again with the same settings as before: existing records are kept. Or "
    "start a new run in another folder."
)
Settings = Mapping[str, Any]


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
        elif not (self.folder / STATE).is_file():
            next_step = "Start one: zooter run --queries FILE --out DIR."
            raise ZooterError(f"a run folder at {self.folder}", "no run.json there", next_step)
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
            (self.folder / LOCK).unlink()
            self.folder.rmdir()
        self._lock.release()

    def _make_private(self) -> None:
        """Restrict files that a library wrote to their owner; the folder too, unless it holds other files."""
        if {path.name.partition(files.PARTIAL)[0] for path in self.folder.iterdir()} <= set(RUN_FILES):
            files.narrow(self.folder)
        for path in (*(self.folder / name for name in RUN_FILES), *(self.folder / ROUTER).rglob("*")):
            files.narrow(path)

    # Settings, and which steps are finished

    def _read_state(self) -> dict[str, Any]:
        path = self.folder / STATE
        state: dict[str, Any] = {"steps": {}, "seals": {}}
        if path.exists():
            try:
                state |= of_type(dict[str, Any], parse_json(path.read_text(encoding="utf-8")))
            except (OSError, ValueError) as problem:
                raise ZooterError(f"a readable {path}", str(problem), RESTORE) from problem
            if "format" in state:
                step = "Delete its run.json and rewards.jsonl, and start it again as before: its responses are kept."
                raise ZooterError.saying(f"Zooter 0.2 made the run {self.folder}, in another layout.", step)
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
                sentence = f"This run's step {step} began with the setting {name} = {before}, but now {name} = {now}."
                raise ZooterError.saying(sentence, "Use the same value, or start a new run in another folder.")

    def setting(self, step: str, name: str) -> Any:
        """A setting of a step that has begun.

        Raises:
            ZooterError: the step has not begun.
        """
        if step not in self.state["steps"]:
            raise ZooterError.saying(f"The step {step} of the run {self.folder} has not begun.", finishing(step))
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
            WorkError: a line in the middle is not JSON.
        """
        return jsonl.read_records(self.folder / file)

    def lines(self, file: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The line of each of these queries, in a file with one for each.

        Raises:
            ZooterError: one is missing, because the step is not finished.
            WorkError: one is missing all the same.
        """
        lines = {record["id"]: record for record in self.records(file)}
        if missing := [id for id in ids if id not in lines]:
            self.require(next(step for step, name in FILE_OF.items() if name == file))
            step = "Restore a copy of the file, or start a new run."
            raise WorkError(f"a line of each query in {self.folder / file}", f"none of {_short(missing[0])}", step)
        return [lines[id] for id in ids]

    def append(self, file: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Add a batch of records and flush it to the disk."""
        jsonl.append_records(self.folder / file, records, private=True)

    def replace(self, file: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Write a file anew. It is as it was until all records are on the disk."""
        path = self.folder / file
        with files.writing(path), files.atomic(path, private=True) as new, jsonl.Appender(new, private=True) as out:
            for record in records:
                out.append([record])


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


def _short(value: Any) -> str:
    text = dump_json(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
