"""A run of the pipeline: appends records to its folder (`run_folder`), tracks finished steps, and reads records as
queries, responses, rewards, tags and scores.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from zooter_core.base import files, jsonl
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.records import Query
from zooter_core.base.strict_json import dump_json, is_number, of_type, parse_json
from zooter_core.data.run_folder import (
    FILE_OF,
    FOLLOWS,
    LOCK,
    QUERIES,
    RESPONSES,
    REWARDS,
    ROUTER,
    RUN_FILES,
    STATE,
    TAGS,
    Settings,
)
from zooter_core.data.scores import Scores, score_line
from zooter_core.method.verified import mean_and_deviation, verified_rewards

RESTORE = (
    "Restore a copy. Or delete it and start again with the same settings as before: existing records are kept. Or "
    "start a new run in another folder."
)


class Run:
    """An open run folder, locked against other processes until `close`.

    In `scores`, `samples`, `of_responses` and `tags`, queries are in the order of the queries file, without queries
    that are set aside. Missing responses are NaN.

    Args:
        create: create the folder if it does not exist.

    Raises:
        ZooterError: the folder is in use, is not a run folder, or contains a link.
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
            if not (self.folder / ROUTER).exists():  # the step `distill` can create it again
                self.reopen("distill")
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the lock. A new folder in which no step has begun is removed."""
        if self._new and [path.name for path in self.folder.iterdir()] == [LOCK]:
            (self.folder / LOCK).unlink()
            self.folder.rmdir()
        self._lock.release()

    def _make_private(self) -> None:
        """Make files that a library wrote private, and also the folder, unless it holds other files."""
        if {path.name.partition(files.PARTIAL)[0] for path in self.folder.iterdir()} <= set(RUN_FILES):
            files.narrow(self.folder)
        for path in (*(self.folder / name for name in RUN_FILES), *(self.folder / ROUTER).rglob("*")):
            files.narrow(path)

    # Settings and finished steps

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
        """Record a step's settings when it starts. Later starts must use the same settings, except for FOLLOWS.

        Raises:
            ZooterError: a setting differs from the first start. The message contains the setting.
        """
        self.agree(step, settings)
        self.state["steps"][step] = parse_json(dump_json(settings))
        self._write_state()

    def reopen(self, *steps: str) -> None:
        """Mark steps as unfinished, so that they process changes. The next `begin` stores this."""
        for step in steps:
            self.state["seals"].pop(step, None)

    def agree(self, step: str, settings: Settings) -> None:
        """Check that a step that has begun can continue with these settings, like `begin`, but without writing."""
        settings = parse_json(dump_json(settings))
        first = self.state["steps"].get(step, settings)
        for name in dict.fromkeys([*first, *settings]):
            before, now = _short(first.get(name)), _short(settings.get(name))
            if first.get(name) != settings.get(name) and name != FOLLOWS.get(step):
                sentence = f"This run's step {step} began with the setting {name} = {before}, but now {name} = {now}."
                step = f"Use the same value, or start again in another folder or after deleting {self.folder}."
                raise ZooterError.saying(sentence, step)

    def setting(self, step: str, name: str) -> Any:
        """A setting of a step that has begun.

        Raises:
            ZooterError: the step has not begun.
        """
        if step not in self.state["steps"]:
            raise ZooterError.saying(f"The step {step} of the run {self.folder} has not begun.", _next_step(step))
        return self.state["steps"][step][name]

    @property
    def pool(self) -> tuple[str, ...]:
        """The candidates for which rewards, labels and router are computed."""
        return tuple(self.setting("start", "pool"))

    def is_finished(self, step: str) -> bool:
        return step in self.state["seals"]

    def require(self, step: str) -> None:
        """Raise a ZooterError if a step is not finished."""
        if not self.is_finished(step):
            raise ZooterError.saying(f"The step {step} of the run {self.folder} is not finished.", _next_step(step))

    def finish(self, step: str) -> None:
        self.state["seals"][step] = {}
        self._make_private()
        self._write_state()

    # Records

    def records(self, file: str) -> Iterator[dict[str, Any]]:
        """Yield the complete records of a file, in order. An incomplete last line is skipped.

        Raises:
            WorkError: a line before the last one is not JSON.
        """
        return jsonl.read_records(self.folder / file)

    def lines(self, file: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The lines of the queries with these ids, from a file with one line per query.

        Raises:
            ZooterError: a line is missing, because the step is not finished.
            WorkError: a line is missing although the step is finished.
        """
        lines = {record["id"]: record for record in self.records(file)}
        if missing := [id for id in ids if id not in lines]:
            self.require(next(step for step, name in FILE_OF.items() if name == file))
            step = "Restore a copy of the file, or start a new run."
            raise WorkError(f"a line of each query in {self.folder / file}", f"none of {_short(missing[0])}", step)
        return [lines[id] for id in ids]

    def append(self, file: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Append a batch of records and flush it to disk."""
        jsonl.append_records(self.folder / file, records)

    def replace(self, file: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Replace a file. The old file is kept until all records are on disk."""
        path = self.folder / file
        with files.writing(path), files.atomic(path) as new, jsonl.Appender(new) as out:
            for record in records:
                out.append([record])

    # Contents of the records

    def queries(self) -> list[Query]:
        """All queries of the run, in order."""
        return [Query.from_json(record) for record in self.records(QUERIES)]

    def responses(self) -> dict[str, dict[str, list[str]]]:
        """Query id -> candidate, in pool order -> the texts of its samples, in order."""
        texts: dict[str, dict[str, dict[int, str]]] = {}
        for record in self.records(RESPONSES):
            texts.setdefault(record["id"], {}).setdefault(record["candidate"], {})[record["sample"]] = record["text"]
        pool = self.pool
        return {
            query: {name: [of[name][number] for number in sorted(of[name])] for name in pool if name in of}
            for query, of in texts.items()
        }

    def missing(self, texts: Mapping[str, Mapping[str, Sequence[str]]]) -> dict[str, list[str]]:
        """The queries that lack responses: id -> the candidates without all samples, in pool order.

        Args:
            texts: the result of `responses`.
        """
        pool, samples = self.pool, self.setting("collect", "samples")
        lacking = {
            query.id: [name for name in pool if len(texts.get(query.id, {}).get(name, ())) < samples]
            for query in self.queries()
        }
        return {id: names for id, names in lacking.items() if names}

    def refused(self) -> dict[str, str]:
        """The queries that a candidate refused, in order: id -> the first such candidate of the pool and its reason."""
        places = {name: place for place, name in enumerate(self.pool)}
        records = [r for r in self.records(RESPONSES) if r.get("error") is not None and r["candidate"] in places]
        records.sort(key=lambda r: (places[r["candidate"]], r["sample"]), reverse=True)  # the last of an id counts
        reasons = {r["id"]: f"no response of {r['candidate']}: {r['error']}" for r in records}
        return {query.id: reasons[query.id] for query in self.queries() if query.id in reasons}

    def set_aside(self) -> dict[str, str]:
        """The queries without rewards: id -> reason."""
        return {record["id"]: record["set_aside"] for record in self.records(REWARDS) if "set_aside" in record}

    def scores(self) -> Scores:
        """The mean rewards in pool order, without the queries that are set aside.

        The queries have the tags of the step `tag` if it is finished, otherwise those of the queries file. Missing
        rewards are NaN.

        Raises:
            ZooterError: a query has not been scored yet, or every query is set aside.
        """
        rewarded = self._rewarded()
        means, rewards, outcomes = self._rewards(rewarded)
        if (rows := np.isfinite(outcomes).any(axis=(1, 2))).any():
            means[rows] = verified_rewards(rewards[rows], outcomes[rows], mean_and_deviation(means)).mean(axis=-1)
        scores = Scores(tuple(query for query, _ in rewarded), self.pool, means)
        return scores.tagged(self.tags()) if self.is_finished("tag") else scores

    def samples(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Figures of each response, each of shape (queries, candidates, samples).

        They are the reward, the reward of the reward model alone, and the verified outcome, which is NaN if the
        response is not verified.
        """
        means, rewards, outcomes = self._rewards(self._rewarded())
        return verified_rewards(rewards, outcomes, mean_and_deviation(means)), rewards, outcomes

    def of_responses(self, *fields: str) -> list[NDArray[np.float64]]:
        """Numeric fields of the responses, as means over samples, each of shape (queries, candidates); NaN without
        responses."""
        figures: dict[tuple[str, str], list[list[float]]] = {}
        for record in self.records(RESPONSES):
            values = [value if is_number(value := record.get(field)) else 0 for field in fields]  # 0 may be omitted
            figures.setdefault((record["id"], record["candidate"]), []).append(values)
        pool, none = self.pool, [[math.nan] * len(fields)]
        rows = [[np.mean(figures.get((query.id, name), none), axis=0) for name in pool] for query in self._queries()]
        return list(np.moveaxis(np.array(rows), -1, 0))

    def tags(self) -> list[tuple[str, ...]]:
        """Each query's tag names from the tagger."""
        lines = self.lines(TAGS, [query.id for query in self._queries()])
        return [tuple(tag["name"] for tag in line["tags"]) for line in lines]

    def export_scores(self, path: Path) -> None:
        """Write the run as a score file.

        It has the reward model's mean rewards, the means of verified outcomes, the first response of each candidate,
        and the tags and answer keys of the queries file.

        Raises:
            ZooterError: the file cannot be written, or every query is set aside.
        """
        texts, rewarded = self.responses(), self._rewarded()
        with files.open_atomic(path) as out:
            for query, rewards in rewarded:
                values = rewards["rewards"]
                outcomes = {name: sum(right) / len(right) for name, right in rewards.get("verified", {}).items()}
                line = score_line(query, values, {name: texts[query.id][name][0] for name in values}, outcomes)
                out.write(dump_json(line, ensure_ascii=False) + "\n")

    def _rewards(self, rewarded: Sequence[tuple[Query, Mapping[str, Any]]]) -> list[NDArray[np.float64]]:
        """The mean rewards, shape (queries, candidates), and the rewards and outcomes of samples; NaN if missing."""
        pool, none = self.pool, [math.nan] * self.setting("collect", "samples")
        missing = {"rewards": math.nan, "samples": none, "verified": none}
        return [
            np.array([[line.get(field, {}).get(name, value) for name in pool] for _, line in rewarded], dtype=float)
            for field, value in missing.items()
        ]

    def _queries(self) -> list[Query]:
        """The queries that are not set aside, in order."""
        return [query for query, _ in self._rewarded()]

    def _rewarded(self) -> list[tuple[Query, dict[str, Any]]]:
        """The queries that are not set aside, in order, with their rewards. Raises ZooterError if there are none."""
        queries = self.queries()
        lines = self.lines(REWARDS, [query.id for query in queries])
        rewarded = [(query, line) for query, line in zip(queries, lines, strict=True) if "set_aside" not in line]
        if not rewarded:
            reason = next((line["set_aside"] for line in lines), "there is none")
            then = "start a new run" if self.is_finished("collect") else "start the same command again"
            instead = f"all {len(lines)} set aside; the first because: {reason}"
            step = f"Fix that cause (`zooter check` may name it), and {then}."
            raise ZooterError("at least one query with rewards", instead, step)
        return rewarded


@dataclass(frozen=True)
class RunSummary:
    """The contents of a run folder's run.json, read without the lock."""

    pool: tuple[str, ...]  # the candidates for which rewards, labels and router are computed
    candidates: tuple[str, ...]  # all candidates that were asked, including those removed from the pool
    finished: tuple[str, ...]  # the finished steps, in order


def read_run(folder: Path) -> RunSummary | None:
    """The run in a folder; None if there is no readable run."""
    path = folder / STATE
    try:
        state = parse_json(path.read_text(encoding="utf-8"))
        pool = state["steps"].get("start", {"pool": []})["pool"]
        hashes = state["steps"].get("collect", {}).get("candidates_sha256", ())
        return RunSummary(tuple(pool), tuple(hashes), tuple(state["seals"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _next_step(step: str) -> str:
    """The command that finishes a step."""
    until = "collect" if step == "start" else step
    return f"Run `zooter run --queries FILE --out DIR{'' if step == 'distill' else f' --until {until}'}` first."


def _short(value: Any) -> str:
    text = dump_json(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
